"""Starts, watches and ends the server processes of the tests; each ends only what it started, by its PID."""

import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import requests

from counting_engine import Counts

__all__ = ["ChildServer", "EngineProcess", "TruthLine", "free_port", "loopback_session"]

_ENGINE_SCRIPT = Path(__file__).with_name("counting_engine.py")
_START_SECONDS = 30.0
_STOP_SECONDS = 20.0
_CALL_SECONDS = 5.0
_POLL_SECONDS = 0.05
_LOG_TAIL_CHARACTERS = 2_000


def free_port() -> int:
    """Return a loopback port that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def loopback_session() -> requests.Session:
    """Return a session that goes straight to this machine, whatever proxy the environment names."""
    session = requests.Session()
    session.trust_env = False
    return session


class ChildServer:
    """A server process on a loopback port that stays the same over restarts.

    Args:
        command: Program and arguments; they make it listen on `port`.
        port: Where it will answer.
        log: The file that its output is appended to.
        environment: Of the process; None: that of the tests.
        program: The file that is run, where the first word of the command is another name.
        folder: Where the process runs; None: where the tests do.
        health_url: Where it answers 200 once it works; None: `/health` on its port.
        start_seconds: What it may take to answer.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        port: int,
        log: Path,
        environment: Mapping[str, str] | None = None,
        program: Path | None = None,
        folder: Path | None = None,
        health_url: str | None = None,
        start_seconds: float = _START_SECONDS,
    ) -> None:
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self._command = list(command)
        self._log = log
        self._environment = environment
        self._program = program
        self._folder = folder
        self._health_url = health_url or f"{self.url}/health"
        self._start_seconds = start_seconds
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """The process that was started last; it may have ended."""
        if self._process is None:
            raise RuntimeError(f"{self._command[0]} was not started yet; call start() first.")
        return self._process.pid

    def start(self) -> None:
        """Start the process and wait until it says that it works.

        Raises:
            RuntimeError: It runs already, ended at once, or did not answer in time, with its last output.
        """
        if self._process is not None and self._process.poll() is None:
            raise RuntimeError(f"PID {self.pid} still runs on port {self.port}; stop it first.")
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                executable=self._program,
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environment,
            )
        try:
            self.wait_for(self._is_healthy, self._start_seconds)
        except BaseException:
            self.stop()  # in order, as it may have started others
            raise

    def stop(self) -> None:
        """Ask the process to end, and kill it when it does not; nothing where it has ended."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """End the process with SIGKILL; nothing where it has ended."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(_STOP_SECONDS)

    def wait_for(self, condition: Callable[[], object], seconds: float) -> None:
        """Wait for a condition.

        Raises:
            RuntimeError: It did not come, or the process ended, with its last output.
        """
        deadline = time.monotonic() + seconds
        while not condition():
            status = None if self._process is None else self._process.poll()
            if status is not None:
                raise RuntimeError(f"{self._command[0]} ended with {status}: {self._log_tail()}")
            if time.monotonic() > deadline:
                raise RuntimeError(f"{self._command[0]}: not within {seconds} s: {self._log_tail()}")
            time.sleep(_POLL_SECONDS)

    def _is_healthy(self) -> bool:
        try:
            with loopback_session() as session:
                return session.get(self._health_url, timeout=_CALL_SECONDS).ok
        except requests.RequestException:
            return False

    def _log_tail(self) -> str:
        return self._log.read_text(encoding="utf-8", errors="replace")[-_LOG_TAIL_CHARACTERS:]


@dataclass(frozen=True, slots=True, kw_only=True)
class TruthLine:
    """What a counting engine wrote down that it had counted.

    Attributes:
        event: `page` just before a page was sent; `stop` at its orderly end.
        mode: How the page was sent.
        models: Exact totals by the model's name, as on that page.
    """

    event: str
    mode: str
    pid: int
    utc_seconds: float
    boot_seconds: float
    models: Mapping[str, Counts]


class EngineProcess:
    """A counting engine (`counting_engine.py`) as a process, on one port and with one truth file for life.

    Use it as a context manager: it starts on entry and ends on exit, whatever happened between.

    Args:
        folder: An existing folder for its log and truth.
        arguments: More of its command line, such as `"--models", "3"`.
        port: Where to listen; None: a free one.
    """

    def __init__(self, folder: Path, *arguments: str, port: int | None = None) -> None:
        port = port if port is not None else free_port()
        self._truth_file = folder / f"truth-{port}.jsonl"
        command = [sys.executable, "-I", str(_ENGINE_SCRIPT), "--port", str(port)]
        command += ["--truth", str(self._truth_file), *arguments]
        self._server = ChildServer(command, port=port, log=folder / f"counting-engine-{port}.log")
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
        """End it in order: its last totals go to the truth."""
        self._server.stop()

    def kill(self) -> None:
        """End it with SIGKILL: what it counted after its last page is known to nobody."""
        self._server.kill()

    def set_mode(self, mode: str) -> None:
        """Choose how its metrics page answers from now on: a name of `counting_engine.MODES`."""
        self._post("/mode", {"mode": mode})

    def set_rates(self, rates: Counts) -> None:
        """Count this much a second from now on, for each model; `Counts()` makes it idle."""
        self._post("/rates", rates.as_dict())

    def set_running(self, requests_running: int | None) -> None:
        """Show this many running requests; None: one while a rate is not zero."""
        self._post("/running", {"requests": requests_running})

    def work(self, amounts: Counts, *, model: str | None = None) -> None:
        """Count these amounts at once.

        Args:
            amounts: What is added to the totals.
            model: Which model did it; None: the first.
        """
        self._post("/work", amounts.as_dict() | {"model": model})

    def truth(self) -> list[TruthLine]:
        """Return all that it wrote down, over all of its lives, oldest first."""
        lines = self._truth_file.read_text(encoding="utf-8").splitlines() if self._truth_file.exists() else []
        return [_truth_line(json.loads(line)) for line in lines]

    def _post(self, path: str, body: dict[str, Any]) -> None:
        with loopback_session() as session:
            answer = session.post(f"{self.url}{path}", json=body, timeout=_CALL_SECONDS)
        if not answer.ok:
            raise ValueError(answer.text)


def _truth_line(fields: dict[str, Any]) -> TruthLine:
    models = {model: Counts(**counts) for model, counts in fields.pop("models").items()}
    return TruthLine(models=models, **fields)
