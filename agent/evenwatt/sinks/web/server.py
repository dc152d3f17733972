"""The server: every answer is bytes that lie ready, or come from the desk; nothing here waits for a disk.

A thread of its own with its own event loop; the writer hands over finished pages by one assignment.
"""

import asyncio
import contextlib
import logging
import os
import socket
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Final, cast

from aiohttp import web

from evenwatt import clock
from evenwatt.errors import EvenwattError
from evenwatt.sinks.certificates import Certificates, Protection
from evenwatt.sinks.gate import Gate
from evenwatt.sinks.web.answers import Answer, Page, Pages, answer_of
from evenwatt.sinks.web.desk import Desk, Question
from evenwatt.sinks.web.files import with_sentence
from evenwatt.snapshot import Scrape

__all__ = ["WebServer"]

_log = logging.getLogger("evenwatt")

_MOST_CONNECTIONS = 64
"""Far more than scrapers and people have, and so few that engines and the history never lack descriptors."""
_MOST_UNREAD_BYTES = 131_072
"""Of a client, in the kernel, whose own bound is megabytes; they count as the agent's memory."""
_PATIENCE_SECONDS = 10.0
_COMPLAINT_SECONDS = 60.0
_LONGEST_NAME = 80

STREAM: Final = "/api/v1/stream"
_MOST_STREAMS = 16
_HEARTBEAT_SECONDS = 15.0
"""Proxies close what is silent for longer, and a listener that is gone is noticed by it."""
_LONGEST_QUERY = 200
_COMPRESSED_AT_ONCE = 16_384
"""Longer pages are compressed by a thread, so that nobody else waits for the milliseconds that it takes."""

_OPEN = Protection()

