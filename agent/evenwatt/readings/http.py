"""One bounded GET: bounded in time, in bytes on the wire and in bytes after decompression.

The other side is not trusted to answer, to stop, or to be what it should be. It is asked on a fresh
connection each time: one that is kept may still lead to a process whose port another one has taken over.
"""

import http.client
import io
import socket
import ssl
import sys
import zlib
from base64 import b64encode
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any
from urllib.parse import unquote, urlsplit

import urllib3
from msgspec import Struct
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, HTTPError, LocationValueError, NewConnectionError
from urllib3.util import Url, parse_url

from evenwatt.clock import boot_seconds
from evenwatt.errors import SourceContractError, SourceError, SourceUnavailable
from evenwatt.readings.exposition import printable
from evenwatt.readings.networks import named_network

__all__ = ["Answer", "HttpClient", "shown_url"]

_MOST_BYTES = 8 * 2**20
"""What is read from one connection at most, headers included, and what a compressed body may grow to."""
_READ_BYTES = 64 * 2**10
_LEAST_SECONDS = 1e-3
_WHOSE = "is this the right address?"
_NOT_READY_STATUSES = frozenset({429, 502, 503, 504})
_HEADERS = MappingProxyType(
    {
        "Accept": "text/plain; version=0.0.4, */*; q=0.5",
        "Accept-Encoding": "identity",
        "Connection": "close",
        "User-Agent": "evenwatt",
    }
)
_STATUS_ADVICE: Mapping[int, str] = MappingProxyType(
    {
        401: "it asks for a key: set its `api_key`",
        403: "it refuses this key: check its `api_key`",
        404: _WHOSE,
    }
)


class Answer(Struct, frozen=True, kw_only=True):
    """What a server answered, whatever the status; the body is complete and not compressed.

    Attributes:
        url: The address asked, without credentials and query.
        headers: Looked up without regard to case.
    """

    url: str
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def is_not_ready(self) -> bool:
        """Whether the status says that the server cannot answer yet, or not just now."""
        return self.status in _NOT_READY_STATUSES

    def ok_body(self, advice: Mapping[int, str] = _STATUS_ADVICE) -> bytes:
        """Return the body of a good answer.

        Args:
            advice: What to try, by status; goes before the general advice.

        Raises:
            SourceUnavailable: The status says that the server is not ready.
            SourceContractError: Any other status than 200.
        """
        if self.status == http.client.OK:
            return self.body
        said = f"{self.url} answered HTTP {self.status}, '{printable(self.body)}'; expected 200"
        if "location" in self.headers:
            target = printable(shown_url(self.headers["location"]))
            raise SourceContractError(f"{said}. It points to {target}: configure that address if it is right")
        hint = advice.get(self.status) or _STATUS_ADVICE.get(self.status)
        if hint is None:
            failed = self.status >= http.client.INTERNAL_SERVER_ERROR
            hint = "it failed; see its log" if failed else _WHOSE
        kind = SourceUnavailable if self.is_not_ready else SourceContractError
        raise kind(f"{said}: {hint}")


class HttpClient:
    """GETs from one server. No proxy, no netrc, no redirect followed, nothing kept between two calls.

    Args:
        api_key: Sent as a bearer token; takes the place of credentials in the URL.
    """

    def __init__(self, api_key: str | None = None) -> None:
        self._key_header = {} if api_key is None else {"Authorization": f"Bearer {api_key.strip()}"}
        self._pools = urllib3.PoolManager()
        self._pools.pool_classes_by_scheme = {"http": _BoundedPool, "https": _BoundedTlsPool}

    def get(self, url: str, deadline_seconds: float, *, headers: Mapping[str, str] | None = None) -> Answer:
        """Return what the server answers, whatever the status.

        The deadline covers everything but the look-up of a host name; where a name has several addresses, it
        covers the attempt to connect to each.

        Raises:
            SourceUnavailable: No complete answer came in time.
            SourceContractError: What came is no HTTP, is over 8 MiB, or is compressed in a way that was not
                asked for and cannot be undone.
        """
        shown = shown_url(url)
        handled = sys.exc_info()[1]
        deadline_seconds = max(deadline_seconds, _LEAST_SECONDS)
        try:
            address = parse_url(url)
            pool = self._pools.connection_from_host(address.host, address.port, address.scheme)
            with pool.urlopen(
                "GET",
                address.request_uri,
                headers={
                    **_HEADERS,
                    **_credentials(address.auth),
                    **self._key_header,
                    **_own_host(address),
                    **(headers or {}),
                },
                timeout=urllib3.Timeout(total=deadline_seconds),
                retries=False,
                redirect=False,
                preload_content=False,
                decode_content=False,
            ) as response:
                body = b"".join(response.stream(_READ_BYTES, decode_content=False))
        except _TooLarge as exc:
            raise SourceContractError(f"{shown} sends more than {_MOST_BYTES} bytes; {_WHOSE}") from exc
        except (HTTPError, ValueError) as exc:
            raise _translated(exc, shown, deadline_seconds, handled) from exc
        encoding = response.headers.get("Content-Encoding", "identity").strip().lower()
        return Answer(
            url=shown,
            status=response.status,
            headers=response.headers,
            body=_decompressed(body, encoding, shown),
        )

    def close(self) -> None:
        """Let go of what is held open."""
        self._pools.clear()


