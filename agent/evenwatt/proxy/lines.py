"""Cuts a stream of bytes into lines, wherever its pieces begin and end."""

from collections.abc import Iterator
from typing import NamedTuple

__all__ = ["LineCutter", "LinePart"]

_MOST_HELD_BYTES = 1 << 16


class LinePart(NamedTuple):
    """A line, or a part of one that is too long to be held.

    Attributes:
        data: Without the line end.
        is_end: Whether the line ends here.
    """

    data: bytes
    is_end: bool


class LineCutter:
    """Holds a line until it is whole; one longer than `most_bytes` is handed on in parts instead."""

    def __init__(self, most_bytes: int = _MOST_HELD_BYTES) -> None:
        self._most_bytes = most_bytes
        self._held: list[bytes] = []
        self._held_bytes = 0

    def feed(self, piece: bytes) -> list[LinePart]:
        """Return the lines that end in this piece, and parts of those that are too long."""
        *lines, rest = piece.split(b"\n")
        if lines and self._held:
            lines[0] = self._with_held(lines[0])
        parts = [LinePart(line.removesuffix(b"\r"), True) for line in lines]
        if rest:
            self._held.append(rest)
            self._held_bytes += len(rest)
            if self._held_bytes > self._most_bytes:
                parts.append(LinePart(self._with_held(b""), is_end=False))
        return parts

    @property
    def is_within_line(self) -> bool:
        """Whether the beginning of a line is held."""
        return bool(self._held)

    def end(self) -> Iterator[LinePart]:
        """Yield the last line where it had no line end."""
        if self._held:
            yield LinePart(self._with_held(b""), is_end=True)

    def _with_held(self, rest: bytes) -> bytes:
        line = b"".join([*self._held, rest])
        self._held.clear()
        self._held_bytes = 0
        return line
