"""The process: listens, loads what was counted before, and ends in order when it is told to."""

import asyncio
import logging
import resource
import signal
import sys
from collections.abc import Callable, Iterable
from contextlib import AsyncExitStack
from typing import Self

from aiohttp import web
from prometheus_client import disable_created_metrics

from evenwatt.errors import EvenwattError
from evenwatt.proxy.clients import ClientNamer
from evenwatt.proxy.exchange import Books
from evenwatt.proxy.facts import UNKNOWN_ENGINE
from evenwatt.proxy.forwarding import Forwarder
from evenwatt.proxy.listening import Listener, address_error
from evenwatt.proxy.observations import Observations
from evenwatt.proxy.page import PAGE_TYPE, Page
from evenwatt.proxy.settings import ProxySettings
from evenwatt.proxy.state import StateFolder
from evenwatt.proxy.totals import Totals
from evenwatt.proxy.upstream import Upstream
from evenwatt.supervisor import Supervisor, watchdog_seconds

__all__ = ["RunningProxy", "run_proxies", "serve"]

_log = logging.getLogger("evenwatt.proxy")

_SWITCH_SECONDS = 0.0005
_SMALL_PAGE_SECONDS = 0.5
_SIGNS_OF_LIFE = 3
"""Within the time after which the service manager ends a process that gives none."""


def run_proxies(proxies: tuple[ProxySettings, ...], reread: Callable[[], tuple[ProxySettings, ...]]) -> None:
    """Run until SIGTERM or SIGINT; a second one ends at once.

    Args:
        proxies: What to run.
        reread: Returns the settings again on SIGHUP.

    Raises:
        EvenwattError: An address or a state folder cannot be used.
    """
    _allow_many_connections()
    # The loop must not wait long for a thread that writes totals to let go of the interpreter.
    sys.setswitchinterval(_SWITCH_SECONDS)
    disable_created_metrics()  # type: ignore[no-untyped-call]  # prometheus_client has no types there
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(serve(proxies, reread))


async def serve(proxies: tuple[ProxySettings, ...], reread: Callable[[], tuple[ProxySettings, ...]]) -> None:
    """Run in the present event loop; see `run_proxies`."""
    loop, stopping = asyncio.get_running_loop(), asyncio.Event()
    async with AsyncExitStack() as stack:
        running = [await stack.enter_async_context(RunningProxy(settings)) for settings in proxies]
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, _stop, stopping)
        loop.add_signal_handler(signal.SIGHUP, _reload, running, reread)
        supervisor = Supervisor()
        alive = asyncio.create_task(_tell_alive(supervisor, [proxy.name for proxy in running]))
        await stopping.wait()
        alive.cancel()
        supervisor.ending("running answers come to their end")
        _log.info("stopping: no new connections; running answers may take their time to end")
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, _stop_now, running)
        await asyncio.gather(*(proxy.drained() for proxy in running))


async def _tell_alive(supervisor: Supervisor, names: Iterable[str]) -> None:
    """Say that the loop turns, through which every answer goes."""
    supervisor.alive(f"counts before {', '.join(names)}")
    watched = watchdog_seconds()
    while watched is not None:
        await asyncio.sleep(watched / _SIGNS_OF_LIFE)
        supervisor.alive()


