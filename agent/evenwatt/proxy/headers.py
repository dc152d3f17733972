"""Which headers go on to the other side, and which are between two neighbours (RFC 9110, section 7.6.1)."""

from collections.abc import Mapping
from typing import Final

from multidict import CIMultiDict, CIMultiDictProxy

__all__ = ["end_to_end", "is_websocket", "target_of"]

_HOP_BY_HOP: Final = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "transfer-encoding",
        "upgrade",
    }
)


def end_to_end(headers: CIMultiDictProxy[str] | CIMultiDict[str]) -> CIMultiDict[str]:
    """Return the headers to pass on, in their order and spelling, repeated ones repeated."""
    left_out = _HOP_BY_HOP | _listed(headers)
    return CIMultiDict([(name, value) for name, value in headers.items() if name.lower() not in left_out])


def is_websocket(headers: Mapping[str, str]) -> bool:
    """Return whether a request asks to go on as a WebSocket; no other change of protocol is passed on."""
    if headers.get("Upgrade", "").strip().lower() != "websocket":
        return False
    return "upgrade" in {token.strip().lower() for token in headers.get("Connection", "").split(",")}


def target_of(raw: str) -> str | None:
    """Return path and query of a request's target; None where it has none that an engine would have."""
    if raw.startswith("/"):
        return raw
    scheme, separator, rest = raw.partition("://")
    if separator and scheme.lower() in {"http", "https"}:
        slash = rest.find("/")
        return "/" if slash < 0 else rest[slash:]
    return None


def _listed(headers: CIMultiDictProxy[str] | CIMultiDict[str]) -> frozenset[str]:
    """Return the headers that the sender's Connection headers name as meant for its neighbour."""
    values = headers.getall("Connection", ())
    return frozenset(token.strip().lower() for value in values for token in value.split(","))
