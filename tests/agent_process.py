"""The real agent as a process: `python -m evenwatt run` with a configuration of its own."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import requests
import yaml
from prometheus_client.parser import text_string_to_metric_families

from engine_process import free_port

READY_SECONDS = 30.0


class AgentProcess:
    """An agent that is started, looked at, signalled, killed and started again on the same history.

    Args:
        folder: For its configuration, history and log.
        settings: Beside server.listen and history.path, which are its own.
        environment: Added to the environment, such as `Scenario.environment(...)`.
        command: Of evenwatt: `run` or `demo`.
        arguments: Of the command.
    """

    def __init__(
        self,
        folder: Path,
        settings: Mapping[str, Any] | None = None,
        *,
        environment: Mapping[str, str] | None = None,
        command: str = "run",
        arguments: tuple[str, ...] = ("--no-simulation",),
    ) -> None:
        self.folder = folder
        self.port = free_port()
        self.history = folder / "history.db"
        self.config = folder / "config.yaml"
        self.log = folder / "agent.log"
        self._environment = {**os.environ, **(environment or {})}
        self._command = command
        self._arguments = arguments
        self._process: subprocess.Popen[bytes] | None = None
        self.configure(settings or {})

    def configure(self, settings: Mapping[str, Any]) -> None:
        """Write the configuration."""
        own = {
            "server": {"listen": f"127.0.0.1:{self.port}"},
            "history": {"path": str(self.history)},
            "sampling": {"tick_seconds": 0.2, "gpu_seconds": 0.1},
            "references": [{"name": "flat", "input": 1.0, "cached_input": 0.1, "output": 5.0}],
            # The machine that tests run on may have a meter, which would come to what they count.
            "host_power": {"source": "none"},
        }
        self.config.write_text(yaml.safe_dump({**own, **settings}))

    @property
    def pid(self) -> int:
        """Of the running agent."""
        assert self._process is not None
        return self._process.pid

    @property
    def url(self) -> str:
        """Of its port."""
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self.start()
        self.wait_until_ready()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def start(self) -> None:
        """Start it; it may not answer yet."""
        command = [sys.executable, "-m", "evenwatt", self._command, "--config", str(self.config)]
        command += self._arguments
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command, env=self._environment, stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )

    def wait_until_ready(self) -> None:
        """Wait for its first tick."""
        self.wait_for(lambda: self.get("/readyz", raises=False) == 200, READY_SECONDS)

    def wait_for(self, condition: Any, seconds: float = 20.0) -> None:
        """Wait for a condition; fail with the agent's log when it does not come."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if condition():
                return
            assert self._process is None or self._process.poll() is None, self.log.read_text()[-3000:]
            time.sleep(0.02)
        raise AssertionError(f"not within {seconds} s; log:\n{self.log.read_text()[-3000:]}")

    def get(self, path: str, *, raises: bool = True) -> int:
        """Return the status of a path, 0 where nothing answers."""
        try:
            answer = _session().get(self.url + path, timeout=5)
        except requests.RequestException:
            if raises:
                raise
            return 0
        return answer.status_code

    def status(self) -> dict[str, Any]:
        """Return its status document."""
        document: dict[str, Any] = json.loads(_session().get(f"{self.url}/api/v1/status", timeout=5).content)
        return document

    def metrics_text(self) -> str:
        """Return its metrics page."""
        return _session().get(f"{self.url}/metrics", timeout=5).text

    def metric(self, name: str, **labels: str) -> float | None:
        """Return the sum of the samples of a name that have these labels; None where there is none."""
        values = [
            sample.value
            for family in text_string_to_metric_families(self.metrics_text())
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        ]
        return sum(values) if values else None

    def tokens(self, engine: str) -> tuple[float | None, ...]:
        """Return its metrics' input, cached input and output tokens of an engine, over all models."""
        kinds = ("input", "cached_input", "output")
        return tuple(self.metric("evenwatt_tokens_total", engine=engine, type=kind) for kind in kinds)

    def wait_until_read_anew(self, source: str) -> None:
        """Wait until a source was asked after this call and its answer is booked.

        Two answers are waited for: the first may be to a question of before.
        """
        for _ in range(2):
            last = self._last_success(source)
            self.wait_for(lambda last=last: self._last_success(source) not in {None, last})

    def _last_success(self, source: str) -> float | None:
        """Return when a source last answered; None where it never did or is not known yet."""
        times = {s["source"]: s["last_success_utc_seconds"] for s in self.status()["sources"]}
        return times.get(source)

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        os.kill(self.pid, number)

    def stop(self, seconds: float = 5.0) -> int:
        """End it by SIGTERM; return its exit status, or fail when it takes longer than it may."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        status = self._process.wait(seconds)
        self._process = None
        return status

    def kill(self) -> None:
        """End it at once, as it stands."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


def _session() -> requests.Session:
    session = requests.Session()
    session.trust_env = False
    return session
