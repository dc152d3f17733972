"""The words of trtllm-serve, translated.

Its Prometheus page is at /prometheus/metrics: reading /metrics, which is JSON, would take away what others
want to read there.
"""

from evenwatt.readings.adapter import Adapter, Series
from evenwatt.readings.engines.dynamo import DYNAMO_WORKER
from evenwatt.readings.engines.table import CounterTable, start_time

__all__ = ["TENSORRT_LLM"]

_FINISHED = "trtllm_request_success_total"

_TABLE = CounterTable(
    input=(Series("trtllm_prompt_tokens_total"),),
    input_means="logical",
    cached_input=(Series("trtllm_prompt_cached_tokens_total"),),
    output=(Series("trtllm_generation_tokens_total"),),
    model_label="model_name",
    requests={
        "completed": (Series(_FINISHED, but_not={"finished_reason": frozenset({"cancelled", "abort"})}),),
        "aborted": (Series(_FINISHED, {"finished_reason": frozenset({"cancelled", "abort"})}),),
        "failed": (Series("trtllm_request_error_total"),),
    },
)

TENSORRT_LLM = Adapter(
    kind="tensorrt_llm",
    prefixes=("trtllm_",),
    path="/prometheus/metrics",
    wanted=_TABLE.names | {"trtllm_num_requests_running", "trtllm_num_requests_waiting", DYNAMO_WORKER},
    running=Series("trtllm_num_requests_running"),
    waiting=Series("trtllm_num_requests_waiting"),
    models=_TABLE.models,
    signals=start_time,
    unmetered=(
        "is up but unmetered: its page has no `trtllm_` series. Set return_perf_metrics: true in its "
        "configuration; releases before the token counters cannot be metered"
    ),
    counted="everything when the reason why a request finished is known",
    counts_late=True,
)
"""TensorRT-LLM's own server."""
