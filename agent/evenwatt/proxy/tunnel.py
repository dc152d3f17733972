"""Passes a WebSocket on: after the upgrade both sides are joined, and no byte of either is looked at.

The connection to the engine is used for this one client and closed with it, so whatever either side makes of
the bytes can reach nobody else.
"""

import asyncio
import re
from collections.abc import Mapping
from typing import Final

from evenwatt.proxy.client_connection import ClientConnection
from evenwatt.proxy.client_request import ClientRequest
from evenwatt.proxy.upstream import Upstream

__all__ = ["tunnelled"]

_READ_BYTES = 1 << 16
_MOST_WAITING_BYTES = 1 << 18
_IDLE_SECONDS = 10.0
_SWITCHING = re.compile(rb"HTTP/1\.1 101[ \r]")
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d+)[ \t]*\r\n", re.IGNORECASE)


_UPGRADE: Final = {b"connection": b"Upgrade", b"upgrade": b"websocket"}


async def tunnelled(
    request: ClientRequest, target: bytes, upstream: Upstream, changes: Mapping[bytes, bytes]
) -> None:
    """Join a client that asks for a WebSocket and the engine, until one of them leaves.

    Args:
        request: The client's.
        target: Path and query.
        upstream: The engine.
        changes: Of the headers, as `Headers.lines` takes them.

    Raises:
        ConnectionResetError: Always, at the end: there is nothing left of the connection to be answered on.
    """
    reader, writer = await upstream.streams()
    try:
        lines = request.headers.lines({**changes, **_UPGRADE})
        writer.write(upstream.head(request.method, target, lines))
        head = await reader.readuntil(b"\r\n\r\n")
        client = request.connection
        client.send(head)
        if _SWITCHING.match(head):
            client.hand_over(_ToEngine(writer, client))
            await _copied(reader, client)
        else:
            await _copied_refusal(head, reader, client)
        client.close()
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
        raise ConnectionResetError("the engine did not answer the upgrade") from error
    finally:
        writer.close()
    raise ConnectionResetError("the tunnel has ended")


async def _copied(reader: asyncio.StreamReader, client: ClientConnection) -> None:
    while data := await reader.read(_READ_BYTES):
        await _sent(data, client)


async def _copied_refusal(head: bytes, reader: asyncio.StreamReader, client: ClientConnection) -> None:
    """Copy the body of an answer that is no upgrade; without a length, until nothing more comes."""
    length = _LENGTH.search(head)
    rest = int(length[1]) if length else None
    while rest is None or rest > 0:
        try:
            async with asyncio.timeout(_IDLE_SECONDS):
                data = await reader.read(_READ_BYTES if rest is None else min(rest, _READ_BYTES))
        except TimeoutError:
            return
        if not data:
            return
        rest = None if rest is None else rest - len(data)
        await _sent(data, client)


async def _sent(data: bytes, client: ClientConnection) -> None:
    client.send(data)
    await client.drained()


class _ToEngine:
    """Takes what the client sends after the upgrade, as its connection hands it over."""

    def __init__(self, writer: asyncio.StreamWriter, client: ClientConnection) -> None:
        self._writer = writer
        self._client = client
        self._resuming: asyncio.Task[None] | None = None

    def feed_data(self, data: bytes) -> None:
        """Pass it on, and let the client wait while the engine takes no more."""
        self._writer.write(data)
        waiting = self._writer.transport.get_write_buffer_size()
        if waiting > _MOST_WAITING_BYTES and self._resuming is None:
            self._client.pause()
            self._resuming = asyncio.create_task(self._resume())

    def feed_eof(self) -> None:
        """Pass on that the client has ended."""
        self._writer.close()

    async def _resume(self) -> None:
        try:
            await self._writer.drain()
        finally:
            self._resuming = None
            self._client.resume()
