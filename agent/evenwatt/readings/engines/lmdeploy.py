"""LMDeploy's words, translated.

Cached input is counted only when a request finishes, so that one which is aborted has input and no cached
part: computed input is overstated by aborts.
"""

from evenwatt.readings.adapter import Adapter, Series
from evenwatt.readings.engines.table import CounterTable, start_time

__all__ = ["LMDEPLOY"]

_FINISHED = "lmdeploy:request_success_total"

_TABLE = CounterTable(
    input=(Series("lmdeploy:prompt_tokens_total"),),
    input_means="logical",
    cached_input=(Series("lmdeploy:cached_tokens_total"),),
    output=(Series("lmdeploy:generation_tokens_total"),),
    model_label="model_name",
    requests={
        "completed": (Series(_FINISHED, but_not={"finished_reason": frozenset({"abort", "error"})}),),
        "aborted": (Series(_FINISHED, {"finished_reason": frozenset({"abort"})}),),
        "failed": (Series(_FINISHED, {"finished_reason": frozenset({"error"})}),),
    },
)

LMDEPLOY = Adapter(
    kind="lmdeploy",
    prefixes=("lmdeploy:",),
    wanted=_TABLE.names | {"lmdeploy:num_requests_running", "lmdeploy:num_requests_waiting"},
    running=Series("lmdeploy:num_requests_running"),
    waiting=Series("lmdeploy:num_requests_waiting"),
    models=_TABLE.models,
    signals=start_time,
    unmetered="is up but unmetered: its page has no `lmdeploy:` series. Start it without --disable-metrics",
    counted="input at the first output token, output at each step, cached input when a request has finished",
)
"""LMDeploy's API server; its ranks (`engine`) are added up."""
