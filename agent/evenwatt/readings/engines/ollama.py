"""The words of an Ollama that counts, translated.

No release has a page of metrics. Builds with one of the proposed changes have, each with names of its own;
whichever is there is read.
"""

from collections.abc import Sequence

from evenwatt.readings.adapter import Adapter, Series, json_of
from evenwatt.readings.engines.table import CounterTable, start_time
from evenwatt.readings.exposition import Sample

__all__ = ["OLLAMA", "loaded_models"]

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


def loaded_models(body: bytes) -> tuple[str, ...] | None:
    """Return the models in memory, out of an answer of /api/ps, which loads none; None where it is none."""
    match json_of(body):
        case {"models": [*models]}:
            names = (model.get("name") for model in models if isinstance(model, dict))
            return tuple(name for name in names if isinstance(name, str))
    return None


def _own_url(_samples: Sequence[Sample], base_url: str) -> str:
    return base_url


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
    ollama_url=_own_url,
)
"""Ollama with native counters, under any of the proposed names."""
