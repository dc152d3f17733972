"""A real llama-server that routes to several models: it starts a server for each, loads and unloads."""

from pathlib import Path
from typing import Any, Self

from engine_process import ChildServer, free_port, loopback_session
from llama_server import prebuilt_server
from tiny_gguf import write_tiny_gguf

__all__ = ["RouterProcess"]

_CALL_SECONDS = 20.0


class RouterProcess:
    """A router with models of random weights, none of which is loaded at first.

    Args:
        folder: For its models and log.
        models: The names of its models.
        sleep_seconds: After how long a model goes to sleep; None: never.
    """

    def __init__(self, folder: Path, *models: str, sleep_seconds: int | None = None) -> None:
        weights = folder / "models"
        weights.mkdir()
        for seed, model in enumerate(models):
            write_tiny_gguf(weights / f"{model}.gguf", seed=seed)
        binary, environment = prebuilt_server()
        self.port = free_port()
        command = [str(binary), "--models-dir", str(weights), "--host", "127.0.0.1", "--port", str(self.port)]
        command += ["--models-max", str(len(models)), "--metrics", "-np", "2", "-t", "1", "-c", "2048"]
        command += ["--device", "none", "--offline", "--no-ui"]
        if sleep_seconds is not None:
            command += ["--sleep-idle-seconds", str(sleep_seconds)]
        log = folder / "router.log"
        self._server = ChildServer(command, port=self.port, log=log, environment=environment)
        self.url = self._server.url

    @property
    def pid(self) -> int:
        """Of the router itself."""
        return self._server.pid

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._server.stop()

    def states(self) -> dict[str, str]:
        """Return by model whether it is loaded, asleep or unloaded."""
        return {model["id"]: model["status"]["value"] for model in self._get("/models")["data"]}

    def chat(self, model: str, text: str = "hi there", tokens: int = 12) -> tuple[int, int, int]:
        """Send a request and return what it was told: computed input, cached input, output."""
        with loopback_session() as session:
            body = {"model": model, "max_tokens": tokens, "messages": [{"role": "user", "content": text}]}
            answer = session.post(f"{self.url}/v1/chat/completions", json=body, timeout=_CALL_SECONDS)
        answer.raise_for_status()
        usage = answer.json()["usage"]
        cached = usage["prompt_tokens_details"]["cached_tokens"]
        return usage["prompt_tokens"] - cached, cached, usage["completion_tokens"]

    def unload(self, model: str) -> None:
        """Unload a model: its process ends."""
        with loopback_session() as session:
            url = f"{self.url}/models/unload"
            session.post(url, json={"model": model}, timeout=_CALL_SECONDS).raise_for_status()

    def _get(self, path: str) -> Any:
        with loopback_session() as session:
            answer = session.get(f"{self.url}{path}", timeout=_CALL_SECONDS)
        answer.raise_for_status()
        return answer.json()
