"""One client's connection: requests in as they come, one after another; answers out as they are written.

httptools reads the requests, with llhttp's strict rules: what two servers could read in two ways is refused.
"""

import asyncio
import json
import logging
from collections import deque
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Final, Protocol, cast

import httptools

from evenwatt.proxy.client_request import ClientRequest
from evenwatt.proxy.headers import Field, Headers

__all__ = ["MOST_FIELD_BYTES", "MOST_HEADERS", "Begun", "ClientConnection", "Tunnel"]

_log = logging.getLogger("evenwatt.proxy")

MOST_FIELD_BYTES: Final = 64 * 1024
"""The longest header, and request line, that is taken from a client: no shorter than what engines take."""
MOST_HEADERS: Final = 256

_MOST_HEAD_BYTES = 256 * 1024
_LEAST_BYTES_OF_TOO_MUCH = 4 * MOST_HEADERS
"""Shorter heads have neither too many headers nor too long ones: the shortest line is `a:` and its end."""
_MOST_WAITING_REQUESTS = 16
_SOON_SECONDS = 0.001
_LINGERING_SECONDS = 10.0
"""How long the rest of a request is taken and thrown away that the engine answered before it was whole."""

_EXPECTATION_FAILED, _INTERNAL_ERROR = 417, 500
_BODILESS: Final = frozenset({204, 304})


class Begun(Protocol):
    """An answer to a request, that is on its way."""

    async def ended(self) -> None:
        """Go on to its end."""

    def abort(self) -> None:
        """End it where nobody has gone on to its end, and nobody will."""


class Tunnel(Protocol):
    """Takes the bytes of a connection that has left HTTP."""

    def feed_data(self, data: bytes) -> None:
        """Take some."""

    def feed_eof(self) -> None:
        """Take the end."""


