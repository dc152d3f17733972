"""What `ollama serve` does with its llama-servers; run as a program, with nothing but the standard library.

    ollama_serve_process.py PORT MODELS KEEP_ALIVE_SECONDS LLAMA_SERVER [ARGUMENT ...]

Each model that is asked for gets a real llama-server on a random port, started as Ollama starts it: the blob
on its command line, the environment handed on. It is killed (as Ollama does) when its model has been idle for
KEEP_ALIVE_SECONDS, or at once when a request says `keep_alive: 0`. /metrics does not exist.
"""

import http.client
import json
import socket
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

_START_SECONDS = 30.0
_POLL_SECONDS = 0.02
_CALL_SECONDS = 60.0


class Runner:
    """One llama-server and the model that it serves."""

    def __init__(self, blob, command):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        program, *arguments = command
        self.process = subprocess.Popen(
            [program, "--model", blob, "--port", str(self.port), "--host", "127.0.0.1", *arguments]
        )
        self.requests = 0
        self.idle_since = time.monotonic()
        until = time.monotonic() + _START_SECONDS
        while time.monotonic() < until and not self._is_ready():
            time.sleep(_POLL_SECONDS)

    def _is_ready(self):
        try:
            return self.call("GET", "/health", None)[0] == 200
        except OSError:
            return False

    def call(self, method, path, body):
        """Return status and body of an answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=_CALL_SECONDS)
        try:
            connection.request(method, path, body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def end(self):
        """Kill it."""
        self.process.kill()
        self.process.wait()


class Scheduler:
    """Loads models when they are asked for and unloads them when they are idle."""

    def __init__(self, models, keep_alive_seconds, command):
        self._models = models
        self._keep_alive_seconds = keep_alive_seconds
        self._command = command
        self._runners = {}
        self._lock = threading.Lock()
        threading.Thread(target=self._unload_idle, daemon=True).start()

    def loaded(self):
        """Return the names of the models that are loaded."""
        with self._lock:
            return list(self._runners)

    def generate(self, name, body):
        """Answer a request as Ollama does."""
        with self._lock:
            runner = self._runners.get(name) or self._runners.setdefault(
                name, Runner(self._blob(name), self._command)
            )
            runner.requests += 1
        try:
            asked = {"prompt": body["prompt"], "n_predict": body.get("options", {}).get("num_predict", 16)}
            _, answer = runner.call("POST", "/completion", json.dumps(asked))
        finally:
            with self._lock:
                runner.requests -= 1
                runner.idle_since = time.monotonic()
                if body.get("keep_alive") == 0:
                    self._runners.pop(name).end()
        timings = json.loads(answer)["timings"]
        return {
            "model": name,
            "done": True,
            "prompt_eval_count": timings["prompt_n"] + timings["cache_n"],
            "prompt_eval_cached_count": timings["cache_n"],
            "eval_count": timings["predicted_n"],
        }

    def end(self):
        """Kill all."""
        with self._lock:
            while self._runners:
                self._runners.popitem()[1].end()

    def _blob(self, name):
        model, _, tag = name.partition(":")
        manifest = self._models / "manifests" / "registry.ollama.ai" / "library" / model / (tag or "latest")
        (layer,) = json.loads(manifest.read_text())["layers"]
        return str(self._models / "blobs" / layer["digest"].replace(":", "-"))

    def _unload_idle(self):
        while True:
            time.sleep(_POLL_SECONDS)
            with self._lock:
                for name, runner in list(self._runners.items()):
                    is_over = time.monotonic() - runner.idle_since > self._keep_alive_seconds
                    if runner.requests == 0 and is_over:
                        self._runners.pop(name).end()


class Handler(BaseHTTPRequestHandler):
    """Ollama's API, as far as it is asked for here."""

    scheduler: Scheduler

    def do_GET(self):
        if self.path == "/":
            self._answer(200, b"Ollama is running", "text/plain; charset=utf-8")
        elif self.path == "/health":  # for who starts it; Ollama has none
            self._answer(200, b"{}")
        elif self.path == "/api/ps":
            models = [{"name": name, "model": name, "digest": "0" * 64} for name in self.scheduler.loaded()]
            self._answer(200, json.dumps({"models": models}).encode())
        else:
            self._answer(404, b"404 page not found", "text/plain")

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path == "/unload":  # for tests; Ollama has a clock instead
            self.scheduler.end()
            self._answer(200, b"{}")
            return
        try:
            answer = self.scheduler.generate(body["model"], body)
        except (OSError, http.client.HTTPException) as error:
            self._answer(500, json.dumps({"error": str(error)}).encode())
        else:
            self._answer(200, json.dumps(answer).encode())

    def _answer(self, status, body, kind="application/json"):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Say nothing."""


def main():
    """Serve until the end."""
    port, models, keep_alive_seconds, *command = sys.argv[1:]
    Handler.scheduler = Scheduler(Path(models), float(keep_alive_seconds), command)
    server = ThreadingHTTPServer(("127.0.0.1", int(port)), Handler)
    try:
        server.serve_forever()
    finally:
        Handler.scheduler.end()


if __name__ == "__main__":
    import signal

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    main()
