"""The real proxy as a process: `python -m evenwatt proxy` before an engine of the tests."""

import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from prometheus_client.parser import text_string_to_metric_families

from engine_process import ChildServer, free_port, loopback_session

__all__ = ["ProxyProcess"]

_CALL_SECONDS = 10.0


class ProxyProcess:
    """A proxy with a state folder of its own, to be started, stopped, killed and started again.

    Args:
        upstream: The engine.
        folder: For its state and log.
        arguments: More of its command line.
        environment: Of the process; None: that of the tests.
    """

    def __init__(
        self,
        upstream: str,
        folder: Path,
        *arguments: str,
        environment: Mapping[str, str] | None = None,
        state: Path | None = None,
        port: int | None = None,
    ) -> None:
        self.port, self.metrics_port = port or free_port(), free_port()
        self.state = state or folder / "proxy-state"
        self.log = folder / f"proxy-{self.port}.log"
        self.url = f"http://127.0.0.1:{self.port}"
        self.metrics_url = f"http://127.0.0.1:{self.metrics_port}"
        command = ["--upstream", upstream]
        command += ["--listen", f"127.0.0.1:{self.port}"]
        command += [
            "--metrics-listen",
            f"127.0.0.1:{self.metrics_port}",
            "--state",
            str(self.state),
            *arguments,
        ]
        self._environment = environment
        self._server = self._process(command)

    def _process(self, arguments: list[str]) -> ChildServer:
        return ChildServer(
            [sys.executable, "-m", "evenwatt", "proxy", *arguments],
            port=self.port,
            log=self.log,
            environment=self._environment,
            health_url=f"{self.metrics_url}/healthz",
        )

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def use_config(self, config: Path) -> None:
        """Take everything from a file instead; it has to name the same ports and state folder."""
        self._server = self._process(["--config", str(config)])

    @property
    def pid(self) -> int:
        """Of the process that was started last."""
        return self._server.pid

    def start(self) -> None:
        """Start it and wait until it listens."""
        self._server.start()

    def stop(self) -> None:
        """End it in order."""
        self._server.stop()

    def kill(self) -> None:
        """End it with SIGKILL."""
        self._server.kill()

    def reload(self) -> None:
        """Send SIGHUP."""
        os.kill(self.pid, signal.SIGHUP)

    def samples(self) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
        """Return all samples of its page, by name and sorted labels."""
        with loopback_session() as session:
            answer = session.get(f"{self.metrics_url}/metrics", timeout=_CALL_SECONDS)
        answer.raise_for_status()
        return {
            (sample.name, tuple(sorted(sample.labels.items()))): sample.value
            for family in text_string_to_metric_families(answer.text)
            for sample in family.samples
        }

    def total(self, name: str, **labels: str) -> float:
        """Return the sum of `evenwatt_proxy_<name>` over the series that have these labels."""
        return sum(
            value
            for (found, its_labels), value in self.samples().items()
            if found == f"evenwatt_proxy_{name}" and labels.items() <= dict(its_labels).items()
        )

    def tokens(self, **labels: str) -> dict[str, int]:
        """Return the tokens by type."""
        kinds = ("input", "cached_input", "output")
        return {kind: int(self.total("tokens_total", type=kind, **labels)) for kind in kinds}
