"""The bodies of requests that could not be sent at once: streamed on, or held for a question."""

import asyncio
from collections.abc import AsyncIterator

from evenwatt.proxy.client_request import ClientRequest
from evenwatt.proxy.scanner import ObjectScanner

__all__ = ["Holding", "RequestBody"]

_PATIENCE_SECONDS = 60.0
"""How long a client may keep its next piece from us."""
_MOST_HELD_BYTES = 16 << 20
_MOST_HELD_BYTES_OF_ALL = 128 << 20


class RequestBody:
    """The body of one request that could not be sent at once.

    Args:
        request: Whose.
        scanner: Is fed with it, as the client wrote it; None where nothing in it matters.
        holding: Bounds what is held, until `let_go`.
    """

    def __init__(self, request: ClientRequest, scanner: ObjectScanner | None, holding: "Holding") -> None:
        self._request = request
        self._scanner = scanner
        self._holding = holding
        self._held: list[bytes] = []
        self._held_bytes = 0

    async def held(self) -> bytes | None:
        """Wait for all of the body and return it; None where it is longer than may be held."""
        if (self._request.content_length or 0) > _MOST_HELD_BYTES:
            return None
        while piece := await self._next():
            self._held.append(piece)
            self._held_bytes += len(piece)
            self._holding.all_bytes += len(piece)
            if self._held_bytes > _MOST_HELD_BYTES or self._holding.all_bytes > _MOST_HELD_BYTES_OF_ALL:
                return None
        return b"".join(self._held)

    async def pieces(self) -> AsyncIterator[bytes]:
        """Yield the body as it comes, after what is held of it."""
        for held in self._held:
            yield held
        self._held.clear()
        while piece := await self._next():
            yield piece

    def let_go(self) -> None:
        """Hold it no longer."""
        self._held.clear()
        self._holding.all_bytes -= self._held_bytes
        self._held_bytes = 0

    async def _next(self) -> bytes:
        if self._request.has_more:
            piece = await self._request.piece()
        else:
            try:
                async with asyncio.timeout(_PATIENCE_SECONDS):
                    piece = await self._request.piece()
            except TimeoutError:
                self._request.connection.close()
                raise ConnectionResetError("the client does not send the rest of its request") from None
        if self._scanner is not None:
            self._scanner.feed(piece)
        return piece


class Holding:
    """Bounds what all requests of a proxy hold together.

    Attributes:
        all_bytes: What is held now.
    """

    def __init__(self) -> None:
        self.all_bytes = 0
