"""One client's connection: requests in as they come, one after another; answers out as they are written.

httptools reads the requests, with llhttp's strict rules: what two servers could read in two ways is refused.
A general web server does the same, and takes as long again as all the rest of the way to the engine.
"""

import asyncio
import json
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from http import HTTPStatus
from typing import Final, Protocol, cast

import httptools
from multidict import CIMultiDict

from evenwatt.proxy.client_request import ClientRequest

__all__ = ["MOST_FIELD_BYTES", "MOST_HEADERS", "ClientConnection", "Tunnel"]

_log = logging.getLogger("evenwatt.proxy")

MOST_FIELD_BYTES: Final = 64 * 1024
"""The longest header, and request line, that is taken from a client: no shorter than what engines take."""
MOST_HEADERS: Final = 256

_MOST_HEAD_BYTES = 256 * 1024
_MOST_WAITING_REQUESTS = 16
_LINGERING_SECONDS = 10.0
"""How long the rest of a request is taken and thrown away that the engine answered before it was whole."""

_EXPECTATION_FAILED, _INTERNAL_ERROR = 417, 500
_BODILESS: Final = frozenset({204, 304})
_FIRST_FINAL_STATUS: Final = 200


class Tunnel(Protocol):
    """Takes the bytes of a connection that has left HTTP."""

    def feed_data(self, data: bytes) -> None:
        """Take some."""

    def feed_eof(self) -> None:
        """Take the end."""


