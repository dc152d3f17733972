"""Asks an OpenAI-style stream for its usage where the client did not: by a splice, nothing else moves."""

from collections.abc import Mapping
from typing import Any, Final

from msgspec import Struct

from evenwatt.proxy.scanner import KeyPath, ObjectScanner

__all__ = ["STREAM", "Asked", "asked_for_usage"]

STREAM: Final[KeyPath] = ("stream",)
"""What of a request's body says whether it wants a stream."""

_OPTIONS: Final[KeyPath] = ("stream_options",)


class Asked(Struct, frozen=True, kw_only=True):
    """A request that also asks for usage.

    Attributes:
        body: To send instead.
        is_running: Whether usage was asked for on each event, and not only at the end.
    """

    body: bytes
    is_running: bool


def asked_for_usage(body: bytes, values: Mapping[KeyPath, Any], *, running: bool) -> Asked | None:
    """Return the request with the question added; None where it stays as the client wrote it.

    It does where no stream is wanted, and where the client said itself whether it wants usage.

    Args:
        body: A whole request body, a JSON object.
        values: What was read in it, `STREAM` at least.
        running: Also ask for usage on each event, which vLLM and SGLang can give.
    """
    if values.get(STREAM) is not True:
        return None
    question = b'"include_usage":true' + (b',"continuous_usage_stats":true' if running else b"")
    scanner = ObjectScanner(frozenset({_OPTIONS}), needs_spans=True)
    if b'"stream_options"' in body:
        scanner.feed(body)
    if _OPTIONS not in scanner.spans:
        brace = body.index(b"{") + 1
        added = b'"stream_options":{' + question + b"},"
        return Asked(body=body[:brace] + added + body[brace:], is_running=running)
    options, span = scanner.values.get(_OPTIONS), scanner.spans[_OPTIONS]
    if options is None and body[span.value : span.end].strip() == b"null":
        changed = body[: span.value] + b"{" + question + b"}" + body[span.end :]
        return Asked(body=changed, is_running=running)
    if not isinstance(options, dict) or options.keys() & {"include_usage", "continuous_usage_stats"}:
        return None
    brace = body.index(b"{", span.value) + 1
    separator = b"," if options else b""
    return Asked(body=body[:brace] + question + separator + body[brace:], is_running=running)
