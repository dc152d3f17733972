"""Headers as they were sent, byte for byte: what is read in them, and which of them go on."""

from collections.abc import Mapping
from typing import Final

__all__ = ["Field", "Headers", "is_websocket", "target_of"]

Field = tuple[bytes, bytes]
"""Name and value of one header, as they were sent."""

_LEFT_OUT: Final = frozenset(
    {
        b"connection",
        b"expect",  # of a request: answered here, as the body is on its way
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"transfer-encoding",
        b"upgrade",
    }
)
"""Between two neighbours: RFC 9110, sections 7.6.1 and 10.1.1."""
_FOR_EVERYBODY: Final = frozenset({b"content-length", b"host"})
"""What nobody may name as meant for its neighbour: without a length nobody knew where a body ends."""
_UNCHANGED: Final[Mapping[bytes, bytes]] = {}


class Headers:
    """The headers of one request or answer.

    Attributes:
        fields: All of them, in their order, repeated ones repeated.
        first: The first value of each, by its name in lower case.
    """

    def __init__(self, fields: list[Field]) -> None:
        self.fields = fields
        self.first = {name.lower(): value for name, value in fields}
        if len(self.first) < len(fields):
            self.first = {name.lower(): value for name, value in reversed(fields)}

    def lines(self, changes: Mapping[bytes, bytes] = _UNCHANGED) -> list[bytes]:
        """Return the lines of those that go on to the other side, as they were sent.

        Args:
            changes: By name in lower case, what is said instead, once; what was not sent comes behind the
                others.
        """
        first, fields = self.first, self.fields
        if not _LEFT_OUT.isdisjoint(first):
            left_out = _LEFT_OUT if b"connection" not in first else _LEFT_OUT | self._listed()
            fields = [
                field for field in fields if (name := field[0].lower()) in changes or name not in left_out
            ]
        if not changes:
            return [b"%b: %b\r\n" % field for field in fields]
        if len(first) < len(self.fields):
            fields = _said_once(fields, changes)
        lines = [b"%b: %b\r\n" % (name, changes.get(name.lower(), value)) for name, value in fields]
        if not changes.keys() <= first.keys():
            new = (name for name in changes if name not in first)
            lines += [b"%b: %b\r\n" % (name.title(), changes[name]) for name in new]
        return lines

    def as_text(self) -> dict[str, str]:
        """Return the first value of each, by its name in lower case, as text."""
        return {name.decode("latin-1"): _text(value) for name, value in self.first.items()}

    def _listed(self) -> set[bytes]:
        """Return the headers that the sender's Connection headers name as meant for its neighbour."""
        values = (value for name, value in self.fields if name.lower() == b"connection")
        return {token.strip().lower() for value in values for token in value.split(b",")} - _FOR_EVERYBODY


def _said_once(fields: list[Field], changes: Mapping[bytes, bytes]) -> list[Field]:
    """Leave the repeats of changed fields out."""
    said = set()
    once = []
    for field in fields:
        name = field[0].lower()
        if name not in said:
            once.append(field)
        if name in changes:
            said.add(name)
    return once


def is_websocket(headers: Headers) -> bool:
    """Return whether a request asks to go on as a WebSocket; no other change of protocol is passed on."""
    if headers.first.get(b"upgrade", b"").strip().lower() != b"websocket":
        return False
    tokens = headers.first.get(b"connection", b"").split(b",")
    return b"upgrade" in {token.strip().lower() for token in tokens}


def target_of(raw: bytes) -> bytes | None:
    """Return path and query of a request's target; None where it has none that an engine would have."""
    if raw.startswith(b"/"):
        return raw
    scheme, separator, rest = raw.partition(b"://")
    if separator and scheme.lower() in {b"http", b"https"}:
        slash = rest.find(b"/")
        return b"/" if slash < 0 else rest[slash:]
    return None


def _text(raw: bytes) -> str:
    """Return a value as text: UTF-8, or else the Latin-1 that HTTP had once."""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1")
