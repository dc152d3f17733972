"""LocalAI's words, translated: one counter, with the kind of token as a label."""

from evenwatt.readings.adapter import Adapter, Series
from evenwatt.readings.engines.table import CounterTable, start_time

__all__ = ["LOCALAI"]

_TOKENS = "localai_tokens_total"

_TABLE = CounterTable(
    input=(Series(_TOKENS, {"kind": frozenset({"prompt"})}),),
    input_means="logical",
    output=(Series(_TOKENS, {"kind": frozenset({"completion"})}),),
    begins_apart=True,
    model_label="served_model",
    client_labels=("user",),
    requests={"completed": (Series("localai_billed_requests_total"),)},
)

LOCALAI = Adapter(
    kind="localai",
    prefixes=("localai_",),
    wanted=_TABLE.names,
    running=None,
    waiting=None,
    models=_TABLE.models,
    signals=start_time,
    unmetered=(
        "is up but unmetered: its page has no `localai_` series. Versions without localai_tokens_total and "
        "those with metrics off (LOCALAI_DISABLE_METRICS_ENDPOINT) cannot be metered"
    ),
    counted="everything when a request is billed; localai_usage_unrecorded_total has what was not",
    counts_late=True,
    clients=_TABLE.clients,
)
"""LocalAI. Its input is what its backend says; for most of them that is the whole prompt."""
