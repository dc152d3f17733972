"""A gateway as LiteLLM is one: it passes requests on and counts what the answers' usage says."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

from engine_process import loopback_session

__all__ = ["LiteLlmStandIn"]

_CALL_SECONDS = 60.0
_LABELS = 'api_key_alias="team-a",model="{model}",requested_model="chat"'


class LiteLlmStandIn:
    """A gateway in a thread, before one engine; its page is at /metrics/, to which /metrics redirects.

    Args:
        engine_url: Where requests go.
    """

    def __init__(self, engine_url: str) -> None:
        self._engine_url = engine_url
        self._tokens = {"input": 0, "input_cached": 0, "output": 0}
        self._lock = threading.Lock()
        gateway = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                if self.path == "/metrics":
                    self.send_response(307)
                    self.send_header("Location", f"{gateway.url}/metrics/")
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                elif self.path == "/metrics/":
                    self._answer(gateway.page().encode(), "text/plain; version=0.0.4")
                else:
                    self.send_error(404)

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                self._answer(gateway.passed_on(self.path, body), "application/json")

            def _answer(self, body, kind):
                self.send_response(200)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def passed_on(self, path: str, body: bytes) -> bytes:
        """Return what the engine answers, and count it."""
        with loopback_session() as session:
            answer = session.post(f"{self._engine_url}{path}", data=body, timeout=_CALL_SECONDS)
        usage = json.loads(answer.content)["usage"]
        with self._lock:
            self._tokens["input"] += usage["prompt_tokens"]
            self._tokens["input_cached"] += usage["prompt_tokens_details"]["cached_tokens"]
            self._tokens["output"] += usage["completion_tokens"]
        return answer.content

    def page(self) -> str:
        """Return its page of metrics."""
        labels = _LABELS.format(model="tiny-llama")
        return "".join(
            f"# TYPE litellm_{kind}_tokens_metric_total counter\n"
            f"litellm_{kind}_tokens_metric_total{{{labels}}} {float(count)}\n"
            for kind, count in self._tokens.items()
        )