class ClientConnection(asyncio.Protocol):
    """Carries requests one after another, each to its answer.

    Args:
        handle: Answers a request on this connection; ended by `asyncio.CancelledError` when the client goes.
            Raises `ConnectionError` where the answer has no end.
        idle_seconds: How long the connection may be idle, or be without a whole head of a request.
        made: Is told of this one when it is open.
        lost: Is told of it when it is not any more.

    Attributes:
        is_closed: Whether the client has gone.
        remote: Its address; empty for a socket without one.
    """

    def __init__(
        self,
        handle: Callable[[ClientRequest], Awaitable[None]],
        idle_seconds: float,
        made: Callable[["ClientConnection"], None],
        lost: Callable[["ClientConnection"], None],
    ) -> None:
        self.is_closed = False
        self.remote = ""
        self._handle = handle
        self._idle_seconds = idle_seconds
        self._made, self._lost = made, lost
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._serving: asyncio.Task[None] | None = None
        self._requests: deque[ClientRequest] = deque()
        self._next: asyncio.Future[None] | None = None
        self._patience: asyncio.TimerHandle | None = None
        self._may_write = asyncio.Event()
        self._may_write.set()
        self._tunnel: Tunnel | None = None
        self._has_asked_for_tunnel = False
        self._before_tunnel = b""
        self._is_ending = False
        self._is_broken = False
        self._is_busy = False
        self._is_paused = False
        self._unsent: list[bytes] = []
        self._is_chunked = False
        self._has_begun = False
        self._begin_parsing()

    def _begin_parsing(self) -> None:
        self._parser = httptools.HttpRequestParser(self)
        self._reading: ClientRequest | None = None
        self._target = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._head_bytes: int | None = None  # of a head that has begun and not ended

    # --- for the one who answers ---------------------------------------------------------------------------

    def begin(self, request: ClientRequest, status: int, reason: str, headers: CIMultiDict[str]) -> None:
        """Begin an answer, whose head goes with the first `flush`.

        Args:
            request: Which is answered.
            status: The code.
            reason: The words behind it.
            headers: All of it that are end to end.
        """
        has_body = request.method != "HEAD" and status >= _FIRST_FINAL_STATUS and status not in _BODILESS
        is_framed = "Content-Length" in headers or not has_body
        self._is_chunked = not is_framed and request.version == "1.1"
        if not is_framed and not self._is_chunked:
            request.is_last = True
        lines = [f"HTTP/{request.version} {status} {reason}"]
        lines += (f"{name}: {value}" for name, value in headers.items())
        if self._is_chunked:
            lines.append("Transfer-Encoding: chunked")
        if request.is_last or self._is_ending:
            request.is_last = True
            if request.version == "1.1":
                lines.append("Connection: close")
        elif request.version == "1.0":
            lines.append("Connection: keep-alive")
        self._has_begun = True
        head = "\r\n".join((*lines, "", "")).encode("utf-8", "surrogateescape")
        self._unsent.append(head)

    def put(self, piece: bytes) -> None:
        """Add a piece to the answer's body, as a chunk of its own, that `flush` or `end` sends."""
        self._unsent.append(b"%x\r\n%b\r\n" % (len(piece), piece) if self._is_chunked else piece)

    async def flush(self) -> None:
        """Send all that was put, and wait while the client takes no more.

        Raises:
            ConnectionResetError: The client has gone.
        """
        if self._unsent:
            unsent, self._unsent = self._unsent, []
            self.send(b"".join(unsent))
        if not self._may_write.is_set():
            await self.drained()

    async def end(self, piece: bytes = b"", trailers: Iterable[tuple[bytes, bytes]] = ()) -> None:
        """End the answer, with a last piece of its body where there is one."""
        if piece:
            self.put(piece)
        if self._is_chunked:
            lines = (name + b": " + value for name, value in trailers)
            self._unsent.append(b"\r\n".join((b"0", *lines, b"", b"")))
        await self.flush()

    async def answer(self, request: ClientRequest, status: int, error: str) -> None:
        """Answer with an error of our own."""
        body = json.dumps({"error": f"evenwatt proxy: {error}"}).encode()
        headers = CIMultiDict(
            {"Content-Type": "application/json; charset=utf-8", "Content-Length": str(len(body))}
        )
        self.begin(request, status, HTTPStatus(status).phrase, headers)
        await self.end(b"" if request.method == "HEAD" else body)

    def send(self, data: bytes) -> None:
        """Send bytes as they are.

        Raises:
            ConnectionResetError: The client has gone.
        """
        if self.is_closed or self._transport is None or self._transport.is_closing():
            raise ConnectionResetError("the client has gone")
        self._transport.write(data)

    async def drained(self) -> None:
        """Wait while the client takes no more."""
        await self._may_write.wait()
        if self.is_closed:
            raise ConnectionResetError("the client has gone")

    def hand_over(self, tunnel: Tunnel) -> None:
        """Hand all that the client sends from now on to a tunnel."""
        self._tunnel = tunnel
        tunnel.feed_data(self._before_tunnel)
        self.resume()

    def pause(self) -> None:
        """Let the client wait with what it sends."""
        if not self._is_paused and self._transport is not None and not self._transport.is_closing():
            self._is_paused = True
            self._transport.pause_reading()

    def resume(self) -> None:
        """Take more of what it sends."""
        if self._is_paused and self._transport is not None and not self._transport.is_closing():
            self._is_paused = False
            self._transport.resume_reading()

    def close(self) -> None:
        """Close it once all is sent."""
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Cut it."""
        if self._transport is not None:
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
        self._has_begun = False
        request = self._requests.popleft()
        if len(self._requests) < _MOST_WAITING_REQUESTS:
            self.resume()
        return request

    async def _answered(self, request: ClientRequest) -> None:
        expected = request.headers.get("Expect", "").lower()
        if expected not in {"", "100-continue"}:
            request.is_last = True
            await self.answer(request, _EXPECTATION_FAILED, f"cannot meet the expectation {expected}")
            return
        try:
            await self._handle(request)
        except ConnectionError:
            raise
        except Exception:  # noqa: BLE001 -- one request must not end the others
            _log.exception("a request to %s failed here; please report this", request.target)
            request.is_last = True
            if self._has_begun:
                raise ConnectionResetError("the answer has no end") from None
            await self.answer(
                request, _INTERNAL_ERROR, "the request failed here, and the log of the proxy says why"
            )

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
            self._patience = self._loop.call_later(self._idle_seconds, self.close)
        return True

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
        self._patience = self._loop.call_later(self._idle_seconds, self.close)
        self._serving = self._loop.create_task(self._serve())

    def data_received(self, data: bytes) -> None:
        """Read on."""
        # After a request for another protocol the parser stops. Where it is not passed on, requests go on.
        while data:
            if self._tunnel is not None:
                self._tunnel.feed_data(data)
                return
            if self._has_asked_for_tunnel:
                self._before_tunnel += data
                self.pause()
                return
            if self._is_broken:
                return
            data = self._parsed(data)

    def _parsed(self, data: bytes) -> bytes:
        """Let the parser read; return what it has left behind a request for another protocol."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._begin_parsing()
            return data[upgrade.args[0] :]
        except httptools.HttpParserError:
            self._break()
            return b""
        if self._head_bytes is not None:
            self._head_bytes += len(data)
            if self._head_bytes > _MOST_HEAD_BYTES:
                self._break()
        return b""

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
        return False

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 -- whichever way it went
        """End what is done for the client."""
        self.is_closed = True
        self._lost(self)
        if self._patience is not None:
            self._patience.cancel()
        if self._tunnel is not None:
            self._tunnel.feed_eof()
        self._may_write.set()
        if self._reading is not None:
            self._reading.pieces.wake()
        if self._serving is not None:
            self._serving.cancel()

    def pause_writing(self) -> None:
        """Hold the answer back."""
        self._may_write.clear()

    def resume_writing(self) -> None:
        """Go on with the answer."""
        self._may_write.set()

    # --- the parser's side ---------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """Begin a request."""
        self._target, self._headers, self._head_bytes = b"", [], 0

    def on_url(self, url: bytes) -> None:
        """Note a part of the target."""
        self._target += url
        if len(self._target) > MOST_FIELD_BYTES:
            raise ValueError("the target is too long")

    def on_header(self, name: bytes, value: bytes) -> None:
        """Note a header; trailers of a request are left out, as they may be."""
        if self._reading is not None:
            return
        self._headers.append((name, value))
        if len(self._headers) > MOST_HEADERS or len(name) + len(value) > MOST_FIELD_BYTES:
            raise ValueError("the headers are too many or too long")

    def on_headers_complete(self) -> None:
        """Hand the request out."""
        self._head_bytes = None
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None
        self._reading = ClientRequest(self, self._parser, self._target, self._headers)
        self._has_asked_for_tunnel = self._reading.is_websocket
        self._requests.append(self._reading)
        if len(self._requests) >= _MOST_WAITING_REQUESTS:
            self.pause()
        self._wake()

    def on_body(self, body: bytes) -> None:
        """Hand a piece of the body out, and let the client wait where too much of it waits."""
        if self._reading is not None:
            self._reading.pieces.put(body)
            self._reading.pieces.wake()
            if self._reading.pieces.are_too_many:
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
