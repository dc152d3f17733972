"""Finds a few values in a JSON object of any size, fed in pieces of any size, without holding the object.

An answer may be megabytes of embeddings or one integer for each token of a context, with the usage at its
end. Only the keys at the top, and those one level below a few of them, are looked at; everything else is
skipped by regular expressions from one bracket or quote to the next.
"""

import json
import re
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Final, TypedDict

from msgspec import Struct
from msgspec.json import Decoder

__all__ = ["TOO_LONG", "KeyPath", "ObjectScanner", "Span", "scanned"]

KeyPath = tuple[str, ...]
"""One key at the top, or a key at the top and one below it."""

TOO_LONG: Final = object()
"""Stands for a wanted value that was longer than the scanner holds."""

_MOST_HELD_BYTES = 1 << 16
_MOST_KEY_BYTES = 256
_NEXT_TOKEN = re.compile(rb'["{}\[\]:,]')
_NEXT_BRACKET = re.compile(rb'["{}\[\]]')
_REST_OF_STRING = re.compile(rb'[^"\\]*+(?:\\.[^"\\]*+)*+', re.DOTALL)
_QUOTE, _BACKSLASH = b'"'[0], b"\\"[0]
_OPENING, _CLOSING = b"{[", b"}]"


class Span(Struct, frozen=True, kw_only=True):
    """Where a key and its value stand in the bytes that were fed.

    Attributes:
        key: Offset of the quote that opens the key.
        value: Offset behind the colon.
        end: Offset of the comma or brace behind the value.
    """

    key: int
    value: int
    end: int


class ObjectScanner:
    """Reads one JSON object.

    Args:
        wanted: What to look for.
        most_bytes: How long a value may be that is held.
        needs_spans: Whether `spans` are asked for; otherwise an object that comes whole and is no longer than
            `most_bytes` is left to the library's parser, which is many times faster.

    Attributes:
        values: What was found, by path; the last of several equal keys, as JSON parsers take it.
        spans: Where it was found, with `needs_spans`.
        is_complete: Whether the object has ended; what is fed further is ignored.
        is_broken: Whether this is no JSON object; what is fed further is ignored.
    """

    def __init__(
        self, wanted: frozenset[KeyPath], most_bytes: int = _MOST_HELD_BYTES, *, needs_spans: bool = False
    ) -> None:
        self.values: dict[KeyPath, Any] = {}
        self.spans: dict[KeyPath, Span] = {}
        self.is_complete = False
        self.is_broken = False
        self._wanted = wanted
        self._most_bytes = most_bytes
        self._may_parse = not needs_spans
        self._fed = 0
        self._depth = 0
        self._path: KeyPath = ()
        self._looked_depth = 0  # down to here keys are read; below, brackets are counted
        self._in_string = False
        self._is_escaped = False
        self._is_key = False
        self._key: bytearray | None = None
        self._key_start = 0
        self._value_start = 0
        self._capture: KeyPath | None = None
        self._held: bytearray | None = None

    def feed(self, piece: bytes) -> None:
        """Read on."""
        if self._may_parse:
            self._may_parse = False
            if len(piece) <= self._most_bytes and self._parse_whole(piece):
                return
        position = 0
        while position < len(piece) and not (self.is_complete or self.is_broken):
            before, held = position, self._held
            if self._in_string:
                position = self._read_string(piece, position)
            else:
                position = self._read_structure(piece, position)
            if held is not None and self._held is held:  # neither begun nor ended by this step
                self._hold(held, piece[before:position])
        self._fed += len(piece)

    def _parse_whole(self, piece: bytes) -> bool:
        """Take the values out of an object that is whole; return False for everything else."""
        is_object = piece[:1] == b"{" and piece.rstrip()[-1:] == b"}"
        found = _parsed(piece, self._wanted) if is_object else None
        if found is None:
            return False
        self.values.update(found)
        self.is_complete = True
        return True

    def _hold(self, held: bytearray, part: bytes) -> None:
        if len(held) + len(part) > self._most_bytes:
            self._held = None
        else:
            held += part

    def _read_string(self, piece: bytes, position: int) -> int:
        start = position
        if self._is_escaped:
            self._is_escaped = False
            position += 1
        match = _REST_OF_STRING.match(piece, position)
        end = position if match is None else match.end()
        if end < len(piece) and piece[end] == _BACKSLASH:  # its other half comes with the next piece
            self._is_escaped = True
            end += 1
        is_closed = not self._is_escaped and end < len(piece)
        if self._key is not None:
            self._key += piece[start:end]
            if len(self._key) > _MOST_KEY_BYTES:
                self._key = None
        if is_closed:
            self._in_string = False
            end += 1
        return end

    def _read_structure(self, piece: bytes, position: int) -> int:
        if self._depth == 0:
            return self._read_beginning(piece, position)
        is_looked = self._depth == self._looked_depth
        match = (_NEXT_TOKEN if is_looked else _NEXT_BRACKET).search(piece, position)
        if match is None:
            return len(piece)
        token, at = piece[match.start()], match.start()
        if token == _QUOTE:
            self._open_string(at, is_looked=is_looked)
        elif token in _OPENING:
            self._open(token, is_looked=is_looked)
        elif token in _CLOSING:
            self._close(piece, position, at, is_looked=is_looked)
        elif token == b":"[0]:
            self._begin_value(at)
        else:
            self._end_value(piece, position, at)
            self._is_key = True
        return match.end()

    def _read_beginning(self, piece: bytes, position: int) -> int:
        rest = piece[position:].lstrip()
        if not rest:
            return len(piece)
        if not rest.startswith(b"{"):
            self.is_broken = True
            return len(piece)
        self._depth = self._looked_depth = 1
        self._is_key = True
        return len(piece) - len(rest) + 1

    def _open_string(self, at: int, *, is_looked: bool) -> None:
        self._in_string = True
        if is_looked and self._is_key:
            self._key = bytearray()
            self._key_start = self._fed + at

    def _open(self, token: int, *, is_looked: bool) -> None:
        self._depth += 1
        if is_looked and token == b"{"[0] and any(path[:-1] == self._path for path in self._wanted):
            self._looked_depth = self._depth
            self._is_key = True

    def _close(self, piece: bytes, position: int, at: int, *, is_looked: bool) -> None:
        if is_looked:
            self._end_value(piece, position, at)
            self._path = self._path[:-1] if self._depth > 1 else ()
            self._looked_depth -= 1
            self._is_key = False
        self._depth -= 1
        if self._depth == 0:
            self.is_complete = piece[at] == b"}"[0]
            self.is_broken = not self.is_complete

    def _begin_value(self, at: int) -> None:
        if not self._is_key:
            self.is_broken = True
            return
        self._is_key = False
        key = None if self._key is None else bytes(self._key)
        self._key = None
        name = "" if key is None else key.decode("utf-8", "replace")
        self._path = (*self._path[: self._depth - 1], name)
        if self._path in self._wanted and self._capture is None:
            self._capture = self._path
            self._value_start = self._fed + at + 1
            self._held = bytearray()

    def _end_value(self, piece: bytes, position: int, at: int) -> None:
        if self._capture is None or len(self._capture) != self._depth:
            return
        path, self._capture = self._capture, None
        self.spans[path] = Span(key=self._key_start, value=self._value_start, end=self._fed + at)
        held, self._held = self._held, None
        if held is None:
            self.values[path] = TOO_LONG
            return
        held += piece[position:at]
        try:
            self.values[path] = json.loads(bytes(held))
        except (ValueError, RecursionError):
            self.values.pop(path, None)


