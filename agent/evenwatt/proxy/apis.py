"""The interfaces that engines speak: which paths are counted, and what their words for tokens mean.

A path is known by its end, so that a prefix before it (`/ollama/v1/...`) changes nothing.
"""

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Final

from msgspec import Struct

from evenwatt.proxy.scanner import KeyPath
from evenwatt.proxy.tokens import Tokens, counts_in

__all__ = ["EMBEDDING", "MESSAGES", "OLLAMA", "OPENAI", "RESPONSES", "UNMETERED", "Api", "api_of"]


class Api(Struct, frozen=True, kw_only=True):
    """One way to say how many tokens an answer has.

    Attributes:
        wanted: The keys of an answer, or of an event of a stream, that are looked at.
        interesting: What an event of a stream holds if it may say more than text.
        text: Finds generated text, not empty, in an event of a stream; one event is one token at least.
        fields: Takes raw counts out of an answer or event; of several events the last word on each holds.
        tokens: Translates the last raw counts.
    """

    wanted: frozenset[KeyPath]
    interesting: re.Pattern[bytes]
    text: re.Pattern[bytes]
    fields: Callable[[Mapping[KeyPath, Any]], dict[str, int]]
    tokens: Callable[[Mapping[str, int]], Tokens]


_COMMON: Final = frozenset({("model",), ("error",), ("type",)})


def _text_under(*names: str) -> re.Pattern[bytes]:
    return re.compile(rb'"(?:' + "|".join(names).encode() + rb')"\s*:\s*"(?!")')


# --- Ollama's own ------------------------------------------------------------------------------------------

_OLLAMA_NAMES = {
    "prompt_eval_count": "prompt",
    "prompt_eval_cached_count": "cached",
    "eval_count": "output",
}


def _ollama_fields(values: Mapping[KeyPath, Any]) -> dict[str, int]:
    flat = {path[0]: value for path, value in values.items() if len(path) == 1}
    found = counts_in(flat, _OLLAMA_NAMES)
    if flat.get("done") is True and "prompt" in found:
        found.setdefault("output", 0)  # it leaves out what is 0
    return found


def _logical_tokens(raw: Mapping[str, int]) -> Tokens:
    """Translate counts whose prompt includes what was cached."""
    prompt, cached = raw.get("prompt"), raw.get("cached")
    if prompt is not None and cached is not None:
        cached = min(cached, prompt)
        prompt -= cached
    return Tokens(
        input_tokens=prompt,
        cached_input_tokens=None if prompt is None else cached,
        output_tokens=raw.get("output"),
        reasoning_tokens=raw.get("reasoning"),
    )


_OLLAMA_WANTED = _COMMON | {(name,) for name in _OLLAMA_NAMES}
OLLAMA: Final = Api(
    wanted=_OLLAMA_WANTED | {("done",), ("done_reason",), ("remote_model",), ("remote_host",)},
    interesting=re.compile(rb'"done"\s*:\s*true|"error"\s*:'),
    text=_text_under("content", "response", "thinking"),
    fields=_ollama_fields,
    tokens=_logical_tokens,
)
"""`/api/generate` and `/api/chat`; streams unless told not to, one object a line."""

# --- OpenAI's ----------------------------------------------------------------------------------------------

_OPENAI_NAMES = {
    "prompt_tokens": "prompt",
    "prompt_tokens_details.cached_tokens": "cached",
    "completion_tokens": "output",
    "completion_tokens_details.reasoning_tokens": "reasoning",
}
_OTHER_NAMES = {
    "reasoning_tokens": "reasoning",  # SGLang
    "input_tokens": "prompt",  # transcriptions
    "output_tokens": "output",
}
_TIMING_NAMES = {"prompt_n": "prompt_computed", "cache_n": "prompt_cached", "predicted_n": "predicted"}
"""llama.cpp's own account, at the end of each of its answers whether or not usage was asked for."""


def _openai_fields(values: Mapping[KeyPath, Any]) -> dict[str, int]:
    usage = values.get(("usage",))
    return (
        counts_in(values.get(("timings",)), _TIMING_NAMES)
        | counts_in(usage, _OTHER_NAMES)
        | counts_in(usage, _OPENAI_NAMES)
    )


def _openai_tokens(raw: Mapping[str, int]) -> Tokens:
    merged = dict(raw)
    if "prompt_computed" in raw:
        cached = raw.get("prompt_cached")
        merged.setdefault("prompt", raw["prompt_computed"] + (cached or 0))
        if cached is not None:
            merged.setdefault("cached", cached)
    if "predicted" in raw:
        merged.setdefault("output", raw["predicted"])
    return _logical_tokens(merged)


_OPENAI_WANTED = _COMMON | {("usage",), ("timings",)}
_OPENAI_TEXT = _text_under("content", "text", "reasoning_content", "reasoning", "arguments", "delta")
_OPENAI_INTERESTING = re.compile(rb'"(?:usage|timings|error)"\s*:')
OPENAI: Final = Api(
    wanted=_OPENAI_WANTED,
    interesting=_OPENAI_INTERESTING,
    text=_OPENAI_TEXT,
    fields=_openai_fields,
    tokens=_openai_tokens,
)
"""Chat and text completions, llama.cpp's own completions, and what else says `usage` or `timings`."""

