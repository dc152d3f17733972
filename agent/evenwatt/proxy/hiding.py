"""Takes the usage that only we asked for out of a stream of events again, and leaves every other byte.

A piece is handed on as it came unless usage is in it or an event is split over pieces: then what is whole
goes on, and the rest waits for its other part.
"""

import re
import zlib
from typing import Any, Final, Protocol

from msgspec.json import decode

from evenwatt.proxy.answers import EVENTS
from evenwatt.proxy.decoding import Decoder, decoder_for
from evenwatt.proxy.scanner import KeyPath, ObjectScanner, Span, scanned

__all__ = ["GzipUsageHider", "Hider", "UsageHider", "hider_for"]

_MOST_HELD_BYTES = 1 << 20
"""An event beyond this is no usage event, and goes on as it is."""
_GZIP = 16 + zlib.MAX_WBITS
_USAGE: Final[KeyPath] = ("usage",)
_CHOICES: Final[KeyPath] = ("choices",)
_WANTED: Final = frozenset({_USAGE, _CHOICES})
_USAGE_KEY: Final = b'"usage"'
_EVENT_END = re.compile(rb"\r?\n\r?\n")
_DATA_LINE = re.compile(rb"^data:([^\r\n]*)", re.MULTILINE)


class Hider(Protocol):
    """Filters the bytes of one answer."""

    def feed(self, piece: bytes) -> bytes:
        """Return what the client is to see now; may be empty."""

    def passes(self, piece: bytes) -> bool:
        """Return whether the next piece goes on as it is; then it need not be fed."""

    def end(self) -> bytes:
        """Return what is still to be seen at the end."""


def hider_for(form: str | None, encoding: bytes, *, running: bool) -> Hider | None:
    """Return what hides usage in an answer that was asked for it; None where it has none to hide."""
    if form != EVENTS:
        return None
    if encoding.strip().lower() in {b"gzip", b"x-gzip"}:
        decoder = decoder_for(encoding)
        return None if decoder is None else GzipUsageHider(decoder, running=running)
    return UsageHider(running=running)


class UsageHider:
    """Filters one stream.

    Args:
        running: Whether usage was asked for on each event: then none of it is the client's.
    """

    def __init__(self, *, running: bool) -> None:
        self._running = running
        self._held = b""

    def feed(self, piece: bytes) -> bytes:
        """Return what the client is to see now; may be empty."""
        if self.passes(piece):
            return piece
        data = self._held + piece
        shown = []
        start = 0
        for match in _EVENT_END.finditer(data):
            shown.append(self._shown(data[start : match.end()]))
            start = match.end()
        self._held = data[start:]
        if len(self._held) > _MOST_HELD_BYTES:
            shown.append(self.end())
        return b"".join(shown)

    def passes(self, piece: bytes) -> bool:
        """Return whether the next piece goes on as it is; then it need not be fed."""
        return not self._held and piece.endswith(b"\n\n") and _USAGE_KEY not in piece

    def end(self) -> bytes:
        """Return what is still held: the stream broke off within an event."""
        held, self._held = self._held, b""
        return held

    def _shown(self, event: bytes) -> bytes:
        lines = list(_DATA_LINE.finditer(event)) if _USAGE_KEY in event else []
        if len(lines) != 1:
            return event
        payload = lines[0]
        whole = scanned(payload[1].strip(), _WANTED)
        if whole.get(_CHOICES) == [] and isinstance(whole.get(_USAGE), dict):
            return b""
        if whole and (rest := _without_last(payload[1])) is not None:
            is_ours = self._running or _says_nothing(whole.get(_USAGE))
            return event[: payload.start(1)] + rest + event[payload.end(1) :] if is_ours else event
        scanner = ObjectScanner(_WANTED, _MOST_HELD_BYTES, needs_spans=True)
        scanner.feed(payload[1])
        if not scanner.is_complete or _USAGE not in scanner.spans:
            return event
        if not (self._running or _says_nothing(scanner.values.get(_USAGE))):
            return event  # a server that adds usage to its last piece of text does so for everybody
        rest = _without(payload[1], scanner.spans[_USAGE])
        return event[: payload.start(1)] + rest + event[payload.end(1) :]


class GzipUsageHider:
    """Filters a compressed stream, and compresses it again so that each piece can be read when it comes.

    Args:
        decoder: Of the stream.
        running: As for `UsageHider`.
    """

    def __init__(self, decoder: Decoder, *, running: bool) -> None:
        self._decoder = decoder
        self._plain = UsageHider(running=running)
        self._compressor = zlib.compressobj(wbits=_GZIP)

    def feed(self, piece: bytes) -> bytes:
        """Return what the client is to see now; may be empty.

        Raises:
            ConnectionError: It cannot be decoded, by the client neither.
        """
        try:
            shown = b"".join(self._plain.feed(plain) for plain in self._decoder.feed(piece))
        except ValueError as error:
            raise ConnectionResetError(f"an answer that is no gzip: {error}") from error
        return self._compressed(shown) if shown else b""

    def passes(self, piece: bytes) -> bool:  # noqa: ARG002 -- each is compressed anew
        """Return whether the next piece goes on as it is; then it need not be fed."""
        return False

    def end(self) -> bytes:
        """Return the rest, with the end of the compressed stream."""
        return self._compressor.compress(self._plain.end()) + self._compressor.flush()

    def _compressed(self, shown: bytes) -> bytes:
        return self._compressor.compress(shown) + self._compressor.flush(zlib.Z_SYNC_FLUSH)


def _says_nothing(usage: Any) -> bool:
    """Return whether usage is only there because somebody asked for it at the end."""
    return usage is None or (isinstance(usage, dict) and not any(usage.values()))


def _without_last(data: bytes) -> bytes | None:
    """Cut usage out of a valid object whose last member it is, as engines write it; None where it is not.

    What lies between the key and the brace that ends the object is one whole value, so the key is one of that
    object; and it is no text within a string, for its quotes would have ended that.
    """
    whole = data.rstrip()
    before, key, after = whole.partition(_USAGE_KEY)
    before, after = before.rstrip(), after.lstrip()
    if not key or _USAGE_KEY in after or not (before.endswith(b",") and after.startswith(b":")):
        return None
    try:
        decode(after[1:-1])
    except (ValueError, RecursionError):
        return None
    return before[:-1] + data[len(whole) - 1 :]


def _without(data: bytes, span: Span) -> bytes:
    """Cut a key and its value out of an object, with the comma that goes with them."""
    before = data[: span.key].rstrip()
    if before.endswith(b","):
        return before[:-1] + data[span.end :]
    after = data[span.end :]
    return data[: span.key] + (after[1:].lstrip() if after.startswith(b",") else after)