_SECURITY_HEADERS: Mapping[str, str] = {
    "X-Content-Type-Options": "nosniff",
    # The page may run and show its own files and ask its own agent, and no string ever becomes markup.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
        "require-trusted-types-for 'script'; trusted-types 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


class WebServer:
    """Serves the pages that it was last given.

    A client that says nothing, or half a request, or reads no answer, costs a connection for a while and
    nothing else.

    Attributes:
        port: Where it listens; a free one where 0 was asked for.
        last_scrape: The last time that somebody read /metrics.
    """

    def __init__(
        self,
        *,
        host: str,
        port: int,
        protection: Protection = _OPEN,
        local_path: Path | None = None,
        patience_seconds: float = _PATIENCE_SECONDS,
        questions: Mapping[str, Question | None] | None = None,
        ask: Callable[[Question], Page] | None = None,
    ) -> None:
        """Listen at once, so that an address in use stops the start and not the first scrape.

        Args:
            host: To listen at.
            port: To listen at; 0: a free one.
            protection: What is asked of clients.
            local_path: Of a socket for commands of this machine, for its own user and root; None: none.
            patience_seconds: How long a client may take to send a whole request, and to take an answer.
            questions: The paths that are looked up, and what to look up at the sight of "/" already.
            ask: Looks them up, in a thread of its own.

        Raises:
            EvenwattError: The address cannot be listened on, or the certificates cannot be used.
        """
        self._host, self._port = host, port
        self._protection, self._local_path = protection, local_path
        self._certificates = None if protection.tls is None else Certificates(protection.tls)
        self._patience_seconds = patience_seconds
        self._pages = Pages()
        self._questions = questions or {}
        self._ask = ask
        self._answers: dict[str, Answer] = {}
        self._streams = 0
        self.last_scrape: Scrape | None = None
        started: Future[int] = Future()
        self._thread = threading.Thread(target=self._run, args=(started,), name="web", daemon=True)
        self._thread.start()
        try:
            self.port = started.result()
        except OSError as error:
            raise EvenwattError(
                f"server.listen: cannot listen on {host}:{port}: {error.strerror or error}. Is another "
                "evenwatt or another program there? Set server.listen to a free address"
            ) from error

    def publish(self, pages: Pages) -> None:
        """Answer with these pages from now on.

        Raises:
            EvenwattError: Nothing answers any more, by a fault of ours; only a new start can mend that.
        """
        if not self._thread.is_alive():
            raise EvenwattError(
                f"the web server on port {self.port} has ended; start evenwatt again, and please report it"
            )
        self._pages = pages
        with contextlib.suppress(RuntimeError):  # the loop is ending
            self._loop.call_soon_threadsafe(self._tell_streams)

    def forget(self) -> None:
        """Look up anew whatever is asked from now on: other settings have come into force."""
        if self._desk is not None:
            with contextlib.suppress(RuntimeError):  # the loop is ending
                self._loop.call_soon_threadsafe(self._desk.forget)

    def close(self) -> None:
        """Stop answering."""
        with contextlib.suppress(RuntimeError):  # the loop has ended by itself
            self._loop.call_soon_threadsafe(self._closing.set)
        self._thread.join(timeout=1)

    def _run(self, started: "Future[int]") -> None:
        try:
            asyncio.run(self._serve(started))
        except BaseException as error:
            if started.done():
                raise
            started.set_exception(error)

    async def _serve(self, started: "Future[int]") -> None:
        self._loop, self._closing = asyncio.get_running_loop(), asyncio.Event()
        self._news = self._loop.create_future()
        self._desk = None if self._ask is None else Desk(self._ask, self._loop)
        self._loop.set_exception_handler(_Complaints())
        gate = [Gate(self._protection).middleware] if self._protection.is_any else []
        application = web.Application(client_max_size=1024, middlewares=gate)
        application.router.add_get("/{path:.*}", self._answer)
        runner = web.AppRunner(application, shutdown_timeout=0.5, handle_signals=False)
        await runner.setup()
        server = cast("web.Server", runner.server)

        def connection() -> _Connection:
            return _Connection(server, self._patience_seconds)

        try:
            tls = None if self._certificates is None else self._certificates.context
            listening = await self._loop.create_server(connection, self._host, self._port, ssl=tls)
            with contextlib.ExitStack() as open_ones:
                open_ones.enter_context(contextlib.closing(listening))
                if self._local_path is not None:
                    open_ones.enter_context(await _local(self._loop, connection, self._local_path))
                started.set_result(listening.sockets[0].getsockname()[1])
                await self._closing.wait()
        finally:
            self._tell_streams()
            if self._desk is not None:
                self._desk.close()
            await runner.cleanup()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        path = request.path
        if path == STREAM:
            return await self._stream(request)
        if path in self._questions and self._desk is not None:
            answer = await self._looked_up(request, self._desk)
        else:
            if path == "/metrics":
                user_agent = request.headers.get("User-Agent", "a program without a name")[:_LONGEST_NAME]
                self.last_scrape = Scrape(utc_seconds=clock.utc_seconds(), user_agent=user_agent)
            answer = await self._finished(path)
        return _response(answer, request)

    async def _finished(self, path: str) -> Answer:
        """Return the answer to a path of the snapshot, kept for whoever asks for it again."""
        page = _page(self._pages, path, self._questions)
        if path == "/":
            page = self._first(page)
        known = self._answers.get(path)
        if known is not None and known.page == page:
            return known
        if page.may_be_compressed and len(page.body) > _COMPRESSED_AT_ONCE:
            answer = await asyncio.to_thread(answer_of, page)
        else:
            answer = answer_of(page)
        if path in self._pages.by_path:
            self._answers[path] = answer
        return answer

    async def _looked_up(self, request: web.Request, desk: Desk) -> Answer:
        if len(request.query_string) > _LONGEST_QUERY:
            return answer_of(_text(414, f"a query is at most {_LONGEST_QUERY} characters long"))
        return await desk.answer(Question(request.path, tuple(sorted(request.query.items()))))

    def _first(self, page: Page) -> Page:
        """Begin to look up what the page asks for first; return it with what is known of it already."""
        for question in self._questions.values():
            if self._desk is not None and question is not None:
                kept = self._desk.kept(question)
                if kept is not None and kept.sentence is not None:
                    page = with_sentence(page, kept.sentence)
                self._desk.prepare(question)
        return page

    # --- the stream ----------------------------------------------------------------------------------------

    def _tell_streams(self) -> None:
        """Wake all listeners."""
        news, self._news = self._news, self._loop.create_future()
        if not news.done():
            news.set_result(None)

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        """Tell each snapshot as a server-sent event; a slow listener misses some and holds up none."""
        if self._streams >= _MOST_STREAMS:
            return _response(answer_of(_text(503, f"{_MOST_STREAMS} listen already")), request)
        self._streams += 1
        try:
            headers = {**_SECURITY_HEADERS, "Content-Type": "text/event-stream", "X-Accel-Buffering": "no"}
            response = web.StreamResponse(headers=headers)
            await response.prepare(request)
            if request.method == "GET":
                with contextlib.suppress(ConnectionError):
                    await self._tell(response)
            return response
        finally:
            self._streams -= 1

    async def _tell(self, response: web.StreamResponse) -> None:
        told: bytes | None = None
        await response.write(b"retry: 3000\n\n")
        while not self._closing.is_set():
            news, event = self._news, self._pages.event
            is_new = event is not None and event is not told
            told = event
            said = b"event: tick\ndata: " + event + b"\n\n" if is_new and event is not None else b": \n\n"
            await response.write(said)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(asyncio.shield(news), _HEARTBEAT_SECONDS)


async def _local(
    loop: asyncio.AbstractEventLoop, connection: Callable[[], asyncio.BaseProtocol], path: Path
) -> contextlib.AbstractContextManager[asyncio.Server]:
    """Listen at a path for who may write it: the agent's own user, and root."""
    old_mask = os.umask(0o177)
    try:
        return contextlib.closing(await loop.create_unix_server(connection, path))
    finally:
        os.umask(old_mask)


class _Connection(web.RequestHandler):
    """One client; closed where there are too many, and when its request or its answer takes it too long."""

    __slots__ = ("_closes", "_patience_seconds", "_server")

    def __init__(self, server: web.Server, patience_seconds: float) -> None:
        super().__init__(
            server,
            loop=asyncio.get_running_loop(),
            keepalive_timeout=patience_seconds,
            access_log=None,  # type: ignore[arg-type]  # as AppRunner passes it on; aiohttp expects it
        )
        self._server = server
        self._patience_seconds = patience_seconds
        self._closes: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _MOST_UNREAD_BYTES)
        # So that `pause_writing` tells as soon as anything waits for the client.
        cast("asyncio.WriteTransport", transport).set_write_buffer_limits(high=0)
        if len(self._server.connections) > _MOST_CONNECTIONS:
            self.force_close()

    def pause_writing(self) -> None:
        super().pause_writing()
        abort = cast("asyncio.WriteTransport", self.transport).abort
        self._closes = asyncio.get_running_loop().call_later(self._patience_seconds, abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._forget_closing()

    def connection_lost(self, exc: BaseException | None) -> None:
        self._forget_closing()
        super().connection_lost(exc)

    def _forget_closing(self) -> None:
        if self._closes is not None:
            self._closes.cancel()
            self._closes = None


class _Complaints:
    """Logs what went wrong in the loop, now and then: a lack of descriptors is a hundred faults a second."""

    def __init__(self) -> None:
        self._quiet_until = 0.0

    def __call__(self, _loop: asyncio.AbstractEventLoop, context: Mapping[str, Any]) -> None:
        if clock.boot_seconds() < self._quiet_until:
            return
        self._quiet_until = clock.boot_seconds() + _COMPLAINT_SECONDS
        _log.warning("web server: %s: %r", context["message"], context.get("exception"))


def _response(answer: Answer, request: web.Request) -> web.Response:
    """Return an answer as this client takes it: not at all where it has it, compressed where it may be."""
    page = answer.page
    headers = {"Content-Type": page.content_type, **_SECURITY_HEADERS, "Vary": "Accept-Encoding"}
    body, tag = page.body, answer.etag
    if answer.compressed is not None and _accepts_gzip(request):
        headers["Content-Encoding"] = "gzip"
        body, tag = answer.compressed, f"{tag}-gzip"
    if page.status != 200:  # noqa: PLR2004 -- OK
        return web.Response(body=body, status=page.status, headers=headers)
    headers["ETag"] = f'"{tag}"'
    if any(known.value in {tag, "*"} for known in request.if_none_match or ()):
        headers.pop("Content-Encoding", None)
        return web.Response(status=304, headers=headers)
    return web.Response(body=body, status=page.status, headers=headers)


def _accepts_gzip(request: web.Request) -> bool:
    for word in request.headers.get("Accept-Encoding", "").lower().split(","):
        name, _, quality = word.replace(" ", "").partition(";q=")
        if name == "gzip":
            return quality.strip("0.") != "" or not quality
    return False


def _page(pages: Pages, path: str, questions: Mapping[str, Question | None]) -> Page:
    page = pages.by_path.get(path)
    if page is None:
        shown = (known for known in pages.by_path if not known.startswith("/page/"))
        streams = (STREAM,) if questions else ()
        return _text(
            404, f"nothing at this path; there are: {', '.join(sorted((*shown, *questions, *streams)))}"
        )
    age_seconds = clock.boot_seconds() - pages.boot_seconds
    if page.stale_after_seconds is not None and age_seconds > page.stale_after_seconds:
        return _text(503, f"the last tick finished {age_seconds:.0f} s ago")
    return page


def _text(status: int, text: str) -> Page:
    return Page(body=f"{text}\n".encode(), content_type="text/plain; charset=utf-8", status=status)
