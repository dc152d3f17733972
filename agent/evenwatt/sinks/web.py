"""The agent's one HTTP port. Every answer is bytes that lie ready: nothing here waits for anything.

A thread of its own with its own event loop; the writer hands over finished pages by one assignment.
"""

import asyncio
import contextlib
import logging
import os
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Any, cast

from aiohttp import web
from msgspec import Struct, field

from evenwatt import clock
from evenwatt.errors import EvenwattError
from evenwatt.sinks.certificates import Certificates, Protection
from evenwatt.sinks.gate import Gate
from evenwatt.snapshot import Scrape

__all__ = ["Page", "Pages", "WebServer"]

_log = logging.getLogger("evenwatt")

_MOST_CONNECTIONS = 64
"""Far more than scrapers and people have, and so few that engines and the history never lack descriptors."""
_PATIENCE_SECONDS = 10.0
_COMPLAINT_SECONDS = 60.0
_LONGEST_NAME = 80

_OPEN = Protection()

_SECURITY_HEADERS: Mapping[str, str] = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


class Page(Struct, frozen=True, kw_only=True):
    """One finished answer.

    Attributes:
        stale_after_seconds: The age from which it is no longer true, and 503 is answered instead.
    """

    body: bytes
    content_type: str
    status: int = 200
    stale_after_seconds: float | None = None


class Pages(Struct, frozen=True, kw_only=True):
    """All answers of one snapshot, by path, and when they were finished."""

    by_path: Mapping[str, Page] = field(default_factory=dict)
    boot_seconds: float = field(default_factory=clock.boot_seconds)


class WebServer:
    """Serves the pages that it was last given.

    A client that says nothing, or half a request, costs a connection for a while and nothing else.

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
    ) -> None:
        """Listen at once, so that an address in use stops the start and not the first scrape.

        Args:
            host: To listen at.
            port: To listen at; 0: a free one.
            protection: What is asked of clients.
            local_path: Of a socket for commands of this machine, for its own user and root; None: none.
            patience_seconds: How long a connection may go without a whole request.

        Raises:
            EvenwattError: The address cannot be listened on, or the certificates cannot be used.
        """
        self._host, self._port = host, port
        self._protection, self._local_path = protection, local_path
        self._certificates = None if protection.tls is None else Certificates(protection.tls)
        self._patience_seconds = patience_seconds
        self._pages = Pages()
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
            await runner.cleanup()

    async def _answer(self, request: web.Request) -> web.Response:
        page = _page(self._pages, request.path)
        if request.path == "/metrics":
            user_agent = request.headers.get("User-Agent", "a program without a name")[:_LONGEST_NAME]
            self.last_scrape = Scrape(utc_seconds=clock.utc_seconds(), user_agent=user_agent)
        headers = {"Content-Type": page.content_type, **_SECURITY_HEADERS}
        return web.Response(body=page.body, status=page.status, headers=headers)


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
    """One client; closed at once where there are too many, and when it sends no whole request in time."""

    __slots__ = ("_server",)

    def __init__(self, server: web.Server, patience_seconds: float) -> None:
        super().__init__(
            server,
            loop=asyncio.get_running_loop(),
            keepalive_timeout=patience_seconds,
            access_log=None,  # type: ignore[arg-type]  # as AppRunner passes it on; aiohttp expects it
        )
        self._server = server

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        if len(self._server.connections) > _MOST_CONNECTIONS:
            self.force_close()


class _Complaints:
    """Logs what went wrong in the loop, now and then: a lack of descriptors is a hundred faults a second."""

    def __init__(self) -> None:
        self._quiet_until = 0.0

    def __call__(self, _loop: asyncio.AbstractEventLoop, context: Mapping[str, Any]) -> None:
        if clock.boot_seconds() < self._quiet_until:
            return
        self._quiet_until = clock.boot_seconds() + _COMPLAINT_SECONDS
        _log.warning("web server: %s: %r", context["message"], context.get("exception"))


def _page(pages: Pages, path: str) -> Page:
    page = pages.by_path.get(path)
    if page is None:
        known = ", ".join(sorted(pages.by_path))
        return _text(404, f"nothing at this path; there are: {known}")
    age_seconds = clock.boot_seconds() - pages.boot_seconds
    if page.stale_after_seconds is not None and age_seconds > page.stale_after_seconds:
        return _text(503, f"the last tick finished {age_seconds:.0f} s ago")
    return page


def _text(status: int, text: str) -> Page:
    return Page(body=f"{text}\n".encode(), content_type="text/plain; charset=utf-8", status=status)
