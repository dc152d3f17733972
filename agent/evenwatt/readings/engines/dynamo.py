"""The words of Dynamo's frontend, translated.

A gateway in front of workers, whose pages, where they are switched on, have the words of the engine within
and a few of Dynamo's own. Where a worker is read the frontend is left out: the worker has the GPUs. It may
count more, as a request that moves to another worker is prefilled again.
"""

from collections.abc import Sequence
from typing import Final

from evenwatt.readings.adapter import Adapter, Series
from evenwatt.readings.engines.table import CounterTable, start_time
from evenwatt.readings.exposition import Sample

__all__ = ["DYNAMO", "DYNAMO_WORKER", "front_kind"]

DYNAMO_WORKER: Final = "dynamo_component_uptime_seconds"
"""On the page of every worker, beside the series of its engine."""

_REQUESTS = "dynamo_frontend_requests_total"
_SUCCESS = {"status": frozenset({"success"})}
_CANCELLED = {"error_type": frozenset({"cancelled"})}

_TABLE = CounterTable(
    input=(Series("dynamo_frontend_input_sequence_tokens_sum"),),
    input_means="logical",
    cached_input=(Series("dynamo_frontend_cached_tokens_sum"),),
    output=(
        Series("dynamo_frontend_output_tokens_total"),
        Series("dynamo_frontend_output_sequence_tokens_sum"),
    ),
    begins_apart=True,
    model_label="model",
    requests={
        "completed": (Series(_REQUESTS, _SUCCESS),),
        "aborted": (Series(_REQUESTS, _CANCELLED),),
        "failed": (Series(_REQUESTS, {"status": frozenset({"error"})}, _CANCELLED),),
    },
)

DYNAMO = Adapter(
    kind="dynamo",
    prefixes=("dynamo_frontend_",),
    wanted=_TABLE.names | {"dynamo_frontend_inflight_requests", "dynamo_frontend_queued_requests"},
    running=Series("dynamo_frontend_inflight_requests"),
    waiting=Series("dynamo_frontend_queued_requests"),
    models=_TABLE.models,
    signals=start_time,
    unmetered="has no `dynamo_frontend_` series on its page; is it the frontend's?",
    counted="output while it is generated where this version tells it so, the rest at the end of a request",
)
"""NVIDIA Dynamo's HTTP frontend."""


def front_kind(samples: Sequence[Sample]) -> str | None:
    """Return the kind of the frontend that an engine's page says it works for; None where it says of none."""
    return DYNAMO.kind if any(sample.name == DYNAMO_WORKER for sample in samples) else None
