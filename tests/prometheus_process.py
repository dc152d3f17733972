"""A real Prometheus as a process, on a configuration of its own, and what it answers."""

import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import yaml

from engine_process import free_port, loopback_session

__all__ = ["PrometheusProcess", "rules_evaluated_each"]

_START_SECONDS = 30.0
_STOP_SECONDS = 20.0
_POLL_SECONDS = 0.1


class PrometheusProcess:
    """A Prometheus that is started, asked and ended; used as a context.

    Args:
        folder: For its configuration, its data and its log.
        configuration: As prometheus.yml has it.
        arguments: Of the command, beside those that say where things are.
    """

    def __init__(
        self, folder: Path, configuration: Mapping[str, Any], *, arguments: Sequence[str] = ()
    ) -> None:
        self.port = free_port()
        self.data = folder / "tsdb"
        self.log = folder / "prometheus.log"
        self._file = folder / "prometheus.yml"
        self._file.write_text(yaml.safe_dump(dict(configuration)))
        self._arguments = arguments
        self._session = loopback_session()

    @property
    def url(self) -> str:
        """Of its port."""
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        command = [
            "prometheus",
            f"--config.file={self._file}",
            f"--storage.tsdb.path={self.data}",
            f"--web.listen-address=127.0.0.1:{self.port}",
            *self._arguments,
        ]
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        try:
            self.wait_for(self._is_ready, _START_SECONDS)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._session.close()

    def _is_ready(self) -> bool:
        try:
            return self._session.get(f"{self.url}/-/ready", timeout=5).status_code == 200
        except OSError:
            return False

    def wait_for(self, condition: Any, seconds: float) -> None:
        """Wait for a condition; fail with the log when it does not come."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if condition():
                return
            assert self._process.poll() is None, self.log.read_text()[-3000:]
            time.sleep(_POLL_SECONDS)
        raise AssertionError(f"not within {seconds} s; log:\n{self.log.read_text()[-3000:]}")

    def answer(self, path: str, **parameters: Any) -> Any:
        """Return the `data` of an answer of its API; fail with its error."""
        answer = self._session.get(f"{self.url}/api/v1/{path}", params=parameters, timeout=20).json()
        assert answer["status"] == "success", f"{answer.get('error')}: {parameters}"
        return answer["data"]

    def query(self, expression: str, **parameters: Any) -> list[dict[str, Any]]:
        """Return the series that an expression gives now, or at `time`."""
        return self.answer("query", query=expression, **parameters)["result"]

    def values(self, expression: str, *labels: str, **parameters: Any) -> dict[tuple[str, ...], float]:
        """Return what an expression gives, by the values of some labels."""
        return {
            tuple(series["metric"].get(label, "") for label in labels): float(series["value"][1])
            for series in self.query(expression, **parameters)
        }


def rules_evaluated_each(seconds: float, files: Sequence[Path], folder: Path) -> list[str]:
    """Copy rule files to a folder, with another interval and no other difference; return where they are."""
    copies = []
    for file in files:
        document = yaml.safe_load(file.read_text())
        for group in document["groups"]:
            group["interval"] = f"{seconds:g}s"
        copy = folder / file.name
        copy.write_text(yaml.safe_dump(document, sort_keys=False))
        copies.append(str(copy))
    return copies
