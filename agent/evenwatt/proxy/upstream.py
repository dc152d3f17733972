"""The engine: connections that are kept open between requests, over TCP, TLS or a unix socket."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from urllib.parse import urlsplit

from multidict import CIMultiDict

from evenwatt.errors import EngineError, EngineUnreachable
from evenwatt.proxy.engine_connection import EngineAnswer, EngineConnection

__all__ = ["Upstream"]

_CONNECT_SECONDS = 10.0
_MOST_HEAD_BYTES = 64 * 1024
_KEPT_SECONDS = 3.0
"""How long an idle connection is kept: less than the 5 s after which vLLM, SGLang and llama.cpp close it, so
that no request is sent into a connection that is just being closed."""
_UNIX = "unix:"
_PORTS = {"http": 80, "https": 443}


class Upstream:
    """Sends requests to one engine; to be made and used in one event loop.

    Args:
        address: As `ProxySettings.upstream` has it.
        ca_file: As `ProxySettings.ca_file`.

    Attributes:
        address: As given.
        host: What a request to it says in its Host header.

    Raises:
        EngineError: The certificates cannot be read.
    """

    def __init__(self, address: str, ca_file: Path | None = None) -> None:
        self.address = address
        parts = urlsplit("http://localhost" if address.startswith(_UNIX) else address)
        self.host = parts.netloc.rpartition("@")[2]
        self._server = (parts.hostname or "", parts.port or _PORTS[parts.scheme])
        self._base_path = parts.path.rstrip("/")
        self._tls = _trusting(ca_file) if parts.scheme == "https" else None
        self._loop = asyncio.get_running_loop()
        self._idle: dict[EngineConnection, asyncio.TimerHandle] = {}

    async def request(
        self,
        method: str,
        target: str,
        headers: CIMultiDict[str],
        body: bytes | AsyncIterator[bytes] | None = None,
    ) -> EngineAnswer:
        """Send a request and return the answer once its head is there.

        Args:
            method: As the client wrote it.
            target: Path and query, as the client wrote them.
            headers: All that are sent, Host included; of a body in pieces Content-Length, where it is known.
            body: All of it, or its pieces.

        Raises:
            EngineUnreachable: The engine cannot be connected to.
            EngineBroke: It broke off, or does not speak HTTP.
        """
        pieces, held = (None, body or b"") if body is None or isinstance(body, bytes) else (body, b"")
        if isinstance(body, bytes):
            headers["Content-Length"] = str(len(body))
        is_chunked = pieces is not None and "Content-Length" not in headers
        if is_chunked:
            headers["Transfer-Encoding"] = "chunked"
        head = request_head(method, self._base_path + target, headers)
        connection = self._kept() or await self._connected()
        return await connection.exchanged(
            head + held, pieces, is_head=method == "HEAD", is_chunked=is_chunked
        )

    async def streams(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Open a connection for one use of its own, outside of those that are kept.

        Raises:
            EngineUnreachable: The engine cannot be connected to.
        """
        reader = asyncio.StreamReader(limit=_MOST_HEAD_BYTES)
        protocol = asyncio.StreamReaderProtocol(reader)
        transport = await self._opened(lambda: protocol)
        return reader, asyncio.StreamWriter(transport, protocol, reader, self._loop)

    def tunnel_head(self, method: str, target: str, headers: CIMultiDict[str]) -> bytes:
        """Return the head of a request that is sent on `streams`."""
        return request_head(method, self._base_path + target, headers)

    def close(self) -> None:
        """Close the idle connections."""
        for connection, timer in self._idle.items():
            timer.cancel()
            connection.abort()
        self._idle.clear()

    def _kept(self) -> EngineConnection | None:
        while self._idle:
            connection, timer = self._idle.popitem()  # the one that was used last
            timer.cancel()
            if connection.is_open:
                return connection
        return None

    def _give_back(self, connection: EngineConnection) -> None:
        self._idle[connection] = self._loop.call_later(_KEPT_SECONDS, self._drop, connection)

    def _drop(self, connection: EngineConnection) -> None:
        self._idle.pop(connection, None)
        connection.abort()

    async def _connected(self) -> EngineConnection:
        connection = EngineConnection(self.address, self._give_back)
        await self._opened(lambda: connection)
        return connection

    async def _opened(self, factory: Callable[[], asyncio.BaseProtocol]) -> asyncio.Transport:
        try:
            async with asyncio.timeout(_CONNECT_SECONDS):
                if self.address.startswith(_UNIX):
                    path = self.address.removeprefix(_UNIX)
                    transport, _ = await self._loop.create_unix_connection(factory, path)
                else:
                    transport, _ = await self._loop.create_connection(factory, *self._server, ssl=self._tls)
        except TimeoutError as error:
            raise EngineUnreachable(
                f"{self.address} did not accept a connection within {_CONNECT_SECONDS:g} s", is_late=True
            ) from error
        except (OSError, ssl.SSLError) as error:
            reason = error.strerror or str(error) or type(error).__name__
            raise EngineUnreachable(f"{self.address} cannot be reached: {reason}. Is it running?") from error
        return transport


def _trusting(ca_file: Path | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca_file)
    except (OSError, ssl.SSLError) as error:
        raise EngineError(
            f"ca_file: {ca_file}: no certificates can be read from it ({error.strerror or error}); name a "
            "file of certificates in PEM form"
        ) from error


def request_head(method: str, target: str, headers: CIMultiDict[str]) -> bytes:
    """Return a request's head; all of it came out of a parser that lets no line end through."""
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    return "\r\n".join(lines).encode("utf-8", "surrogateescape")
