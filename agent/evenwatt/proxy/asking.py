"""Asks an OpenAI-style stream for its usage where the client did not: by a splice, nothing else moves."""

from collections.abc import Mapping
from typing import Any, Final

from evenwatt.proxy.scanner import KeyPath, ObjectScanner

__all__ = ["STREAM", "asked_for_usage"]

STREAM: Final[KeyPath] = ("stream",)
"""What of a request's body says whether it wants a stream."""

_OPTIONS: Final[KeyPath] = ("stream_options",)
_WANTED: Final = frozenset({_OPTIONS})
_QUESTION: Final = b'"include_usage":true'
_RUNNING_QUESTION: Final = _QUESTION + b',"continuous_usage_stats":true'


def asked_for_usage(body: bytes, values: Mapping[KeyPath, Any], *, running: bool) -> bytes | None:
    """Return the body with the question added; None where it stays as the client wrote it.

    It does where no stream is wanted, and where the client said itself whether it wants usage.

    Args:
        body: A whole request body, a JSON object.
        values: What was read in it, `STREAM` at least.
        running: Also ask for usage on each event, which vLLM and SGLang can give.
    """
    if values.get(STREAM) is not True:
        return None
    question = _RUNNING_QUESTION if running else _QUESTION
    brace = body.index(b"{") + 1
    if b'"stream_options"' in body:
        scanner = ObjectScanner(_WANTED, needs_spans=True)
        scanner.feed(body)
        if _OPTIONS in scanner.spans:
            return _added(body, scanner, question)
    return b'%b"stream_options":{%b},%b' % (body[:brace], question, body[brace:])


def _added(body: bytes, scanner: ObjectScanner, question: bytes) -> bytes | None:
    """Add a question to options that are there."""
    options, span = scanner.values.get(_OPTIONS), scanner.spans[_OPTIONS]
    if options is None and body[span.value : span.end].strip() == b"null":
        return body[: span.value] + b"{" + question + b"}" + body[span.end :]
    if not isinstance(options, dict) or options.keys() & {"include_usage", "continuous_usage_stats"}:
        return None
    brace = body.index(b"{", span.value) + 1
    separator = b"," if options else b""
    return body[:brace] + question + separator + body[brace:]
