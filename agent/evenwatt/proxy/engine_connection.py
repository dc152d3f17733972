"""One connection to the engine: requests out as bytes, answers in as they come, piece by piece.

httptools reads the answers: it tells every chunk and every trailer, and reads a piece in microseconds, which
the first token of an answer waits for.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Final, Protocol, cast

import httptools

from evenwatt.errors import EngineBroke
from evenwatt.proxy.headers import Field, Headers
from evenwatt.proxy.pieces import Pieces

__all__ = ["EngineAnswer", "EngineConnection", "Receiver"]

_MOST_HEAD_BYTES = 1 << 18
_FIRST_FINAL_STATUS: Final = 200


class EngineAnswer:
    """An answer whose head has come; its body is still to be read.

    Attributes:
        status: Its code.
        reason: Its words; may be empty.
        headers: As they were sent.
        trailers: What came after the last chunk; there once the body was read to its end.
    """

    def __init__(self, status: int, reason: bytes, headers: Headers, source: "EngineConnection") -> None:
        self.status = status
        self.reason = reason
        self.headers = headers
        self.trailers: list[tuple[bytes, bytes]] = []
        self._source = source

    @property
    def is_framed(self) -> bool:
        """Whether the answer says itself where it ends; else it ends with the connection."""
        first = self.headers.first
        return b"content-length" in first or b"chunked" in first.get(b"transfer-encoding", b"").lower()

    def take(self) -> bytes | None:
        """Return the next piece of the body as it came, never more than one chunk; nothing at its end.

        None where it has not come yet; then wait for `changed`.

        Raises:
            EngineBroke: The engine broke off before the end.
        """
        return self._source.take()

    async def changed(self) -> None:
        """Wait until `take` returns something, or raises."""
        await self._source.changed()

    async def read(self) -> bytes:
        """Return the next piece, as `take` does, once it has come.

        Raises:
            EngineBroke: As there.
        """
        while (piece := self.take()) is None:
            await self.changed()
        return piece

    def close(self) -> None:
        """Let go of the connection: back to the others where the answer was read to its end, else cut."""
        self._source.release()


class Receiver(Protocol):
    """Takes an answer in the call that brings it; what it does not take waits for `EngineAnswer.take`."""

    def take_head(self, answer: EngineAnswer) -> None:
        """Take the head."""

    def take_piece(self, piece: bytes) -> bool:
        """Take a piece of the body, or return False: it waits then, and the next ones behind it."""

    def take_pause(self) -> None:
        """Take that no more has come for now, and that this is not all."""


class EngineConnection(asyncio.Protocol):
    """Carries one exchange at a time.

    Args:
        address: Of the engine, for errors.
        give_back: Is handed this connection when it can carry another exchange.
    """

    _transport: asyncio.Transport

    def __init__(self, address: str, give_back: Callable[["EngineConnection"], None]) -> None:
        self._address = address
        self._give_back = give_back
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
        self._receiver: Receiver | None = None
        self._answer: EngineAnswer | None = None
        self._reason = b""
        self._fields: list[Field] = []
        self._head_bytes = 0
        self._trailer_bytes = 0
        self._pieces = Pieces()
        self._is_complete = False
        self._may_be_kept = False
        self._is_paused = False

    @property
    def is_open(self) -> bool:
        """Whether another exchange can be begun on it."""
        return not (self._is_closed or self._transport.is_closing())

    def exchange(
        self,
        head: bytes,
        body: bytes | AsyncIterator[bytes],
        *,
        is_head: bool,
        is_chunked: bool,
        receiver: Receiver | None = None,
    ) -> asyncio.Future[EngineAnswer]:
        """Send a request; its answer is there once the head of it has come. Whoever does not wait aborts.

        Args:
            head: The request's, its empty line included.
            body: All of it, or its pieces.
            is_head: Whether the answer has no body whatever its headers say.
            is_chunked: Whether the pieces are to be framed.
            receiver: Takes the answer as it comes.

        The answer raises:
            EngineBroke: The engine broke off, or does not speak HTTP.
        """
        self._is_complete = False  # whatever happens from here on, it is given back only with an answer
        self._transport.write(head + body if isinstance(body, bytes) else head)
        self._begin(is_head=is_head)
        self._receiver = receiver
        self._head = self._loop.create_future()
        if not isinstance(body, bytes):
            self._sending = asyncio.create_task(self._send(body, is_chunked=is_chunked))
        return self._head

    async def _send(self, body: AsyncIterator[bytes], *, is_chunked: bool) -> None:
        transport = self._transport
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

    def take(self) -> bytes | None:
        """Return the next piece, as `EngineAnswer.take` does."""
        if not self._pieces:
            if self._is_complete:
                return b""
            if self._fault is not None:
                raise self._fault
            return None
        piece = self._pieces.take()
        if self._is_paused and self._pieces.are_few:
            self._is_paused = False
            self._transport.resume_reading()
        return piece

    async def changed(self) -> None:
        """Wait until `take` returns something, or raises."""
        if not (self._pieces or self._is_complete or self._fault is not None):
            await self._pieces.changed()

    def release(self) -> None:
        """Give it back where its exchange has ended in order, else cut it, so that the engine stops."""
        self._receiver = None
        is_sent = self._sending is None or self._sending.done()
        if self._is_complete and self._may_be_kept and is_sent and self.is_open and not self._pieces:
            self._give_back(self)
        else:
            self.abort()

    def abort(self) -> None:
        """Cut it."""
        if self._sending is not None:
            self._sending.cancel()
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
            if isinstance(error.__context__, Exception) and not isinstance(error.__context__, ValueError):
                raise  # a fault of ours, in what is done with the answer
            if not self._is_complete:
                self._break(f"answered something that is no HTTP: {error.__context__ or error}")
            self.abort()
        if self._answer is None:
            self._head_bytes += len(data)
            if self._head_bytes > _MOST_HEAD_BYTES:
                self._break("answered headers that are too long")
                self.abort()
        elif self._receiver is not None and not self._is_complete:
            self._receiver.take_pause()
        self._tell()
        if self._pieces or self._is_complete or self._fault is not None:
            self._pieces.wake()

    def eof_received(self) -> bool:
        """Take the end: of the answer where it has no other, else of our patience."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell whoever waits."""
        self._is_closed = True
        self._may_write.set()
        if self._answer is not None and exc is None and not self._answer.is_framed:
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
        if self._answer is None:
            self._fields.append((name, value))
            return
        self._trailer_bytes += len(name) + len(value)
        if self._trailer_bytes > _MOST_HEAD_BYTES:
            raise ValueError("the trailers are too long")
        self._answer.trailers.append((name, value))

    def on_headers_complete(self) -> None:
        """Hand the answer out; one that only tells of another to come is passed over."""
        status = self._parser.get_status_code()
        if status < _FIRST_FINAL_STATUS:
            self._fields, self._reason = [], b""
            return
        if (
            self._head_bytes
            and sum(len(name) + len(value) for name, value in self._fields) > _MOST_HEAD_BYTES
        ):
            raise ValueError("the headers are too long")
        answer = self._answer = EngineAnswer(status, self._reason, Headers(self._fields), self)
        if self._is_head:
            self._is_complete = True  # and what the parser waits for never comes, so it is not kept
        if self._receiver is not None:
            self._receiver.take_head(answer)

    def on_body(self, body: bytes) -> None:
        """Hand a piece out, or queue it, and let the engine wait where too much is queued."""
        if self._is_complete:
            return  # behind an answer that has no body
        if self._receiver is not None and not self._pieces and self._receiver.take_piece(body):
            return
        if self._pieces.put(body) and not self._is_paused:
            self._is_paused = True
            self._transport.pause_reading()

    def on_message_complete(self) -> None:
        """Note the end of an answer."""
        if self._answer is not None:
            self._is_complete = True
            self._may_be_kept = self._parser.should_keep_alive()

    def _break(self, why: str) -> None:
        self._fault = EngineBroke(f"{self._address} {why}")
        self._tell()

    def _tell(self) -> None:
        """Tell who waits for the head that it has come, or that none will come."""
        if self._head is None or self._head.done():
            return
        if self._answer is not None:
            self._head.set_result(self._answer)
        elif self._fault is not None:
            self._head.set_exception(self._fault)
