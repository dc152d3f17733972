"""What a client asks: a head that is whole, and a body that is read as it comes."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

import httptools
from multidict import CIMultiDict

from evenwatt.proxy.headers import is_websocket
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
        headers: Names and values as they were sent.
        remote: The address that it came from; empty for a socket without one.
        version: Of HTTP, as `1.1`.
        content_length: Of the body, where it was announced.
        has_body: Whether there is one.
        is_websocket: Whether it asks for the connection to go on as a WebSocket.
        pieces: Of the body, that have come and are not read.
        is_whole: Whether all of the body has come.
        is_last: Whether the client wants the connection to end with the answer.
    """

    def __init__(
        self,
        connection: "ClientConnection",
        parser: httptools.HttpRequestParser,
        target: bytes,
        headers: Iterable[tuple[bytes, bytes]],
    ) -> None:
        self.connection = connection
        self.method = parser.get_method().decode("ascii")
        self.target = target.decode("utf-8", "surrogateescape")
        self.headers = CIMultiDict(
            [
                (name.decode("utf-8", "surrogateescape"), value.decode("utf-8", "surrogateescape"))
                for name, value in headers
            ]
        )
        self.remote = connection.remote
        self.version = parser.get_http_version()
        self.is_last = not parser.should_keep_alive()
        length = self.headers.get("Content-Length")
        self.content_length = None if length is None else int(length)
        self.has_body = "Transfer-Encoding" in self.headers or bool(self.content_length)
        self.is_websocket = is_websocket(self.headers)
        self.is_whole = False
        self.pieces = Pieces()
        self._awaits_continue = self.headers.get("Expect", "").lower() == "100-continue"

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
            if self._awaits_continue and self.version == "1.1":
                self._awaits_continue = False
                self.connection.send(b"HTTP/1.1 100 Continue\r\n\r\n")
            await self.pieces.changed()
        piece = self.pieces.take()
        if self.pieces.are_few:
            self.connection.resume()
        return piece