_EMBEDDING_NAMES = {"total_tokens": "total", **_OPENAI_NAMES}


def _embedding_fields(values: Mapping[KeyPath, Any]) -> dict[str, int]:
    return counts_in(values.get(("usage",)), _EMBEDDING_NAMES) | _ollama_fields(values)


def _embedding_tokens(raw: Mapping[str, int]) -> Tokens:
    merged = dict(raw)
    if "total" in raw:
        merged.setdefault("prompt", raw["total"])
    if "prompt" in merged:
        merged.setdefault("output", 0)
    return _logical_tokens(merged)


EMBEDDING: Final = Api(
    wanted=_OPENAI_WANTED | _OLLAMA_WANTED,
    interesting=_OPENAI_INTERESTING,
    text=_OPENAI_TEXT,
    fields=_embedding_fields,
    tokens=_embedding_tokens,
)
"""Embeddings, reranking, scoring and classifying: a prompt and no generated token."""

_RESPONSES_NAMES = {
    "input_tokens": "prompt",
    "input_tokens_details.cached_tokens": "cached",
    "output_tokens": "output",
    "output_tokens_details.reasoning_tokens": "reasoning",
}


def _responses_fields(values: Mapping[KeyPath, Any]) -> dict[str, int]:
    inner = counts_in(values.get(("response", "usage")), _RESPONSES_NAMES)
    return inner or counts_in(values.get(("usage",)), _RESPONSES_NAMES)


RESPONSES: Final = Api(
    wanted=_COMMON | {("usage",), ("response", "usage"), ("response", "model"), ("response", "error")},
    interesting=re.compile(rb'"(?:usage|error)"\s*:'),
    text=_text_under("delta"),
    fields=_responses_fields,
    tokens=_logical_tokens,
)
"""OpenAI's responses; a stream says the usage in its last event, always."""

# --- Anthropic's -------------------------------------------------------------------------------------------

_MESSAGES_NAMES = {
    "input_tokens": "uncached",
    "cache_read_input_tokens": "cached",
    "cache_creation_input_tokens": "created",
    "output_tokens": "output",
}


def _messages_fields(values: Mapping[KeyPath, Any]) -> dict[str, int]:
    return counts_in(values.get(("message", "usage")), _MESSAGES_NAMES) | counts_in(
        values.get(("usage",)), _MESSAGES_NAMES
    )


def _messages_tokens(raw: Mapping[str, int]) -> Tokens:
    uncached = raw.get("uncached")
    return Tokens(
        input_tokens=None if uncached is None else uncached + raw.get("created", 0),
        cached_input_tokens=None if uncached is None else raw.get("cached"),
        output_tokens=raw.get("output"),
    )


MESSAGES: Final = Api(
    wanted=_COMMON | {("usage",), ("message", "usage"), ("message", "model")},
    interesting=re.compile(rb'"(?:usage|error)"\s*:|"message_stop"'),
    text=_text_under("text", "thinking", "partial_json"),
    fields=_messages_fields,
    tokens=_messages_tokens,
)
"""Anthropic's messages: what came from a cache stands outside `input_tokens`. The first event may guess."""

UNMETERED: Final = Api(
    wanted=_COMMON,
    interesting=re.compile(rb'"error"\s*:'),
    text=_text_under("text"),
    fields=lambda _values: {},
    tokens=lambda _raw: Tokens(),
)
"""Inference whose answers do not say their tokens in a way that is known here: only its requests count."""

_ENDS: Final[tuple[tuple[Api, tuple[str, ...]], ...]] = (
    (OLLAMA, ("/api/generate", "/api/chat")),
    (EMBEDDING, ("/api/embed", "/embeddings", "/embedding", "/rerank", "/reranking", "/score", "/pooling")),
    (EMBEDDING, ("/classify",)),
    (OPENAI, ("/chat/completions", "/completions", "/completion", "/infill")),
    (OPENAI, ("/audio/transcriptions", "/audio/translations")),
    (RESPONSES, ("/responses",)),
    (MESSAGES, ("/messages",)),
    (UNMETERED, ("/api/embeddings", "/generate", "/generate_stream", "/invocations")),
)
_MOST_ENDS: Final = 256
_LONGEST_END_BYTES: Final = 64
"""More than any end that is known, so that what is kept of clients' targets is bounded."""
_API_BY_END: Final = {end: api for api, ends in _ENDS for end in ends}


def api_of(method: bytes, target: bytes) -> Api | None:
    """Return how the answers of a request's target are counted; None where it does no inference."""
    return _api_at(target.partition(b"?")[0][-_LONGEST_END_BYTES:]) if method == b"POST" else None


@lru_cache(_MOST_ENDS)
def _api_at(path_end: bytes) -> Api | None:
    steps = path_end.decode("latin-1").rstrip("/").rsplit("/", 2)[-2:]
    return _API_BY_END.get("/" + "/".join(steps)) or _API_BY_END.get(f"/{steps[-1]}")
