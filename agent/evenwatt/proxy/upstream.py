"""The engine: connections that are kept open between requests, over TCP, TLS or a unix socket."""

import asyncio
import ssl
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path
from urllib.parse import urlsplit

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
        self.host = parts.netloc.rpartition("@")[2].encode()
        self._server = (parts.hostname or "", parts.port or _PORTS[parts.scheme])
        self._base_path = parts.path.rstrip("/").encode()
        self._tls = _trusting(ca_file) if parts.scheme == "https" else None
        self._loop = asyncio.get_running_loop()
        self._idle: deque[tuple[EngineConnection, float]] = deque()  # with the time since when; oldest first
        self._sweeping: asyncio.TimerHandle | None = None

    async def asked(self, target: bytes) -> EngineAnswer:
        """Send a question of our own, and return the answer once its head is there.

        Raises:
            EngineUnreachable: The engine cannot be connected to.
            EngineBroke: It broke off, or does not speak HTTP.
        """
        connection = self.kept() or await self.connected()
        head = self.head(b"GET", target, [b"Host: %b\r\n" % self.host])
        try:
            return await connection.exchange(head, b"", is_head=False, is_chunked=False)
        except BaseException:
            connection.abort()
            raise

    async def streams(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Open a connection for one use of its own, outside of those that are kept.

        Raises:
            EngineUnreachable: The engine cannot be connected to.
        """
        reader = asyncio.StreamReader(limit=_MOST_HEAD_BYTES)
        protocol = asyncio.StreamReaderProtocol(reader)
        transport = await self._opened(lambda: protocol)
        return reader, asyncio.StreamWriter(transport, protocol, reader, self._loop)

    def head(self, method: bytes, target: bytes, lines: Iterable[bytes]) -> bytes:
        """Return the head of a request.

        Args:
            method: As the client wrote it.
            target: Path and query, as the client wrote them.
            lines: The headers, Host and the framing of the body included.
        """
        return b"".join((b"%b %b%b HTTP/1.1\r\n" % (method, self._base_path, target), *lines, b"\r\n"))

    def close(self) -> None:
        """Close the idle connections."""
        if self._sweeping is not None:
            self._sweeping.cancel()
        for connection, _ in self._idle:
            connection.abort()
        self._idle.clear()

    def kept(self) -> EngineConnection | None:
        """Return a connection that is there already; to be used, or aborted."""
        while self._idle:
            connection, _ = self._idle.pop()  # the one that was used last
            if connection.is_open:
                return connection
        return None

    def _give_back(self, connection: EngineConnection) -> None:
        self._idle.append((connection, self._loop.time()))
        if self._sweeping is None:
            self._sweeping = self._loop.call_later(_KEPT_SECONDS, self._sweep)

    def _sweep(self) -> None:
        """Drop what was idle for too long; one timer for all of them, for most are used again before."""
        self._sweeping = None
        while self._idle:
            connection, since = self._idle[0]
            left_seconds = since + _KEPT_SECONDS - self._loop.time()
            if left_seconds > 0:
                self._sweeping = self._loop.call_later(left_seconds, self._sweep)
                return
            self._idle.popleft()
            connection.abort()

    async def connected(self) -> EngineConnection:
        """Return a new connection.

        Raises:
            EngineUnreachable: The engine cannot be connected to.
        """
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
