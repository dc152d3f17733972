"""Passes requests on and answers back, byte for byte as they come, while the account of each is kept."""

import asyncio

from multidict import CIMultiDict

from evenwatt.errors import EngineBroke, EngineUnreachable
from evenwatt.proxy.apis import OPENAI, Api, api_of
from evenwatt.proxy.asking import Asked
from evenwatt.proxy.bodies import Holding, RequestBody
from evenwatt.proxy.client_connection import ClientConnection
from evenwatt.proxy.client_request import ClientRequest
from evenwatt.proxy.clients import ClientNamer
from evenwatt.proxy.engine import EngineQuestion
from evenwatt.proxy.engine_connection import EngineAnswer
from evenwatt.proxy.exchange import Books, Exchange, user_in
from evenwatt.proxy.headers import end_to_end, target_of
from evenwatt.proxy.hiding import hider_for
from evenwatt.proxy.settings import ProxySettings
from evenwatt.proxy.tunnel import tunnelled
from evenwatt.proxy.upstream import Upstream

__all__ = ["Forwarder"]

_COMMIT_SECONDS = 1.0
"""How long the end of an answer waits for its account to be on the disk."""

_BAD_REQUEST, _BAD_GATEWAY, _GATEWAY_TIMEOUT = 400, 502, 504


class Forwarder:
    """Stands before one engine.

    Attributes:
        settings: May be replaced while it runs; listening addresses and the state folder then stay as they
            were.
        namer: May be replaced with them.
    """

    def __init__(self, settings: ProxySettings, upstream: Upstream, books: Books, namer: ClientNamer) -> None:
        self.settings = settings
        self.namer = namer
        self._upstream = upstream
        self._books = books
        self._engine = EngineQuestion(upstream, books, settings.engine)
        self._holding = Holding()

    async def handle(self, request: ClientRequest) -> None:
        """Answer a request with the engine's answer.

        Raises:
            ConnectionError: One of the two sides has gone, so that the answer has no end.
        """
        target = target_of(request.target)
        if target is None or request.method == "CONNECT":
            request.is_last = True
            await request.connection.answer(
                request, _BAD_REQUEST, "expected the path of something that an engine does"
            )
            return
        if request.is_websocket:
            self._books.observations.tunnels += 1
            try:
                await tunnelled(request, target, self._upstream, self._headers(request))
            except EngineUnreachable as error:
                request.is_last = True  # what the client says behind it is no HTTP
                await self._unreached(request, error)
            return
        api = api_of(request.method, target.partition("?")[0])
        if api is None:
            self._books.observations.passed += 1
            await self._forwarded(request, target, RequestBody(request))
            return
        await self._engine.answered()
        await self._counted(request, target, api)

    async def learn_engine(self) -> None:
        """Ask the engine what it is before the first request needs to know."""
        await self._engine.answered()

    async def _counted(self, request: ClientRequest, target: str, api: Api) -> None:
        exchange = Exchange(
            api, self._books, lambda asked: self.namer.name(request.headers, request.remote, user_in(asked))
        )
        try:
            with self._holding.body_of(request, exchange.asked) as body:
                if api is OPENAI and self.settings.asks_for_usage and not self._books.engine.has_own_account:
                    await body.ask_for_usage(running=self._books.engine.can_tell_running_usage)
                await self._forwarded(request, target, body, exchange)
        except (asyncio.CancelledError, ConnectionError):
            exchange.aborted()  # unless it was booked already
            raise
        except BaseException:
            exchange.failed()
            raise

    # --- the way there -------------------------------------------------------------------------------------

    async def _forwarded(
        self, request: ClientRequest, target: str, body: RequestBody, exchange: Exchange | None = None
    ) -> None:
        headers = self._headers(request)
        if body.asked is not None and "Accept-Encoding" in headers:
            headers["Accept-Encoding"] = "gzip" if "gzip" in headers["Accept-Encoding"] else "identity"
        to_send = await body.to_send()
        try:
            answer = await self._upstream.request(request.method, target, headers, to_send)
        except EngineUnreachable as error:
            if exchange is not None:
                exchange.failed(was_reached=False)
            await self._unreached(request, error)
            return
        except EngineBroke as error:
            if exchange is not None:
                exchange.failed()
            await request.connection.answer(request, _BAD_GATEWAY, str(error))
            return
        try:
            await self._relayed(request, answer, exchange, body.asked)
        finally:
            answer.close()

    async def _unreached(self, request: ClientRequest, error: EngineUnreachable) -> None:
        self._engine.forget()
        status = _GATEWAY_TIMEOUT if error.is_late else _BAD_GATEWAY
        await request.connection.answer(request, status, str(error))

    def _headers(self, request: ClientRequest) -> CIMultiDict[str]:
        headers = end_to_end(request.headers)
        headers.popall("Expect", None)  # answered here, as the body is on its way
        if not self.settings.keeps_host or "Host" not in headers:
            headers["Host"] = self._upstream.host
        return headers

    # --- the way back --------------------------------------------------------------------------------------

    async def _relayed(
        self,
        request: ClientRequest,
        answer: EngineAnswer,
        exchange: Exchange | None,
        asked: Asked | None,
    ) -> None:
        content_type = answer.headers.get("Content-Type", "")
        encoding = answer.headers.get("Content-Encoding", "")
        if exchange is not None:
            exchange.answered(answer.status, content_type, encoding)
        hider = None if asked is None else hider_for(content_type, encoding, running=asked.is_running)
        client = request.connection
        client.begin(request, answer.status, answer.reason, end_to_end(answer.headers))
        try:
            if not answer.has_more:
                await client.flush()
            while piece := await answer.read():
                if exchange is not None and exchange.feed(piece):
                    await _written(exchange, client)
                shown = piece if hider is None else hider.feed(piece)
                if shown:
                    client.put(shown)
                if not answer.has_more:
                    await _sent(exchange, client)
        except EngineBroke as error:
            if exchange is not None:
                exchange.failed()
            raise ConnectionResetError(str(error)) from error
        if exchange is not None:
            await _written(exchange, client)
        await client.end(b"" if hider is None else hider.end(), answer.trailers)


async def _sent(exchange: Exchange | None, client: ClientConnection) -> None:
    """Send what the client may see, and only then read it for the account."""
    await client.flush()
    if exchange is not None:
        exchange.catch_up()


async def _written(exchange: Exchange, client: ClientConnection) -> None:
    """Hold the end of an answer until its account is on the disk: what a client saw whole is never lost."""
    written = exchange.completed()
    if written is not None and not written.done():
        await client.flush()
        await asyncio.wait({written}, timeout=_COMMIT_SECONDS)
