"""llama.cpp's words, translated.

`llamacpp:prompt_tokens_total` leaves the reused part of a prompt out, which is what input means here. Output
is added when a request ends. The page prints six digits: from a million tokens on a counter moves in steps of
ten, from ten million on of a hundred; what is between two steps comes with a later reading.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from evenwatt.model import ModelCounters
from evenwatt.readings.adapter import Adapter, token_sum, tokens_of_both
from evenwatt.readings.exposition import Sample, bounded_text

__all__ = ["LLAMACPP"]

_PROMPT = "llamacpp:prompt_tokens_total"
_PROMPT_CACHED = "llamacpp:prompt_tokens_cached_total"
_PREDICTED = "llamacpp:tokens_predicted_total"
_RUNNING = "llamacpp:requests_processing"
_WAITING = "llamacpp:requests_deferred"
_START_HEADER = "Process-Start-Time-Unix"


def _models(samples: Sequence[Sample], served_name: str) -> tuple[ModelCounters, ...]:
    tokens = tokens_of_both(token_sum(samples, _PROMPT), token_sum(samples, _PREDICTED))
    if tokens is None:
        return ()
    return (
        ModelCounters(
            model=served_name,
            input_tokens=tokens[0],
            cached_input_tokens=token_sum(samples, _PROMPT_CACHED),
            output_tokens=tokens[1],
        ),
    )


def _signals(_samples: Sequence[Sample], headers: Mapping[str, str]) -> dict[str, str]:
    # In spite of its name the header is no Unix time: it is compared and never read as a time.
    return {"header": bounded_text(headers[_START_HEADER])} if _START_HEADER in headers else {}


def _name_in_models(body: bytes) -> str | None:
    """Return the model of an answer of /v1/models, if it is the only one."""
    match _json(body):
        case {"data": [{"id": str(name)}]} if name:
            return name
    return None


def _name_in_props(body: bytes) -> str | None:
    """Return the model of an answer of /props."""
    match _json(body):
        case {"model_alias": str(name)} if name:
            return name
        case {"model_path": str(name)} if name:
            return name
    return None


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


LLAMACPP = Adapter(
    kind="llamacpp",
    prefix="llamacpp:",
    wanted=frozenset({_PROMPT, _PROMPT_CACHED, _PREDICTED, _RUNNING, _WAITING}),
    running=_RUNNING,
    waiting=_WAITING,
    models=_models,
    signals=_signals,
    name_paths={"/v1/models": _name_in_models, "/props": _name_in_props},
    unmetered="has no `llamacpp:` series on its page; check that this is the port of a llama-server",
    status_advice={
        400: "a llama-server that routes to several models is not metered yet; run one for each model",
        501: "start llama-server with --metrics (or LLAMA_ARG_ENDPOINT_METRICS=1 in its environment)",
        503: "it is still loading its model",
    },
)
"""llama-server with one model."""
