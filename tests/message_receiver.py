"""Takes what is sent to it by POST: the far end of webhooks and of apprise's JSON."""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple, Self

__all__ = ["MessageReceiver", "Received"]


class Received(NamedTuple):
    """One message."""

    path: str
    headers: dict[str, str]
    document: Any


class MessageReceiver:
    """A server on loopback that keeps what it is sent; used as a context.

    Attributes:
        status: That it answers with.
        received: All messages, oldest first.
    """

    def __init__(self) -> None:
        self.status = 200
        self.received: list[Received] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                headers = {name.lower(): value for name, value in self.headers.items()}
                receiver.received.append(Received(self.path, headers, json.loads(body)))
                self.send_response(receiver.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self.port = self._server.server_port
        self.place = f"127.0.0.1:{self.port}"
        self.url = f"http://{self.place}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def at(self, path: str) -> list[Any]:
        """Return the documents that came to a path."""
        return [message.document for message in self.received if message.path == path]

    def wait_for(self, path: str, number: int, seconds: float = 60.0) -> list[Any]:
        """Wait until so many messages came to a path; return them."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if len(self.at(path)) >= number:
                return self.at(path)
            time.sleep(0.05)
        raise AssertionError(f"not {number} messages at {path} within {seconds} s: {self.received}")
