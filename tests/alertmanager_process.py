"""A real Alertmanager as a process, on a configuration of its own."""

import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import yaml

from engine_process import free_port, loopback_session

__all__ = ["AlertmanagerProcess"]

_START_SECONDS = 30.0
_STOP_SECONDS = 20.0


class AlertmanagerProcess:
    """An Alertmanager that is started and ended; used as a context.

    Args:
        folder: For its configuration, its data and its log.
        configuration: As alertmanager.yml has it.
    """

    def __init__(self, folder: Path, configuration: Mapping[str, Any]) -> None:
        self.port = free_port()
        self.place = f"127.0.0.1:{self.port}"
        self.url = f"http://{self.place}"
        self._log = folder / "alertmanager.log"
        self._file = folder / "alertmanager.yml"
        self._file.write_text(yaml.safe_dump(dict(configuration)))
        self._data = folder / "alertmanager"

    def __enter__(self) -> Self:
        command = [
            "prometheus-alertmanager",
            f"--config.file={self._file}",
            f"--storage.path={self._data}",
            f"--web.listen-address={self.place}",
            # Empty: it would look for a private address to gossip on.
            "--cluster.listen-address=",
        ]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        until = time.monotonic() + _START_SECONDS
        while not self._is_ready():
            if self._process.poll() is not None or time.monotonic() > until:
                self.__exit__()
                raise AssertionError(self._log.read_text()[-3000:])
            time.sleep(0.1)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _is_ready(self) -> bool:
        try:
            with loopback_session() as session:
                return session.get(f"{self.url}/-/ready", timeout=5).status_code == 200
        except OSError:
            return False

    def alerts(self) -> list[dict[str, Any]]:
        """Return the alerts that fire, as its API has them."""
        with loopback_session() as session:
            found: list[dict[str, Any]] = session.get(f"{self.url}/api/v2/alerts", timeout=5).json()
        return found
