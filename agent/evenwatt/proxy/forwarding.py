"""Passes requests on and answers back, byte for byte as they come, while the account of each is kept.

What is there is passed on in the call that brings it, so that a first token waits for no task to be woken;
a task sees to what has to be waited for.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

from evenwatt.clock import boot_seconds
from evenwatt.errors import EngineBroke, EngineUnreachable
from evenwatt.proxy.answers import form_of
from evenwatt.proxy.apis import OPENAI, api_of
from evenwatt.proxy.asking import asked_for_usage
from evenwatt.proxy.bodies import Holding, RequestBody
from evenwatt.proxy.client_connection import ClientConnection
from evenwatt.proxy.client_request import ClientRequest
from evenwatt.proxy.clients import ClientNamer
from evenwatt.proxy.engine import EngineQuestion
from evenwatt.proxy.engine_connection import EngineAnswer, EngineConnection
from evenwatt.proxy.exchange import ASKED_KEYS, Books, Exchange, user_in
from evenwatt.proxy.headers import target_of
from evenwatt.proxy.hiding import Hider, hider_for
from evenwatt.proxy.scanner import KeyPath, ObjectScanner, scanned
from evenwatt.proxy.settings import ProxySettings
from evenwatt.proxy.tunnel import tunnelled
from evenwatt.proxy.upstream import Upstream

__all__ = ["Forwarder"]

_SHORT_BYTES: Final = 1 << 16
"""A body that is announced as shorter is sent in one piece."""
_COMMIT_SECONDS = 1.0
"""How long the end of an answer waits for its account to be on the disk."""

_FIRST_ERROR_STATUS = 400
_BAD_REQUEST, _BAD_GATEWAY, _GATEWAY_TIMEOUT = 400, 502, 504


class Forwarder:
    """Stands before one engine.

    Attributes:
        settings: May be replaced while it runs; listening addresses and the state folder then stay as they
            were.
        namer: May be replaced with them.
        upstream: The engine.
        books: Where its requests are booked.
        engine: What it is.
        holding: Bounds what is held of bodies.
    """

    def __init__(self, settings: ProxySettings, upstream: Upstream, books: Books, namer: ClientNamer) -> None:
        self.settings = settings
        self.namer = namer
        self.upstream = upstream
        self.books = books
        self.engine = EngineQuestion(upstream, books, settings.engine)
        self.holding = Holding()

    def begin(self, request: ClientRequest) -> "Passage":
        """Begin to answer a request with the engine's answer, as far as nothing has to be waited for."""
        passage = Passage(self, request)
        passage.begin()
        return passage

    async def learn_engine(self) -> None:
        """Ask the engine what it is before the first request needs to know."""
        await self.engine.answered()


