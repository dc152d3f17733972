"""One connection to the engine: requests out as bytes, answers in as they come, piece by piece.

httptools reads the answers: it tells every chunk and every trailer, and reads a piece in microseconds, which
the first token of an answer waits for.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Final, cast

import httptools
from multidict import CIMultiDict

from evenwatt.errors import EngineBroke
from evenwatt.proxy.pieces import Pieces

__all__ = ["EngineAnswer", "EngineConnection"]

_MOST_HEAD_BYTES = 1 << 18
_FIRST_FINAL_STATUS: Final = 200


class EngineAnswer:
    """An answer whose head has come; its body is still to be read.

    Attributes:
        status: Its code.
        reason: Its words; may be empty.
        headers: Names and values as they were sent.
        trailers: What came after the last chunk; there once the body was read to its end.
    """

    def __init__(
        self, status: int, reason: str, headers: CIMultiDict[str], source: "EngineConnection"
    ) -> None:
        self.status = status
        self.reason = reason
        self.headers = headers
        self.trailers: list[tuple[bytes, bytes]] = []
        self._source = source

    async def read(self) -> bytes:
        """Return the next piece of the body as it came, never more than one chunk; nothing at its end.

        Raises:
            EngineBroke: The engine broke off before the end.
        """
        return await self._source.read()

    @property
    def has_more(self) -> bool:
        """Whether `read` would return at once."""
        return self._source.has_more

    def close(self) -> None:
        """Let go of the connection: back to the others where the answer was read to its end, else cut."""
        self._source.release()


class EngineConnection(asyncio.Protocol):
    """Carries one exchange at a time.

    Args:
        address: Of the engine, for errors.
        give_back: Is handed this connection when it can carry another exchange.
    """

    def __init__(self, address: str, give_back: Callable[["EngineConnection"], None]) -> None:
        self._address = address
        self._give_back = give_back
        self._transport: asyncio.Transport | None = None
        self._loop = asyncio.get_running_loop()
        self._may_write = asyncio.Event()
        self._may_write.set()
        self._fault: EngineBroke | None = None
        self._is_closed = False
        self._sending: asyncio.Task[None] | None = None
        self._begin(is_head=False)

    def _begin(self, *, is_head: bool) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._is_head = is_head
        self._head: asyncio.Future[EngineAnswer] | None = None
        self._answer: EngineAnswer | None = None
        self._reason = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._head_bytes = 0
        self._pieces = Pieces()
        self._is_complete = False
        self._may_be_kept = False
        self._ends_with_connection = False
        self._is_paused = False

    @property
    def is_open(self) -> bool:
        """Whether another exchange can be begun on it."""
        return not self._is_closed and self._transport is not None and not self._transport.is_closing()

    @property
    def has_more(self) -> bool:
        """Whether `read` would return at once."""
        return bool(self._pieces) or self._is_complete

    async def exchanged(
        self, head: bytes, body: AsyncIterator[bytes] | None, *, is_head: bool, is_chunked: bool
    ) -> EngineAnswer:
        """Send a request and return its answer once the head of it is there.

        Args:
            head: The request's, its empty line included, with a body that is held behind it.
            body: The pieces of a body that is not.
            is_head: Whether the answer has no body whatever its headers say.
            is_chunked: Whether the pieces are to be framed.

        Raises:
            EngineBroke: The engine broke off, or does not speak HTTP.
        """
        self._begin(is_head=is_head)
        self._head = self._loop.create_future()
        transport = cast("asyncio.Transport", self._transport)
        transport.write(head)
        if body is not None:
            self._sending = asyncio.create_task(self._send(body, is_chunked=is_chunked))
        try:
            return await self._head
        except BaseException:
            self.abort()
            raise

    async def _send(self, body: AsyncIterator[bytes], *, is_chunked: bool) -> None:
        transport = cast("asyncio.Transport", self._transport)
        try:
            async for piece in body:
                transport.write(b"%x\r\n%b\r\n" % (len(piece), piece) if is_chunked else piece)
                await self._may_write.wait()
                if self._is_closed:
                    return
            if is_chunked:
                transport.write(b"0\r\n\r\n")
        except Exception as error:  # noqa: BLE001 -- the client has gone in one of many ways: the rest is lost
            self._break(f"the request broke off: {error}")
            self.abort()

    async def read(self) -> bytes:
        """Return the next piece of the body; nothing at its end."""
        while not self._pieces:
            if self._is_complete:
                return b""
            if self._fault is not None:
                raise self._fault
            await self._pieces.changed()
        piece = self._pieces.take()
        if self._is_paused and self._pieces.are_few and self._transport is not None:
            self._is_paused = False
            self._transport.resume_reading()
        return piece

    def release(self) -> None:
        """Give it back where its exchange has ended in order, else cut it, so that the engine stops."""
        is_sent = self._sending is None or self._sending.done()
        if self._is_complete and self._may_be_kept and is_sent and self.is_open and not self._pieces:
            self._give_back(self)
        else:
            self.abort()

    def abort(self) -> None:
        """Cut it."""
        if self._sending is not None:
            self._sending.cancel()
        if self._transport is not None:
            self._transport.abort()

    # --- asyncio's side ------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Read on in the answer."""
        if self._head is None or self._is_complete or self._fault is not None:
            self.abort()  # nobody asked for it
            return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            if not self._is_complete:
                self._break(f"answered something that is no HTTP: {error}")
            self.abort()
        self._pieces.wake()

    def eof_received(self) -> bool:
        """Take the end: of the answer where it has no other, else of our patience."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell whoever waits."""
        self._is_closed = True
        self._may_write.set()
        if self._answer is not None and self._ends_with_connection and exc is None:
            self._is_complete = True
        if not self._is_complete:
            self._break(str(exc or "closed the connection"))
        self._pieces.wake()

    def pause_writing(self) -> None:
        """Hold the request's body back."""
        self._may_write.clear()

    def resume_writing(self) -> None:
        """Go on with the request's body."""
        self._may_write.set()

    # --- the parser's side ---------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """Refuse a second answer to one request."""
        if self._answer is not None:
            raise ValueError("more than was asked for")

    def on_status(self, status: bytes) -> None:
        """Note the words behind the code."""
        self._reason += status

    def on_header(self, name: bytes, value: bytes) -> None:
        """Note a header, or a trailer behind the body."""
        self._head_bytes += len(name) + len(value)
        if self._head_bytes > _MOST_HEAD_BYTES:
            raise ValueError("the headers are too long")
        if self._answer is None:
            self._headers.append((name, value))
        else:
            self._answer.trailers.append((name, value))

    def on_headers_complete(self) -> None:
        """Hand the answer out; one that only tells of another to come is passed over."""
        status = self._parser.get_status_code()
        if status < _FIRST_FINAL_STATUS:
            self._headers, self._reason = [], b""
            return
        headers = CIMultiDict((_text(name), _text(value)) for name, value in self._headers)
        answer = self._answer = EngineAnswer(status, _text(self._reason), headers, self)
        is_framed = "Content-Length" in headers or "chunked" in headers.get("Transfer-Encoding", "").lower()
        self._ends_with_connection = not is_framed and not self._is_head
        if self._is_head:
            self._is_complete = True  # and what the parser waits for never comes, so it is not kept
        if self._head is not None and not self._head.done():
            self._head.set_result(answer)

    def on_body(self, body: bytes) -> None:
        """Queue a piece, and let the engine wait where too much is queued."""
        self._pieces.put(body)
        if self._pieces.are_too_many and not self._is_paused and self._transport is not None:
            self._is_paused = True
            self._transport.pause_reading()

    def on_message_complete(self) -> None:
        """Note the end of an answer."""
        if self._answer is not None:
            self._is_complete = True
            self._may_be_kept = self._parser.should_keep_alive()

    def _break(self, why: str) -> None:
        self._fault = EngineBroke(f"{self._address} {why}")
        if self._head is not None and not self._head.done():
            self._head.set_exception(self._fault)


def _text(raw: bytes) -> str:
    """Return a header as text: UTF-8, or else the Latin-1 that HTTP had once, which goes on as UTF-8."""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1")
