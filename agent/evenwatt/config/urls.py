"""The addresses of what is asked over HTTP; credentials stand in keys of their own, never in a URL."""

from contextlib import suppress
from ipaddress import IPv6Address
from typing import Annotated
from urllib.parse import urlsplit

from evenwatt.config.parsers import parsed_text

__all__ = ["EngineUrl", "FeedUrl", "MeterUrl", "engine_place", "parse_engine_url"]

_LOOPBACK_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})
_DEFAULT_PORTS = {"http": 80, "https": 443}


def engine_place(url: str) -> tuple[str, int, str]:
    """Return the host, port and path of an engine, the same for all ways to write its URL.

    The names of this machine are one host; the default port, letter case and /metrics make no difference.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    with suppress(ValueError):  # a name, or an address of a kind to come
        host = str(IPv6Address(host))
    path = parts.path.rstrip("/").removesuffix("/metrics").rstrip("/")
    return (
        "localhost" if host in _LOOPBACK_HOSTS else host,
        parts.port or _DEFAULT_PORTS[parts.scheme],
        path,
    )


def parse_engine_url(text: str) -> str | None:
    """Return the URL of an engine without its last slash; None where it is none."""
    parts = urlsplit(text)
    is_plain = text.isascii() and text.isprintable() and not any(mark in text for mark in " @?#\\")
    has_place = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    return text.rstrip("/") if is_plain and has_place else None


def _parse_queried_url(text: str) -> str | None:
    base, mark, query = text.partition("?")
    is_plain = query.isascii() and query.isprintable() and not any(sign in query for sign in " #\\")
    return f"{base}{mark}{query}" if parse_engine_url(base) is not None and is_plain else None


EngineUrl = Annotated[
    str,
    parsed_text(
        parse_engine_url,
        "http://host:port or https://host:port, without credentials (see api_key), query and fragment",
    ),
]
FeedUrl = Annotated[
    str, parsed_text(_parse_queried_url, "an http:// or https:// address, without credentials and fragment")
]
MeterUrl = Annotated[
    str,
    parsed_text(
        _parse_queried_url, "an http:// or https:// address, without credentials (see user) and fragment"
    ),
]
