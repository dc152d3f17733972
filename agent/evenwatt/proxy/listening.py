"""Listens for clients, and lets them go in order."""

import asyncio
from collections.abc import Callable
from contextlib import suppress

from evenwatt.errors import EvenwattError
from evenwatt.proxy.client_connection import Begun, ClientConnection
from evenwatt.proxy.client_request import ClientRequest

__all__ = ["Listener", "address_error"]

_BACKLOG = 1024
_CUT_SECONDS = 1.0
"""How long accounts of what is cut off may take."""


class Listener:
    """One address that clients come to.

    Args:
        begin: As for `ClientConnection`.
        idle_seconds: As there.
        drain_seconds: How long running answers may take to end.

    Attributes:
        port: Once it listens.
    """

    def __init__(
        self,
        begin: Callable[[ClientRequest], Begun],
        *,
        idle_seconds: float,
        drain_seconds: float,
    ) -> None:
        self.port = 0
        self._begin = begin
        self._idle_seconds = idle_seconds
        self._drain_seconds = drain_seconds
        self._connections: set[ClientConnection] = set()
        self._is_empty = asyncio.Event()
        self._is_empty.set()
        self._server: asyncio.Server | None = None

    async def start(self, host: str, port: int) -> None:
        """Listen.

        Raises:
            OSError: The address cannot be used.
        """
        self._server = await asyncio.get_running_loop().create_server(
            lambda: ClientConnection(self._begin, self._idle_seconds, self._made, self._lost),
            host,
            port,
            backlog=_BACKLOG,
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Listen no more, wait for running answers, and cut what runs longer than it may."""
        if self._server is None:
            return
        self._server.close()
        for connection in tuple(self._connections):
            connection.end_when_idle()
        await self._gone(self._drain_seconds)
        self.end_now()
        await self._gone(_CUT_SECONDS)

    def end_now(self) -> None:
        """Cut off what still runs."""
        for connection in tuple(self._connections):
            connection.abort()

    async def _gone(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._is_empty.wait()

    def _made(self, connection: ClientConnection) -> None:
        self._connections.add(connection)
        self._is_empty.clear()

    def _lost(self, connection: ClientConnection) -> None:
        self._connections.discard(connection)
        if not self._connections:
            self._is_empty.set()


def address_error(key: str, host: str, port: int, error: OSError) -> EvenwattError:
    """Return what to say of an address that cannot be listened on."""
    return EvenwattError(
        f"{key}: cannot listen on {host}:{port}: {error.strerror or error}. Is the engine or another "
        "proxy still there? Move it, or give the proxy a free address"
    )
