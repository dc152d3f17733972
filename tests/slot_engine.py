"""An engine whose capacity is known by construction: so many slots, each with a speed, and a vLLM's page.

A slot works on one request at a time, so the engine sustains the speed of a slot times their number, and no
more however many requests come at once. It streams as many words as tokens were asked for, and counts both.
"""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

__all__ = ["SlotEngine", "slot_engine"]

_CHUNK_TOKENS = 8
"""Sent at once: a machine that is busy with other tests wakes nobody every few milliseconds."""


@dataclass(kw_only=True)
class SlotEngine:
    """What the engine is, and what it has counted.

    Attributes:
        slots: Requests at once.
        prefill_rate: Words a second of one slot.
        decode_rate: Tokens a second of one slot.
        longest_prompt: In words; a longer one is refused.
        others_running: Shown on the page beside its own.
        counts: Whether its page counts.
        fails_with: The status that every request is answered with.
        has_completions: Else only chat.
        running: Requests in a slot or waiting for one.
        most_running: At once, ever.
    """

    slots: int = 4
    prefill_rate: float = 4_000.0
    decode_rate: float = 200.0
    longest_prompt: int = 10_000
    others_running: int = 0
    counts: bool = True
    fails_with: int | None = None
    has_completions: bool = True
    url: str = ""
    read: int = 0
    wrote: int = 0
    completed: int = 0
    running: int = 0
    most_running: int = 0

    def __post_init__(self) -> None:
        self.lock = threading.Lock()
        self.free = threading.Semaphore(self.slots)
        self.prompts: list[str] = []

    def page(self) -> str:
        """Return the metrics page."""
        with self.lock:
            values = {
                "vllm:prompt_tokens_total": self.read,
                "vllm:generation_tokens_total": self.wrote,
                "vllm:num_requests_running": min(self.running, self.slots) + self.others_running,
                "vllm:num_requests_waiting": max(self.running - self.slots, 0),
                'vllm:request_success_total{finished_reason="length"}': self.completed,
            }
        return "".join(f"{name} {value}\n" for name, value in values.items())

    def count(self, *, read: int = 0, wrote: int = 0, completed: int = 0) -> None:
        """Count, if it counts."""
        with self.lock:
            self.read += read * self.counts
            self.wrote += wrote * self.counts
            self.completed += completed * self.counts

    def wait_until_idle(self, seconds: float = 5.0) -> None:
        """Wait until no request runs or waits; fail where that takes longer."""
        until = time.monotonic() + seconds
        while self.running and time.monotonic() < until:
            time.sleep(0.01)
        assert self.running == 0

    @contextmanager
    def request(self) -> Iterator[None]:
        """Run or wait, and be seen doing it."""
        with self.lock:
            self.running += 1
            self.most_running = max(self.most_running, self.running)
        try:
            with self.free:
                yield
        finally:
            with self.lock:
                self.running -= 1


class _Handler(BaseHTTPRequestHandler):
    server: "_Server"

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        page = self.server.engine.page().encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)

    def do_POST(self) -> None:
        engine = self.server.engine
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        prompt = body["prompt"] if "prompt" in body else body["messages"][0]["content"]
        words = len(prompt.split())
        engine.prompts.append(prompt)
        if "prompt" in body and not engine.has_completions:
            self._refuse(404)
        elif engine.fails_with is not None:
            self._refuse(engine.fails_with)
        elif words > engine.longest_prompt:
            self._refuse(400)
        else:
            with engine.request():
                self._answer(engine, words, body["max_tokens"])

    def _answer(self, engine: SlotEngine, words: int, tokens: int) -> None:
        time.sleep(words / engine.prefill_rate)
        engine.count(read=words)
        self.send_response(200)
        self.send_header("Connection", "close")
        self.end_headers()
        try:
            for first in range(0, tokens, _CHUNK_TOKENS):
                chunk = min(_CHUNK_TOKENS, tokens - first)
                time.sleep(chunk / engine.decode_rate)
                engine.count(wrote=chunk)
                self.wfile.write(b'data: {"choices": [{"text": "word "}]}\n\n' * chunk)
            self.wfile.write(b"data: [DONE]\n\n")
            engine.count(completed=1)
        except OSError:
            return  # the client hung up, and a real engine stops as well

    def _refuse(self, status: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128
    engine: SlotEngine


@contextmanager
def slot_engine(**values: object) -> Iterator[SlotEngine]:
    """Run an engine on a free loopback port for as long as the block lasts."""
    server = _Server(("127.0.0.1", 0), _Handler)
    server.engine = SlotEngine(**values)  # type: ignore[arg-type]
    server.engine.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield server.engine
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
