"""The words of an Ollama that counts, translated.

No release has a page of metrics. Builds with one of the proposed changes have, each with names of its own;
whichever is there is read.
"""

from evenwatt.readings.adapter import Adapter, Series
from evenwatt.readings.engines.table import CounterTable, start_time

__all__ = ["OLLAMA"]

_TABLE = CounterTable(
    input=(Series("ollama_prompt_tokens_total"), Series("ollama_prompt_eval_total")),
    input_means="logical",
    cached_input=(Series("ollama_prompt_cached_tokens_total"),),
    output=(
        Series("ollama_generated_tokens_total"),
        Series("ollama_eval_total"),
        Series("ollama_completion_tokens_total"),
    ),
    model_label="model",
    requests={"completed": (Series("ollama_requests_total"),)},
)

OLLAMA = Adapter(
    kind="ollama",
    prefixes=("ollama_",),
    wanted=_TABLE.names | {"ollama_requests_queued"},
    running=None,
    waiting=Series("ollama_requests_queued"),
    models=_TABLE.models,
    signals=start_time,
    unmetered="has no `ollama_` series on its page",
    status_advice={
        404: "no released Ollama publishes token counters. Its llama-server children do, with "
        "LLAMA_ARG_ENDPOINT_METRICS=1 in the environment of `ollama serve`"
    },
    counted="everything when a request has ended by itself; aborted ones are not counted",
    counts_late=True,
)
"""Ollama with native counters, under any of the proposed names."""
