"""The bodies of requests: streamed on as they come, or held where a question is added to them."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

from evenwatt.proxy.asking import Asked, asked_for_usage
from evenwatt.proxy.client_request import ClientRequest
from evenwatt.proxy.scanner import ObjectScanner

__all__ = ["Holding", "RequestBody"]

_PATIENCE_SECONDS = 60.0
"""How long a client may keep its next piece from us."""
_MOST_HELD_BYTES = 16 << 20
_MOST_HELD_BYTES_OF_ALL = 128 << 20
_SHORT_BYTES = 1 << 16


class RequestBody:
    """The body of one request.

    Args:
        request: Whose.
        scanner: Is fed with it, as the client wrote it.
        holding: Bounds what is held.

    Attributes:
        has_any: Whether there is a body.
        asked: What was asked for beyond what the client did; None where nothing was.
    """

    def __init__(
        self, request: ClientRequest, scanner: ObjectScanner | None = None, holding: "Holding | None" = None
    ) -> None:
        self.has_any = request.has_body
        self.asked: Asked | None = None
        self._request = request
        self._scanner = scanner
        self._holding = holding or Holding()
        self._held: list[bytes] = []
        self._is_whole = False
        self.held_bytes = 0

    async def ask_for_usage(self, *, running: bool) -> None:
        """Hold the body, and ask for usage in it where it is a stream's and the client did not.

        A body that is too long to be held, compressed, a form or no JSON object goes on as it is.
        """
        content_type = self._request.headers.get("Content-Type", "")
        is_form = content_type.lower().startswith("multipart/")  # sound to be transcribed, for one
        if not self.has_any or is_form or "Content-Encoding" in self._request.headers:
            return
        if not await self._held_whole() or self._scanner is None or not self._scanner.is_complete:
            return
        asked = asked_for_usage(b"".join(self._held), self._scanner.values, running=running)
        if asked is not None:
            self._held = [asked.body]
            self.asked = asked

    async def to_send(self) -> bytes | AsyncIterator[bytes] | None:
        """Return the body: whole where it is held or short, else its pieces; None where there is none."""
        if not self.has_any:
            return None
        announced = self._request.content_length
        if not self._is_whole and announced is not None and announced <= _SHORT_BYTES:
            await self._held_whole()
        return b"".join(self._held) if self._is_whole else self._pieces()

    async def _pieces(self) -> AsyncIterator[bytes]:
        """Yield what is to be sent."""
        for held in self._held:
            yield held
        self._held.clear()
        while piece := await self._next():
            yield piece

    async def _held_whole(self) -> bool:
        if (self._request.content_length or 0) > _MOST_HELD_BYTES:
            return False
        while piece := await self._next():
            self._held.append(piece)
            self.held_bytes += len(piece)
            self._holding.all_bytes += len(piece)
            if self.held_bytes > _MOST_HELD_BYTES or self._holding.all_bytes > _MOST_HELD_BYTES_OF_ALL:
                return False
        self._is_whole = True
        return True

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
        if piece and self._scanner is not None:
            self._scanner.feed(piece)
        return piece


class Holding:
    """Bounds what all requests of a proxy hold together.

    Attributes:
        all_bytes: What is held now.
    """

    def __init__(self) -> None:
        self.all_bytes = 0

    @contextmanager
    def body_of(self, request: ClientRequest, scanner: ObjectScanner) -> Iterator[RequestBody]:
        """Give the body of a request; what it held is let go of at the end."""
        body = RequestBody(request, scanner, self)
        try:
            yield body
        finally:
            self.all_bytes -= body.held_bytes
