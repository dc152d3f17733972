"""What a client asks: a head that is whole, and a body that is read as it comes."""

from typing import TYPE_CHECKING

import httptools

from evenwatt.proxy.headers import Headers, is_websocket
from evenwatt.proxy.pieces import Pieces

if TYPE_CHECKING:
    from evenwatt.proxy.client_connection import ClientConnection

__all__ = ["ClientRequest"]


class ClientRequest:
    """A request whose head has come; its body is still to be read.

    Attributes:
        connection: That it came on, and that its answer goes to.
        method: As the client wrote it.
        target: What stands behind the method.
        headers: As they were sent.
        version: Of HTTP, as `1.1`.
        content_length: Of the body, where it was announced.
        has_body: Whether there is one.
        is_websocket: Whether it asks for the connection to go on as a WebSocket.
        pieces: Of the body, that have come and are not read.
        is_whole: Whether all of the body has come.
        is_last: Whether the client wants the connection to end with the answer.
    """

    is_whole = False
    _was_told = False

    def __init__(
        self,
        connection: "ClientConnection",
        parser: httptools.HttpRequestParser,
        target: bytes,
        headers: Headers,
    ) -> None:
        self.connection = connection
        self.method = parser.get_method()
        self.target = target
        self.headers = headers
        self.version = parser.get_http_version()
        self.is_last = not parser.should_keep_alive()
        first = headers.first
        length = first.get(b"content-length")
        self.content_length = None if length is None else int(length)
        self.has_body = bool(self.content_length) or b"transfer-encoding" in first
        self.is_websocket = b"upgrade" in first and is_websocket(headers)
        self.pieces = Pieces()

    @property
    def awaits_word(self) -> bool:
        """Whether the client waits for a word before it sends the body."""
        if self.is_whole or self._was_told or self.pieces or self.version != "1.1":
            return False
        return self.headers.first.get(b"expect", b"").lower() == b"100-continue"

    def rest(self) -> bytes:
        """Return all of the body that has come and is not read yet."""
        rest = self.pieces.take_all()
        self.connection.resume()
        return rest

    @property
    def has_more(self) -> bool:
        """Whether `piece` would return at once."""
        return bool(self.pieces) or self.is_whole

    async def piece(self) -> bytes:
        """Return the next piece of the body as it came; nothing at its end.

        Raises:
            ConnectionResetError: The client has gone before the end.
        """
        while not self.pieces:
            if self.is_whole:
                return b""
            if self.connection.is_closed:
                raise ConnectionResetError("the client has gone")
            if self.awaits_word:
                self._was_told = True
                self.connection.send(b"HTTP/1.1 100 Continue\r\n\r\n")
            await self.pieces.changed()
        piece = self.pieces.take()
        if self.pieces.are_few:
            self.connection.resume()
        return piece
