"""A stand-in for `ollama serve` that starts real llama-servers; its answers tell the true counts."""

import hashlib
import json
import os
import shutil
import sys
from contextlib import suppress
from pathlib import Path
from typing import Self

import psutil
import requests

from engine_process import ChildServer, free_port, loopback_session
from llama_server import prebuilt_server
from tiny_gguf import write_tiny_gguf

__all__ = ["OllamaServe"]

_SCRIPT = Path(__file__).with_name("ollama_serve_process.py")
_CALL_SECONDS = 60.0


class OllamaServe(ChildServer):
    """The stand-in as a process, with the command line of Ollama and its models on disk as Ollama keeps them.

    Args:
        folder: For its models and log; the working folder of the tests while it starts.
        models: The names of its models, without tag.
        keep_alive_seconds: After how long an idle model is unloaded.
        with_metrics: Whether its environment opens the pages of its llama-servers.
        port: Where it listens; None: a free one.
    """

    def __init__(
        self,
        folder: Path,
        *models: str,
        keep_alive_seconds: float = 300.0,
        with_metrics: bool = True,
        port: int | None = None,
    ) -> None:
        port = port or free_port()
        store = folder / "ollama-models"
        for seed, model in enumerate(models):
            _store(store, model, seed)
        binary, environment = prebuilt_server()
        # Python runs the script named by its first argument: the command line is `ollama serve`.
        script = Path(shutil.copy(_SCRIPT, folder / "serve"))
        # Under another name Python does not find its own library.
        environment = {**os.environ, **environment, "PYTHONHOME": sys.base_prefix}
        environment.pop("LLAMA_ARG_ENDPOINT_METRICS", None)
        if with_metrics:
            environment["LLAMA_ARG_ENDPOINT_METRICS"] = "1"
        command = ["/usr/bin/ollama", script.name, str(port), str(store), str(keep_alive_seconds)]
        command += [
            str(binary),
            "-np",
            "2",
            "-t",
            "1",
            "-c",
            "2048",
            "--device",
            "none",
            "--offline",
            "--no-ui",
        ]
        super().__init__(
            command,
            port=port,
            log=folder / f"ollama-{port}.log",
            environment=environment,
            program=Path(os.path.realpath(sys.executable)),
            folder=folder,
        )

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    def generate(
        self, model: str, prompt: str = "the price of a watt", tokens: int = 12, **options: object
    ) -> tuple[int, int, int]:
        """Ask a model and return what was told: computed input, cached input, output."""
        body = {"model": model, "prompt": prompt, "stream": False, "options": {"num_predict": tokens}}
        with loopback_session() as session:
            url = f"{self.url}/api/generate"
            answer = session.post(url, json={**body, **options}, timeout=_CALL_SECONDS)
        answer.raise_for_status()
        told = answer.json()
        cached = told["prompt_eval_cached_count"]
        return told["prompt_eval_count"] - cached, cached, told["eval_count"]

    def generate_until_it_fails(self, model: str, prompt: str, tokens: int) -> None:
        """Ask a model again and again, until it is not there any more."""
        with suppress(requests.RequestException):
            while True:
                self.generate(model, prompt, tokens)

    def unload(self) -> None:
        """Let all models go, as if their time had run out."""
        with loopback_session() as session:
            session.post(f"{self.url}/unload", json={}, timeout=_CALL_SECONDS).raise_for_status()

    def loaded(self) -> list[str]:
        """Return the models that are loaded."""
        with loopback_session() as session:
            answer = session.get(f"{self.url}/api/ps", timeout=_CALL_SECONDS)
        return [model["name"] for model in answer.json()["models"]]

    def runner_pids(self) -> list[int]:
        """Return its llama-servers."""
        return [child.pid for child in psutil.Process(self.pid).children()]


def _store(store: Path, model: str, seed: int) -> None:
    blobs, manifest = (
        store / "blobs",
        store / "manifests" / "registry.ollama.ai" / "library" / model / "latest",
    )
    blobs.mkdir(parents=True, exist_ok=True)
    manifest.parent.mkdir(parents=True)
    write_tiny_gguf(blobs / "new", seed=seed)
    digest = hashlib.sha256((blobs / "new").read_bytes()).hexdigest()
    (blobs / "new").rename(blobs / f"sha256-{digest}")
    layer = {"mediaType": "application/vnd.ollama.image.model", "digest": f"sha256:{digest}"}
    manifest.write_text(json.dumps({"schemaVersion": 2, "layers": [layer]}))
