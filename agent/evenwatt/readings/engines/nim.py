"""The words of NIM 1.x, translated: vLLM's names without a prefix, at /v1/metrics.

From NIM 2 on the series are those of vLLM or SGLang and are read as such.
"""

from evenwatt.readings.adapter import Adapter, Series
from evenwatt.readings.engines.table import CounterTable, start_time

__all__ = ["NIM"]

_TABLE = CounterTable(
    input=(Series("prompt_tokens_total"),),
    input_means="logical",
    output=(Series("generation_tokens_total"),),
    model_label="model_name",
)

NIM = Adapter(
    kind="nim",
    prefixes=("prompt_tokens_total", "generation_tokens_total"),
    path="/v1/metrics",
    wanted=_TABLE.names | {"num_requests_running", "num_requests_waiting"},
    running=Series("num_requests_running"),
    waiting=Series("num_requests_waiting"),
    models=_TABLE.models,
    signals=start_time,
    unmetered="has neither prompt_tokens_total nor generation_tokens_total on its page; is it a NIM 1.x?",
    counted="input and output at each iteration",
)
"""NVIDIA NIM for LLMs before version 2."""
