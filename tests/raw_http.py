"""HTTP as it is on the wire: what a client library would smooth over."""

import socket
from dataclasses import dataclass

__all__ = ["RawAnswer", "answer_of", "exchanged", "request_bytes"]

_CALL_SECONDS = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RawAnswer:
    """An answer with its framing.

    Attributes:
        status: The status line.
        headers: Name and value as they were sent, in their order.
        body: Without its framing.
        chunks: As they were framed; empty where the body had a length.
        is_whole: Whether its end came.
    """

    status: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    chunks: tuple[bytes, ...]
    is_whole: bool

    def header(self, name: str) -> str | None:
        """Return the first value of a header."""
        return next((value for found, value in self.headers if found.lower() == name.lower()), None)


def request_bytes(method: str, path: str, body: bytes = b"", **headers: str) -> bytes:
    """Return a request that asks for the connection to be closed after it."""
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", "Connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    if body:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode() + body


def exchanged(port: int, data: bytes, *, seconds: float = _CALL_SECONDS) -> bytes:
    """Send bytes to a loopback port and return all that comes back until it closes, or says no more."""
    received = []
    with socket.create_connection(("127.0.0.1", port), timeout=seconds) as connection:
        connection.sendall(data)
        try:
            while piece := connection.recv(1 << 16):
                received.append(piece)
        except (TimeoutError, ConnectionResetError):
            pass
    return b"".join(received)


def answer_of(data: bytes) -> RawAnswer:
    """Return the first answer in what came over a connection."""
    head, _, rest = data.partition(b"\r\n\r\n")
    status, *lines = head.decode("latin-1").split("\r\n")
    headers = tuple((line.partition(":")[0], line.partition(":")[2].strip()) for line in lines)
    named = {name.lower(): value for name, value in headers}
    if named.get("transfer-encoding") == "chunked":
        chunks, is_whole = _chunks(rest)
        body = b"".join(chunks)
    else:
        chunks, body = (), rest
        is_whole = len(rest) == int(named.get("content-length", len(rest)))
    return RawAnswer(status=status, headers=headers, body=body, chunks=chunks, is_whole=is_whole)


def _chunks(data: bytes) -> tuple[tuple[bytes, ...], bool]:
    chunks = []
    while data:
        size, _, rest = data.partition(b"\r\n")
        length = int(size, 16)
        if length == 0:
            return tuple(chunks), rest == b"\r\n"
        chunks.append(rest[:length])
        data = rest[length + 2 :]
    return tuple(chunks), False
