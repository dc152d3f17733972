"""The words of Triton's TensorRT-LLM backend, translated: sums of histograms by request."""

from evenwatt.readings.adapter import Adapter, Series
from evenwatt.readings.engines.table import CounterTable, start_time

__all__ = ["TRITON"]

_TABLE = CounterTable(
    input=(
        Series("nv_llm_input_token_len_sum", {"response_metric_type": frozenset({"total_input_tokens"})}),
    ),
    input_means="logical",
    output=(
        Series("nv_llm_output_token_len_sum", {"response_metric_type": frozenset({"total_output_tokens"})}),
    ),
    model_label="model",
)
_REQUESTS = "nv_trt_llm_request_metrics"

TRITON = Adapter(
    kind="triton",
    prefixes=("nv_inference_", "nv_llm_"),
    wanted=_TABLE.names | {_REQUESTS},
    running=Series(_REQUESTS, {"request_type": frozenset({"scheduled"})}),
    waiting=Series(_REQUESTS, {"request_type": frozenset({"waiting"})}),
    models=_TABLE.models,
    signals=start_time,
    unmetered=(
        "is up but unmetered: its page has no `nv_llm_` series. Of Triton's backends only TensorRT-LLM's "
        "counts tokens"
    ),
    counted="input and output by request",
    counts_late=True,
)
"""Triton with the TensorRT-LLM backend. Requests are not taken: an ensemble counts each several times."""