def shown_url(url: str) -> str:
    """Return a URL as it may be shown: without user, password, query and fragment."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "an address that is no URL"
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()


def _own_host(address: Url) -> dict[str, str]:
    """Return the header that a server in another network is asked with: it knows itself by loopback only."""
    return {} if named_network(address.host or "") is None else {"Host": f"127.0.0.1:{address.port}"}


def _credentials(auth: str | None) -> dict[str, str]:
    """Return the header for user and password of a URL."""
    if auth is None:
        return {}
    return {"Authorization": f"Basic {b64encode(unquote(auth).encode('latin-1')).decode('ascii')}"}


class _TooLarge(Exception):
    """More bytes came than one answer may have."""


class _BoundedReader(io.RawIOBase):
    """The bytes of a socket, until a deadline and up to a number of bytes.

    A socket's own timeout starts anew with every byte that arrives, so a server that drips never meets it.
    """

    def __init__(self, sock: socket.socket, stream: io.RawIOBase) -> None:
        self._socket = sock
        self._stream = stream
        self._ends_boot_seconds = boot_seconds() + (sock.gettimeout() or 0.0)
        self._bytes_left = _MOST_BYTES

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        seconds_left = self._ends_boot_seconds - boot_seconds()
        if seconds_left <= 0:
            raise TimeoutError("the deadline is over")
        self._socket.settimeout(seconds_left)
        count = self._stream.readinto(buffer)
        self._bytes_left -= count or 0
        if self._bytes_left < 0:
            raise _TooLarge
        return count

    def close(self) -> None:
        self._stream.close()
        super().close()


class _BoundedResponse(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        # urllib3 has just set the socket's timeout to what is left of the request's total.
        self.fp = io.BufferedReader(_BoundedReader(sock, self.fp.detach()))

    def begin(self) -> None:
        super().begin()
        # Not every server that was asked to close says that it will: the connection must not be used again.
        self.will_close = True


class _BoundedConnection(HTTPConnection):
    response_class = _BoundedResponse

    def _new_conn(self) -> socket.socket:
        network = named_network(self.host)
        if network is None:
            return super()._new_conn()
        timeout = self.timeout if isinstance(self.timeout, int | float) else None
        try:
            return network.connect(self.port, timeout)
        except TimeoutError as exc:
            raise ConnectTimeoutError(self, "no connection in time") from exc
        except OSError as exc:
            raise NewConnectionError(self, exc.strerror or str(exc)) from exc


class _BoundedTlsConnection(HTTPSConnection):
    response_class = _BoundedResponse


class _BoundedPool(HTTPConnectionPool):
    ConnectionCls = _BoundedConnection


class _BoundedTlsPool(HTTPSConnectionPool):
    ConnectionCls = _BoundedTlsConnection


def _translated(
    exc: Exception, shown: str, deadline_seconds: float, handled: BaseException | None
) -> SourceError:
    """Return a foreign exception in our words.

    Its own text is not used: it may hold the URL with its credentials, or a header. What was being handled
    already when the server was asked is no reason of it.
    """
    root: BaseException = exc
    while root.__context__ is not None and root.__context__ is not handled:
        root = root.__context__
    if isinstance(exc, LocationValueError | UnicodeError):
        return SourceUnavailable(f"{shown} cannot be asked ({type(exc).__name__}); check its URL and key")
    if isinstance(root, TimeoutError):
        return SourceUnavailable(
            f"{shown} gave no complete answer within {deadline_seconds:.3g} s; is it overloaded?"
        )
    if isinstance(root, ssl.SSLError):
        return SourceUnavailable(f"{shown} cannot be reached over TLS ({root.reason}); check its certificate")
    if isinstance(root, OSError) and root.strerror:
        return SourceUnavailable(f"{shown} cannot be reached ({root.strerror}); is the server running there?")
    if isinstance(root, ConnectionError | http.client.IncompleteRead):
        return SourceUnavailable(f"{shown} hung up before the end of its answer; is it restarting?")
    return SourceContractError(f"{shown} does not answer in HTTP ({type(root).__name__}); {_WHOSE}")


def _decompressed(body: bytes, encoding: str, shown: str) -> bytes:
    """Return the body as it was before the compression that some servers apply without being asked."""
    if encoding in {"", "identity"}:
        return body
    if encoding not in {"gzip", "x-gzip", "deflate"}:
        raise SourceContractError(f"{shown} is encoded as '{printable(encoding)}', which was not asked for")
    unzip = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)  # gzip or zlib, as the first bytes say
    try:
        plain = unzip.decompress(body, _MOST_BYTES)
    except zlib.error as exc:
        raise SourceContractError(f"{shown} says it is {encoding}, and is not; {_WHOSE}") from exc
    if unzip.unconsumed_tail:
        raise SourceContractError(f"{shown} is more than {_MOST_BYTES} bytes when uncompressed; {_WHOSE}")
    if not unzip.eof or unzip.unused_data:
        raise SourceContractError(f"{shown} is cut short: its {encoding} data does not end with the body")
    return plain