class ClientConnection(asyncio.Protocol):
    """Carries requests one after another, each to its answer.

    Args:
        begin: Begins to answer a request on this connection, as far as nothing has to be waited for. To go on
            to its end is cancelled when the client goes, and raises `ConnectionError` where it has no end.
        idle_seconds: How long the connection may be idle, or be without a whole head of a request.
        made: Is told of this one when it is open.
        lost: Is told of it when it is not any more.

    Attributes:
        is_closed: Whether the client has gone.
        is_full: Whether it takes no more for now; then `drained` waits until it does.
        remote: Its address; empty for a socket without one.
    """

    _transport: asyncio.Transport

    def __init__(
        self,
        begin: Callable[[ClientRequest], Begun],
        idle_seconds: float,
        made: Callable[["ClientConnection"], None],
        lost: Callable[["ClientConnection"], None],
    ) -> None:
        self.is_closed = False
        self.remote = ""
        self._begin_request = begin
        self._passage: Begun | None = None  # before the task has got to its request
        self._idle_seconds = idle_seconds
        self._made, self._lost = made, lost
        self._loop = asyncio.get_running_loop()
        self._serving: asyncio.Task[None] | None = None
        self._requests: deque[ClientRequest] = deque()
        self._next: asyncio.Future[None] | None = None
        self._patience: asyncio.TimerHandle | None = None
        self._idle_since: float | None = None  # None while it is not; in the loop's time
        self.is_full = False
        self._drained: asyncio.Future[None] | None = None
        self._tunnel: Tunnel | None = None
        self._has_asked_for_tunnel = False
        self._before_tunnel = b""
        self._is_ending = False
        self._is_broken = False
        self._is_busy = True  # until the task waits for a request
        self._is_paused = False
        self._unsent: list[bytes] = []
        self._soon: asyncio.TimerHandle | None = None
        self._is_chunked = False
        self._has_head = False
        self._begin_parsing()

    def _begin_parsing(self) -> None:
        self._parser = httptools.HttpRequestParser(self)
        self._reading: ClientRequest | None = None
        self._target = b""
        self._fields: list[Field] = []
        self._head_bytes: int | None = None  # of a head that has begun and not ended
        self._came_bytes = 0  # of it, with what is being read

    # --- for the one who answers ---------------------------------------------------------------------------

    def begin_answer(
        self, request: ClientRequest, status: int, reason: bytes, lines: list[bytes], *, has_length: bool
    ) -> None:
        """Begin an answer, whose head goes with the first `flush`.

        Args:
            request: Which is answered.
            status: The code.
            reason: The words behind it.
            lines: Of the headers, without those between neighbours.
            has_length: Whether they tell the length of the body.
        """
        self._has_head = True
        is_modern = request.version == "1.1"
        self._is_chunked = False
        if not (has_length or request.method == b"HEAD" or status in _BODILESS):
            if is_modern:
                self._is_chunked = True
                lines.append(b"Transfer-Encoding: chunked\r\n")
            else:
                request.is_last = True
        if self._is_ending or request.awaits_word:
            request.is_last = True  # whether a body comes behind this is the client's to say
        if request.is_last is is_modern:  # else the version says it
            lines.append(b"Connection: close\r\n" if is_modern else b"Connection: keep-alive\r\n")
        first_line = b"HTTP/1.1 %d %b\r\n" if is_modern else b"HTTP/1.0 %d %b\r\n"
        self._unsent += (first_line % (status, reason), *lines, b"\r\n")

    def put(self, piece: bytes) -> None:
        """Add a piece to the answer's body, as a chunk of its own, that `flush` or `end` sends."""
        if self._soon is not None:
            self._soon.cancel()
            self._soon = None
        self._unsent.append(b"%x\r\n%b\r\n" % (len(piece), piece) if self._is_chunked else piece)

    def flush(self) -> None:
        """Send all that was put; nothing where the client has gone, which `drained` tells."""
        if self._soon is not None:
            self._soon.cancel()
            self._soon = None
        if self._unsent:
            if not (self.is_closed or self._transport.is_closing()):
                self._transport.write(b"".join(self._unsent))
            self._unsent.clear()

    def flush_soon(self) -> None:
        """Send all that was put in a millisecond, unless more is put before."""
        if self._soon is None:
            self._soon = self._loop.call_later(_SOON_SECONDS, self.flush)

    async def end(self, piece: bytes = b"", trailers: Iterable[tuple[bytes, bytes]] = ()) -> None:
        """End the answer, with a last piece of its body where there is one."""
        if piece:
            self.put(piece)
        if self._is_chunked:
            lines = (name + b": " + value for name, value in trailers)
            self._unsent.append(b"\r\n".join((b"0", *lines, b"", b"")))
        self.flush()
        await self.drained()

    async def answer(self, request: ClientRequest, status: int, error: str) -> None:
        """Answer with an error of our own."""
        body = json.dumps({"error": f"evenwatt proxy: {error}"}).encode()
        lines = [
            b"Content-Type: application/json; charset=utf-8\r\n",
            b"Content-Length: %d\r\n" % len(body),
        ]
        self.begin_answer(request, status, HTTPStatus(status).phrase.encode(), lines, has_length=True)
        await self.end(b"" if request.method == b"HEAD" else body)

    def send(self, data: bytes) -> None:
        """Send bytes as they are.

        Raises:
            ConnectionResetError: The client has gone.
        """
        if self.is_closed or self._transport.is_closing():
            raise ConnectionResetError("the client has gone")
        self._transport.write(data)

    async def drained(self) -> None:
        """Wait while the client takes no more.

        Raises:
            ConnectionResetError: It has gone.
        """
        while self.is_full:
            self._drained = self._loop.create_future()
            await self._drained
        if self.is_closed or self._transport.is_closing():
            raise ConnectionResetError("the client has gone")

    def hand_over(self, tunnel: Tunnel) -> None:
        """Hand all that the client sends from now on to a tunnel."""
        self._tunnel = tunnel
        tunnel.feed_data(self._before_tunnel)
        self._before_tunnel = b""
        self.resume()

    def pause(self) -> None:
        """Let the client wait with what it sends."""
        if not self._is_paused and not self._transport.is_closing():
            self._is_paused = True
            self._transport.pause_reading()

    def resume(self) -> None:
        """Take more of what it sends."""
        if self._is_paused and not self._transport.is_closing():
            self._is_paused = False
            self._transport.resume_reading()

    def close(self) -> None:
        """Close it once all is sent."""
        self._transport.close()

    def abort(self) -> None:
        """Cut it."""
        self._transport.abort()

    def end_when_idle(self) -> None:
        """Close it with the end of the answer that runs, at once where none does."""
        self._is_ending = True
        if not self._is_busy and not self._requests:
            self.close()

    # --- one request after another -------------------------------------------------------------------------

    async def _serve(self) -> None:
        try:
            while not self._is_ending:
                request = await self._next_request()
                if request is None:
                    await self._refuse()
                    break
                await self._answered(request)
                if request.is_last or not await self._rest_taken(request):
                    break
        except ConnectionError:
            pass  # one of the two sides has gone: the other one sees just that
        finally:
            if self._passage is not None:
                self._passage.abort()
            self.close()

    async def _next_request(self) -> ClientRequest | None:
        """Return the next request; None where what came is none."""
        self._is_busy = False
        while not self._requests:
            if self._is_broken:
                return None
            self._next = self._loop.create_future()
            await self._next
        self._is_busy = True
        request = self._requests.popleft()
        if len(self._requests) < _MOST_WAITING_REQUESTS:
            self.resume()
        return request

    async def _answered(self, request: ClientRequest) -> None:
        expected = request.headers.first.get(b"expect", b"").lower()
        if expected not in {b"", b"100-continue"}:
            request.is_last = True
            shown = expected.decode("utf-8", "replace")
            await self.answer(request, _EXPECTATION_FAILED, f"cannot meet the expectation {shown}")
            return
        try:
            passage, self._passage = self._passage or self._begin_request(request), None
            await passage.ended()
        except ConnectionError:
            raise
        except Exception:  # noqa: BLE001 -- one request must not end the others
            _log.exception(
                "a request to %s failed here; please report this", request.target.decode("utf-8", "replace")
            )
            request.is_last = True
            if self._has_head:
                raise ConnectionResetError("the answer has no end") from None
            await self.answer(
                request, _INTERNAL_ERROR, "the request failed here, and the log of the proxy says why"
            )
        self._has_head = False

    async def _rest_taken(self, request: ClientRequest) -> bool:
        """Take what is left of an answered request; return whether it ended."""
        if not request.is_whole:
            try:
                async with asyncio.timeout(_LINGERING_SECONDS):
                    while await request.piece():
                        pass
            except TimeoutError:
                return False
        if not self._requests:
            self._idle_since = self._loop.time()
        return True

    def _look_whether_idle(self) -> None:
        """Close it where it was idle for too long; for all its requests there is one timer."""
        now = self._loop.time()
        idle_seconds = 0.0 if self._idle_since is None else now - self._idle_since
        left_seconds = self._idle_seconds - idle_seconds
        if left_seconds > 0:
            self._patience = self._loop.call_later(left_seconds, self._look_whether_idle)
        else:
            self.close()

    async def _refuse(self) -> None:
        body = b"400: this is no request that could be passed on\n"
        head = f"HTTP/1.1 400 Bad Request\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        self.send(head.encode() + body)

    # --- asyncio's side ------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport, and wait for a request."""
        self._transport = cast("asyncio.Transport", transport)
        peer = transport.get_extra_info("peername")
        self.remote = str(peer[0]) if isinstance(peer, tuple) else ""
        self._made(self)
        self._idle_since = self._loop.time()
        self._look_whether_idle()
        self._serving = self._loop.create_task(self._serve())

    def data_received(self, data: bytes) -> None:
        """Read on."""
        while data:
            if self._is_broken or self._has_asked_for_tunnel:
                self._keep_back(data)
                break
            data = self._parsed(data)
        if self._reading is not None:
            self._reading.pieces.wake()
        if self._requests and not self._is_busy:
            request = self._requests[0]
            if self._passage is None and request.is_whole and b"expect" not in request.headers.first:
                self._passage = self._begin_request(request)
            self._wake()

    def _parsed(self, data: bytes) -> bytes:
        """Let the parser read; return what it has left behind a request for another protocol."""
        self._came_bytes = len(data) + (self._head_bytes or 0)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            # The parser stops behind it. Where it is not passed on, requests go on.
            self._begin_parsing()
            return data[upgrade.args[0] :]
        except httptools.HttpParserError:
            self._break()
            return b""
        if self._head_bytes is not None:
            self._head_bytes += len(data)  # of one that has begun in it, with what came before
            if self._head_bytes > _MOST_HEAD_BYTES:
                self._break()
        return b""

    def _keep_back(self, data: bytes) -> None:
        """Take what is no request."""
        if self._tunnel is not None:
            self._tunnel.feed_data(data)
        elif not self._is_broken:
            self._before_tunnel += data
            self.pause()

    def _break(self) -> None:
        """Read no more: what came is no request."""
        self._is_broken = True
        self.pause()
        if self._reading is not None and self._reading in self._requests:
            self._requests.remove(self._reading)  # nobody has begun to pass it on
        elif self._reading is not None:
            self.abort()
        self._wake()

    def eof_received(self) -> bool:
        """Take the end of a client that asks nothing more; it sees no answer either."""
        if self._tunnel is not None:
            self._tunnel.feed_eof()
        elif self._serving is not None:
            self._serving.cancel()  # what is still to be sent may keep the connection for long
        return False

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 -- whichever way it went
        """End what is done for the client."""
        self.is_closed = True
        self._lost(self)
        if self._patience is not None:
            self._patience.cancel()
        if self._tunnel is not None:
            self._tunnel.feed_eof()
        self.resume_writing()
        if self._reading is not None:
            self._reading.pieces.wake()
        if self._serving is not None:
            self._serving.cancel()

    def pause_writing(self) -> None:
        """Hold the answer back."""
        self.is_full = True

    def resume_writing(self) -> None:
        """Go on with the answer."""
        self.is_full = False
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)

    # --- the parser's side ---------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """Begin a request."""
        self._target, self._fields, self._head_bytes = b"", [], 0

    def on_url(self, url: bytes) -> None:
        """Note a part of the target."""
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Note a header; trailers of a request are left out, as they may be."""
        if self._reading is None:
            self._fields.append((name, value))

    def on_headers_complete(self) -> None:
        """Hand the request out."""
        if self._came_bytes > _LEAST_BYTES_OF_TOO_MUCH:
            self._measure()
        self._head_bytes = self._idle_since = None
        request = self._reading = ClientRequest(self, self._parser, self._target, Headers(self._fields))
        self._has_asked_for_tunnel = request.is_websocket
        self._requests.append(request)
        if len(self._requests) >= _MOST_WAITING_REQUESTS:
            self.pause()

    def _measure(self) -> None:
        """Refuse a head that is more than is taken."""
        longest = max((len(name) + len(value) for name, value in self._fields), default=0)
        if len(self._fields) > MOST_HEADERS or max(longest, len(self._target)) > MOST_FIELD_BYTES:
            raise ValueError("the headers are too many or too long, or the target is")

    def on_body(self, body: bytes) -> None:
        """Hand a piece of the body out, and let the client wait where too much of it waits."""
        if self._reading is not None and self._reading.pieces.put(body):
            self.pause()

    def on_message_complete(self) -> None:
        """Note the end of a request."""
        if self._reading is not None:
            self._reading.is_whole = True
            self._reading.pieces.wake()
            self._reading = None

    def _wake(self) -> None:
        if self._next is not None and not self._next.done():
            self._next.set_result(None)
