"""Text Generation Inference's words, translated.

Its token counters are the sums of histograms. Input is recorded when a request is taken on, output only when
it succeeds: an aborted stream has input and no output. No cache hits are told.
"""

from evenwatt.readings.adapter import Adapter, Series, name_in_json
from evenwatt.readings.engines.table import CounterTable, start_time

__all__ = ["TGI"]

_FAILURE = "tgi_request_failure"
_DROPPED = frozenset({"dropped"})
_FAULTS = frozenset({"validation", "overloaded", "generation", "incomplete", "template"})

_TABLE = CounterTable(
    input=(Series("tgi_request_input_length_sum"),),
    input_means="logical",
    output=(Series("tgi_request_generated_tokens_sum"),),
    begins_apart=True,
    requests={
        "completed": (Series("tgi_request_success"), Series("tgi_request_success_total")),
        "aborted": (Series(_FAILURE, {"err": _DROPPED}), Series(f"{_FAILURE}_total", {"err": _DROPPED})),
        "failed": (Series(_FAILURE, {"err": _FAULTS}), Series(f"{_FAILURE}_total", {"err": _FAULTS})),
    },
)

TGI = Adapter(
    kind="tgi",
    prefixes=("tgi_",),
    wanted=_TABLE.names | {"tgi_batch_current_size", "tgi_queue_size"},
    running=Series("tgi_batch_current_size"),
    waiting=Series("tgi_queue_size"),
    models=_TABLE.models,
    signals=start_time,
    name_paths={"/info": name_in_json("model_id")},
    unmetered="has no `tgi_` series on its page; check that this is the port of its API",
    counted="input when a request is taken on, output when it has succeeded",
    counts_late=True,
)
"""Text Generation Inference, in maintenance since 2025 and still deployed."""