class _Parser(Struct, frozen=True, kw_only=True):
    """Reads whole objects.

    Attributes:
        parse: Returns the keys at the top that lead somewhere; of the others it makes nothing.
        top: Those of them that are wanted themselves.
        below: What is wanted below them.
    """

    parse: Callable[[bytes], dict[str, Any]]
    top: frozenset[str]
    below: tuple[KeyPath, ...]


@cache
def _parser_of(wanted: frozenset[KeyPath]) -> _Parser:
    keys = dict.fromkeys((path[0] for path in wanted), Any)
    shape = TypedDict("shape", keys, total=False)  # type: ignore[misc]  # made of what is wanted
    decoder: Decoder[Any] = Decoder(shape)
    return _Parser(
        parse=decoder.decode,
        top=frozenset(path[0] for path in wanted if len(path) == 1),
        below=tuple(path for path in wanted if len(path) > 1),
    )


def scanned(data: bytes, wanted: frozenset[KeyPath]) -> Mapping[KeyPath, Any]:
    """Return the wanted values of a whole object; none where it is no complete object."""
    if len(data) <= _MOST_HELD_BYTES:
        found = _parsed(data, wanted)
        if found is not None:
            return found
    scanner = ObjectScanner(wanted)
    scanner.feed(data)
    return scanner.values if scanner.is_complete else {}


def _parsed(data: bytes, wanted: frozenset[KeyPath]) -> dict[KeyPath, Any] | None:
    """Return the wanted values of a whole object; None for everything else."""
    parser = _parser_of(wanted)
    try:
        document = parser.parse(data)
    except (ValueError, RecursionError):
        return None
    found: dict[KeyPath, Any] = {(key,): value for key, value in document.items() if key in parser.top}
    for path in parser.below:
        inner = document.get(path[0])
        if isinstance(inner, dict) and path[1] in inner:
            found[path] = inner[path[1]]
    return found
