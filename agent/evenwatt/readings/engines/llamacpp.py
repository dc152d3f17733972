"""llama.cpp's words, translated.

`llamacpp:prompt_tokens_total` leaves the reused part of a prompt out, which is what input means here. Output
is added when a request ends. The page prints six digits: from a million tokens on a counter moves in steps of
ten, from ten million on of a hundred; what is between two steps comes with a later reading. The step is told
with the counters.

Its phase times are those of its slots, each by the wall clock: with one slot they are time, with several they
overlap.
"""

from collections.abc import Mapping, Sequence

from evenwatt.model import ModelCounters
from evenwatt.readings.adapter import (
    Adapter,
    Series,
    json_of,
    name_in_json,
    seconds_sum,
    token_sum,
    tokens_of_both,
)
from evenwatt.readings.exposition import Sample, bounded_text

__all__ = ["LLAMACPP"]

_PROMPT = "llamacpp:prompt_tokens_total"
_PROMPT_CACHED = "llamacpp:prompt_tokens_cached_total"
_PREDICTED = "llamacpp:tokens_predicted_total"
_PREFILL_SECONDS = "llamacpp:prompt_seconds_total"
_DECODE_SECONDS = "llamacpp:tokens_predicted_seconds_total"
_RUNNING = "llamacpp:requests_processing"
_WAITING = "llamacpp:requests_deferred"
_PRINTED_DIGITS = 6
_START_HEADER = "Process-Start-Time-Unix"


def _models(samples: Sequence[Sample], served_name: str) -> tuple[ModelCounters, ...]:
    tokens = tokens_of_both(token_sum(samples, _PROMPT), token_sum(samples, _PREDICTED))
    if tokens is None:
        return ()
    cached = token_sum(samples, _PROMPT_CACHED)
    return (
        ModelCounters(
            model=served_name,
            input_tokens=tokens[0],
            cached_input_tokens=cached,
            output_tokens=tokens[1],
            prefill_seconds=seconds_sum(samples, _PREFILL_SECONDS),
            decode_seconds=seconds_sum(samples, _DECODE_SECONDS),
            step_tokens=max(_step(count) for count in (*tokens, cached or 0)),
        ),
    )


def _step(count: int) -> int:
    """Return in which steps a counter of this size is printed."""
    step = 10 ** max(len(str(count)) - _PRINTED_DIGITS, 0)
    # A build that printed more digits would show a count between two steps, and would have none.
    return step if count % step == 0 else 1


def _signals(_samples: Sequence[Sample], headers: Mapping[str, str]) -> dict[str, str]:
    # In spite of its name the header is no Unix time: it is compared and never read as a time.
    return {"header": bounded_text(headers[_START_HEADER])} if _START_HEADER in headers else {}


def _name_in_models(body: bytes) -> str | None:
    """Return the model of an answer of /v1/models, if it is the only one."""
    match json_of(body):
        case {"data": [{"id": str(name)}]} if name:
            return name
    return None


def _name_in_props(body: bytes) -> str | None:
    """Return the model of an answer of /props."""
    return name_in_json("model_alias")(body) or name_in_json("model_path")(body)


LLAMACPP = Adapter(
    kind="llamacpp",
    prefixes=("llamacpp:",),
    wanted=frozenset(
        {_PROMPT, _PROMPT_CACHED, _PREDICTED, _PREFILL_SECONDS, _DECODE_SECONDS, _RUNNING, _WAITING}
    ),
    running=Series(_RUNNING),
    waiting=Series(_WAITING),
    models=_models,
    signals=_signals,
    name_paths={"/v1/models": _name_in_models, "/props": _name_in_props},
    counted="input when the prompt is done, output at the end of a request",
    unmetered="has no `llamacpp:` series on its page; check that this is the port of a llama-server",
    status_advice={
        400: "a llama-server that routes to several models does not say which ones; see its /models",
        501: "start llama-server with --metrics (or LLAMA_ARG_ENDPOINT_METRICS=1 in its environment)",
        503: "it is still loading its model",
    },
    counts_late=True,
    may_sleep=True,
)
"""llama-server with one model."""