class Passage:
    """One request on its way to the engine, and its answer on the way back.

    Args:
        forwarder: Whose settings hold.
        request: The client's.
    """

    _exchange: Exchange | None = None
    _body: RequestBody | None = None
    _hides_running_usage: bool | None = None  # None where there is none to hide
    _asked_for: Mapping[KeyPath, Any] | None = None
    _connection: EngineConnection | None = None
    _coming: asyncio.Future[EngineAnswer] | None = None
    _hider: Hider | None = None
    _passes_at_once = False
    _has_pieces = False
    _has_length = False
    _fault: Exception | None = None

    def __init__(self, forwarder: Forwarder, request: ClientRequest) -> None:
        self._forwarder = forwarder
        self._request = request
        self._client: ClientConnection = request.connection
        self._target = b"" if request.method == b"CONNECT" else target_of(request.target) or b""
        self._api = api_of(request.method, self._target)
        self._began_boot_seconds = boot_seconds()

    def begin(self) -> None:
        """Go as far as nothing has to be waited for: mostly, until the engine has the request."""
        request, forwarder = self._request, self._forwarder
        if not (request.is_whole and self._target) or request.is_websocket:
            return
        if self._api is not None and not forwarder.engine.is_settled:
            return
        connection = forwarder.upstream.kept()
        if connection is None:
            return
        try:
            body = request.rest()
            self._send(connection, body)
            self._open_account()
            if self._exchange is not None:
                self._exchange.asked = self._looked_up(body)
        except Exception as error:  # noqa: BLE001 -- it is told where the request is answered
            self._fault = error

    async def ended(self) -> None:
        """Go on to the end of the answer.

        Raises:
            ConnectionError: One of the two sides has gone, so that the answer has no end.
        """
        request = self._request
        if not self._target:
            request.is_last = True
            await self._client.answer(
                request, _BAD_REQUEST, "expected the path of something that an engine does"
            )
        elif request.is_websocket:
            await self._tunnelled()
        else:
            await self._forwarded()

    def abort(self) -> None:
        """End it where nobody waits for `ended`: the client has gone."""
        if self._exchange is not None:
            self._exchange.aborted()  # unless it was booked already
        self._let_go()

    # --- the way there -------------------------------------------------------------------------------------

    async def _tunnelled(self) -> None:
        self._forwarder.books.observations.tunnels += 1
        try:
            await tunnelled(self._request, self._target, self._forwarder.upstream, self._changes())
        except EngineUnreachable as error:
            self._request.is_last = True  # what the client says behind it is no HTTP
            await self._unreached(error)

    async def _forwarded(self) -> None:
        try:
            answer = await self._answered()
            if answer is not None:
                await self._relayed(answer)
        except (asyncio.CancelledError, ConnectionError):
            if self._exchange is not None:
                self._exchange.aborted()
            raise
        except BaseException:
            if self._exchange is not None:
                self._exchange.failed()
            raise
        finally:
            self._let_go()

    async def _answered(self) -> EngineAnswer | None:
        """Return the engine's answer once its head is there; None where the client was told of none."""
        if self._fault is not None:
            raise self._fault
        try:
            return await (self._coming or await self._sent())
        except EngineUnreachable as error:
            if self._exchange is not None:
                await _written(self._exchange.failed(was_reached=False))
            await self._unreached(error)
        except EngineBroke as error:
            if self._exchange is not None:
                await _written(self._exchange.failed())
            await self._client.answer(self._request, _BAD_GATEWAY, str(error))
        return None

    async def _sent(self) -> asyncio.Future[EngineAnswer]:
        """Do what `begin` could not, for something has to be waited for."""
        request, upstream = self._request, self._forwarder.upstream
        if self._api is not None:
            await self._forwarder.engine.answered()
        self._open_account()
        scanner = None
        if self._exchange is not None:
            scanner = ObjectScanner(ASKED_KEYS)
            self._exchange.asked = scanner.values  # which fills as the body comes
        body = self._body = RequestBody(request, scanner, self._forwarder.holding)
        held = await body.held() if self._is_held() else None
        if scanner is not None and held is not None:
            self._asked_for = scanner.values if scanner.is_complete else {}
        connection = upstream.kept() or await upstream.connected()
        if held is None:
            return self._send(connection, body.pieces())
        body.let_go()
        return self._send(connection, held)

    def _is_held(self) -> bool:
        """Whether the body is sent in one piece: a short one, and one that a question may be added to."""
        request = self._request
        is_short = request.content_length is not None and request.content_length < _SHORT_BYTES
        return is_short or not request.has_body or self._may_ask

    def _open_account(self) -> None:
        if self._api is None:
            self._forwarder.books.observations.passed += 1
        else:
            books = self._forwarder.books
            self._exchange = Exchange(self._api, books, self._client_named, self._began_boot_seconds)

    def _client_named(self, asked: Mapping[KeyPath, Any]) -> str:
        namer = self._forwarder.namer
        headers = self._request.headers.as_text() if namer.has_rules else {}
        return namer.name(headers, self._client.remote, user_in(asked))

    @property
    def _may_ask(self) -> bool:
        """Whether to ask for usage where the client did not.

        Not in what is compressed, nor in forms, such as sound to be transcribed.
        """
        forwarder, first = self._forwarder, self._request.headers.first
        if self._api is not OPENAI or forwarder.books.engine.has_own_account:
            return False
        if b"content-encoding" in first or first.get(b"content-type", b"")[:10].lower() == b"multipart/":
            return False
        return forwarder.settings.asks_for_usage

    def _send(
        self, connection: EngineConnection, body: bytes | AsyncIterator[bytes]
    ) -> asyncio.Future[EngineAnswer]:
        request, upstream = self._request, self._forwarder.upstream
        self._connection = connection
        changes = self._changes()
        is_chunked = False
        if isinstance(body, bytes):
            if self._may_ask:
                body = self._with_question(body, changes)
            if request.has_body and len(body) != request.content_length:
                changes[b"content-length"] = b"%d" % len(body)
        elif request.content_length is None:
            is_chunked = True
            changes[b"transfer-encoding"] = b"chunked"
        head = upstream.head(request.method, self._target, request.headers.lines(changes))
        self._coming = connection.exchange(
            head, body, is_head=request.method == b"HEAD", is_chunked=is_chunked, receiver=self
        )
        return self._coming

    def _looked_up(self, body: bytes) -> Mapping[KeyPath, Any]:
        """Return what matters of the request's body."""
        if self._asked_for is None:
            self._asked_for = scanned(body, ASKED_KEYS)
        return self._asked_for

    def _with_question(self, body: bytes, changes: dict[bytes, bytes]) -> bytes:
        running = self._forwarder.books.engine.can_tell_running_usage
        asked = asked_for_usage(body, self._looked_up(body), running=running)
        if asked is None:
            return body
        self._hides_running_usage = running
        accepted = self._request.headers.first.get(b"accept-encoding")
        if accepted is not None:
            changes[b"accept-encoding"] = b"gzip" if b"gzip" in accepted else b"identity"
        return asked

    def _changes(self) -> dict[bytes, bytes]:
        forwarder = self._forwarder
        if forwarder.settings.keeps_host and b"host" in self._request.headers.first:
            return {}
        return {b"host": forwarder.upstream.host}

    async def _unreached(self, error: EngineUnreachable) -> None:
        self._forwarder.engine.forget()
        status = _GATEWAY_TIMEOUT if error.is_late else _BAD_GATEWAY
        await self._client.answer(self._request, status, str(error))

    def _let_go(self) -> None:
        coming, self._coming = self._coming, None
        if coming is not None and not coming.cancel() and not coming.cancelled():
            coming.exception()  # it was told, or nobody is there to be told
        if self._connection is not None:
            self._connection.release()
        if self._body is not None:
            self._body.let_go()
        self._exchange = None  # it knows of this passage: together they would wait for the garbage collector

    # --- the way back, as it comes: called by the engine's connection -------------------------------------

    def take_head(self, answer: EngineAnswer) -> None:
        """Begin the client's answer."""
        first = answer.headers.first
        form = form_of(first.get(b"content-type", b""))
        encoding = first.get(b"content-encoding", b"")
        if self._exchange is not None:
            self._exchange.answered(answer.status, form, encoding)
        lines = answer.headers.lines()
        self._has_length = b"content-length" in first
        if self._hides_running_usage is not None and answer.status < _FIRST_ERROR_STATUS:
            self._hider = hider_for(form, encoding, running=self._hides_running_usage)
            if self._hider is not None and self._has_length:  # what is shown is shorter
                self._has_length = False
                lines = [line for line in lines if not line.lower().startswith(b"content-length:")]
        self._client.begin_answer(
            self._request, answer.status, answer.reason, lines, has_length=self._has_length
        )
        self._passes_at_once = True

    def take_piece(self, piece: bytes) -> bool:
        """Pass a piece on; return False where its account, or the client, has to be waited for."""
        self._has_pieces = True
        if not self._passes_at_once:
            return False
        if self._client.is_full or not (self._exchange is None or self._exchange.defer(piece)):
            self._passes_at_once = False
            return False
        if self._hider is None or self._hider.passes(piece):
            self._client.put(piece)
        else:
            self._client.flush()  # what came before it does not wait until it is written anew
            self._show(piece)
        return True

    def take_pause(self) -> None:
        """Send what was passed on; no more of it has come. Only then it is read for the account."""
        exchange = self._exchange
        if self._passes_at_once or (exchange is not None and exchange.is_stream):
            self._flush()
        if exchange is not None:
            exchange.catch_up()

    def _flush(self) -> None:
        """Send what was put. A head waits a little for the first piece, which is mostly just behind it.

        To wake the client for the head alone takes the processor from an engine that writes on.
        """
        if self._has_pieces:
            self._client.flush()
        else:
            self._client.flush_soon()

    # --- the way back, where something has to be waited for -----------------------------------------------

    async def _relayed(self, answer: EngineAnswer) -> None:
        try:
            await self._copied(answer)
        except EngineBroke as error:
            if self._exchange is not None:
                self._exchange.failed()
            self._client.flush()
            raise ConnectionResetError(str(error)) from error
        if self._exchange is not None:
            await self._accounted(self._exchange)
        await self._client.end(b"" if self._hider is None else self._hider.end(), answer.trailers)

    async def _copied(self, answer: EngineAnswer) -> None:
        client, exchange = self._client, self._exchange
        while True:
            piece = answer.take()
            if piece is None:
                self._flush()
                if exchange is not None:
                    exchange.catch_up()
                await client.drained()
                self._passes_at_once = True
                await answer.changed()
                continue
            self._passes_at_once = False  # what comes now comes behind this one
            if not piece:
                return
            if exchange is None or exchange.defer(piece):
                self._show(piece)
            else:
                if exchange.is_stream:
                    client.flush()  # what came before it waits for no account
                if exchange.read(piece):
                    await self._accounted(exchange)
                self._show(piece)

    def _show(self, piece: bytes) -> None:
        shown = piece if self._hider is None else self._hider.feed(piece)
        if shown:
            self._client.put(shown)

    async def _accounted(self, exchange: Exchange) -> None:
        """Hold the answer's end until its account is on the disk: what a client saw whole is never lost."""
        if exchange.is_stream and not self._has_length:  # else what was put may be all of it
            self._client.flush()
        await _written(exchange.completed())


async def _written(account: asyncio.Future[None] | None) -> None:
    """Wait for an account to be written, but not for a disk that takes no more."""
    if account is not None and not account.done():
        await asyncio.wait({account}, timeout=_COMMIT_SECONDS)
