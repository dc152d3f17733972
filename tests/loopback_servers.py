"""Servers on loopback that answer as they are told, in a thread of the test or in a process of their own."""

import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

__all__ = ["Listening", "PageServer", "page_process", "talking"]

_PAGE_SCRIPT = Path(__file__).with_name("page_process.py")
_POLL_SECONDS = 0.02
_REQUEST_BYTES = 65_536


class Listening:
    """A listening socket, and a thread that hands each connection and its request to a function.

    Args:
        talk: Is given the connection and the request; the connection is closed after it.
    """

    def __init__(self, talk: Callable[[socket.socket, bytes], None]) -> None:
        self._talk = talk
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._socket.settimeout(_POLL_SECONDS)
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._serve)
        self.port = self._socket.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._is_over.set()
        self._thread.join()
        self._socket.close()

    def listen_anew(self) -> None:
        """Close the listening socket and open another on the same port, as a restarted server does."""
        self._socket.close()
        self._socket = socket.create_server(("127.0.0.1", self.port))
        self._socket.settimeout(_POLL_SECONDS)

    def _serve(self) -> None:
        while not self._is_over.is_set():
            with suppress(TimeoutError):
                connection, _ = self._socket.accept()
                with connection, suppress(OSError):
                    connection.settimeout(None)
                    self._talk(connection, connection.recv(_REQUEST_BYTES))


@contextmanager
def talking(talk: Callable[[socket.socket], None]) -> Iterator[str]:
    """Serve every connection with a function, and return the address."""
    with Listening(lambda connection, _request: talk(connection)) as server:
        yield server.url


@dataclass
class PageServer:
    """An HTTP server whose answers a test can change; use it as a context manager.

    Attributes:
        pages: Status, headers and body by path; any other path is a 404.
        requests: What was asked, oldest first.
        before_answer: Called for each request before it is answered.
    """

    pages: dict[str, tuple[int, Mapping[str, str], bytes]]
    requests: list[str] = field(default_factory=list)
    before_answer: Callable[[], None] = lambda: None

    def __enter__(self) -> Self:
        self._server = Listening(self._answer).__enter__()
        self.url = self._server.url
        return self

    def __exit__(self, *exception: object) -> None:
        self._server.__exit__(*exception)

    def listen_anew(self) -> None:
        """Listen on another socket of the same port."""
        self._server.listen_anew()

    def paths(self) -> list[str]:
        """Return the paths that were asked for, oldest first."""
        return [request.split()[1] for request in self.requests]

    def _answer(self, connection: socket.socket, request: bytes) -> None:
        self.requests.append(request.decode())
        self.before_answer()
        status, headers, body = self.pages.get(request.split()[1].decode(), (404, {}, b"no such page"))
        lines = [f"HTTP/1.1 {status} {status}", f"Content-Length: {len(body)}", "Connection: close"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        connection.sendall("\r\n".join([*lines, "", ""]).encode() + body)


@contextmanager
def page_process(
    page: Path,
    *,
    port: int = 0,
    comm: str = "",
    script: Path = _PAGE_SCRIPT,
    arguments: tuple[str, ...] = (),
    within: tuple[str, ...] = (),
    address: str = "127.0.0.1",
) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Serve a file as /metrics from a process of its own, and return the process and its port.

    Args:
        page: The file, or a folder whose files are served by their paths.
        port: Where; 0: a free one.
        comm: The name that the process takes; empty: none.
        script: `page_process.py`, maybe under another name.
        arguments: More words of its command line, which it does not look at.
        address: On which it listens.
        within: What to put before the command, such as the fixture `other_network`.
    """
    command = [*within, sys.executable, str(script), *arguments, "--", str(page), str(port), comm, address]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process, int(process.stdout.readline())
        finally:
            process.kill()