class RunningProxy:
    """One proxy that listens; an asynchronous context manager.

    Attributes:
        port: Where clients come in.
        metrics_port: Of its page.
    """

    def __init__(self, settings: ProxySettings) -> None:
        self._settings = settings
        self.port = self.metrics_port = 0

    async def __aenter__(self) -> Self:
        """Load the totals and listen.

        Raises:
            EvenwattError: An address, the state folder or a file of certificates cannot be used.
        """
        settings = self._settings
        self._upstream = Upstream(settings.upstream, settings.ca_file)
        self._folder = folder = StateFolder(settings.state)
        if folder.set_aside is not None:
            _log.error(
                "%s: was corrupt; moved to %s, and the totals begin anew", folder.path, folder.set_aside
            )
        totals = self._totals = Totals(folder)
        observations = Observations({owner.model for owner in totals.shown})
        self._books = Books(totals=totals, observations=observations, engine=UNKNOWN_ENGINE)
        self._forwarder = Forwarder(settings, self._upstream, self._books, self._namer(settings))
        self._listener = Listener(
            self._forwarder.begin,
            idle_seconds=settings.idle_seconds,
            drain_seconds=settings.drain_seconds,
        )
        self._page = Page(self._books, settings.upstream)
        self._stack = AsyncExitStack()
        self._stack.push_async_callback(totals.close)
        self._stack.callback(self._upstream.close)
        try:
            await self._listen()
            page_runner, self.metrics_port = await _page_listening(_page_application(self._page), settings)
            self._stack.push_async_callback(page_runner.cleanup)
        except BaseException:
            await self._stack.aclose()
            raise
        self._first_question = asyncio.create_task(self._forwarder.learn_engine())
        _log.info(
            "%s: http://%s:%d passes on to %s; its totals are at http://%s:%d/metrics",
            settings.name,
            settings.listen[0],
            self.port,
            settings.upstream,
            settings.metrics_listen[0],
            self.metrics_port,
        )
        return self

    async def _listen(self) -> None:
        host, port = self._settings.listen
        try:
            await self._listener.start(host, port)
        except OSError as error:
            raise address_error("listen", host, port, error) from error
        self._stack.push_async_callback(self._listener.close)
        self.port = self._listener.port

    async def __aexit__(self, *_exception: object) -> None:
        """End; what has finished is written."""
        self._first_question.cancel()
        await self._stack.aclose()

    async def drained(self) -> None:
        """Listen no more, and wait for running answers as long as the settings allow."""
        await self._listener.close()

    def end_now(self) -> None:
        """Cut off what still runs."""
        self._listener.end_now()

    def reload(self, settings: ProxySettings) -> None:
        """Take new settings; what cannot be changed while it runs is told and stays."""
        fixed = ("upstream", "listen", "metrics_listen", "state", "ca_file", "engine", "drain_seconds")
        changed = [key for key in fixed if getattr(settings, key) != getattr(self._settings, key)]
        if changed:
            _log.warning("%s: %s changed: start the proxy again for that", settings.name, ", ".join(changed))
        self._forwarder.settings = settings
        self._forwarder.namer = self._namer(settings)

    def _namer(self, settings: ProxySettings) -> ClientNamer:
        known = frozenset(owner.client for owner in self._totals.shown)
        return ClientNamer(settings.clients, self._folder.secret, known)

    @property
    def name(self) -> str:
        """As the settings have it."""
        return self._settings.name


def _page_application(page: Page) -> web.Application:
    async def metrics(_request: web.Request) -> web.Response:
        return web.Response(body=page.rendered(), headers={"Content-Type": PAGE_TYPE})

    async def healthy(_request: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    application = web.Application(client_max_size=1024)
    application.router.add_get("/metrics", metrics)
    application.router.add_get("/healthz", healthy)
    return application


async def _page_listening(application: web.Application, settings: ProxySettings) -> tuple[web.AppRunner, int]:
    runner = web.AppRunner(
        application, handle_signals=False, access_log=None, shutdown_timeout=_SMALL_PAGE_SECONDS
    )
    await runner.setup()
    host, port = settings.metrics_listen
    try:
        await web.TCPSite(runner, host, port).start()
    except OSError as error:
        await runner.cleanup()
        raise address_error("metrics_listen", host, port, error) from error
    return runner, runner.addresses[0][1]


def _stop(stopping: asyncio.Event) -> None:
    stopping.set()


def _stop_now(running: Iterable[RunningProxy]) -> None:
    for proxy in running:
        proxy.end_now()


def _reload(running: Iterable[RunningProxy], reread: Callable[[], tuple[ProxySettings, ...]]) -> None:
    try:
        by_name = {settings.name: settings for settings in reread()}
    except EvenwattError as error:
        _log.error("not reloaded, the old settings stay: %s", error)
        return
    for proxy in running:
        if proxy.name in by_name:
            proxy.reload(by_name.pop(proxy.name))
        else:
            _log.warning(
                "%s: no longer in the settings; it goes on until the process is started again", proxy.name
            )
    for name in by_name:
        _log.warning("%s: new in the settings; start the process again for it", name)
    _log.info("reloaded")


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop  # noqa: PLC0415 -- faster, and not everywhere there
    except ImportError:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


def _allow_many_connections() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
