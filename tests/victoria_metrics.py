"""A real VictoriaMetrics as a process, and what it answers."""

import subprocess
import time
from contextlib import contextmanager

from engine_process import free_port, loopback_session

__all__ = ["VictoriaMetrics", "process", "victoria_metrics", "wait_for"]


class VictoriaMetrics:
    """A VictoriaMetrics that was started, and what it answers."""

    def __init__(self, port):
        self.url = f"http://127.0.0.1:{port}"
        self.session = loopback_session()

    def values(self, expression, *labels, **parameters):
        """Return what an expression gives now, or at `time`, by the values of some labels."""
        asked = {"query": expression, **parameters}
        answer = self.session.get(f"{self.url}/api/v1/query", params=asked, timeout=20).json()
        assert answer["status"] == "success", answer
        return {
            tuple(series["metric"].get(label, "") for label in labels): float(series["value"][1])
            for series in answer["data"]["result"]
        }

    def is_up(self):
        try:
            return self.session.get(f"{self.url}/health", timeout=5).status_code == 200
        except OSError:
            return False


@contextmanager
def process(folder, name, *command):
    """Run a program with a log of its own; end it afterwards."""
    with (folder / f"{name}.log").open("wb") as log:
        running = subprocess.Popen([*command], stdout=log, stderr=log, stdin=subprocess.DEVNULL)
    try:
        yield running
    finally:
        running.terminate()
        try:
            running.wait(30)
        except subprocess.TimeoutExpired:
            running.kill()
            running.wait()


@contextmanager
def victoria_metrics(folder, name, *arguments):
    """Run VictoriaMetrics, which shows at once what it has got."""
    port = free_port()
    command = (
        "victoria-metrics",
        f"-storageDataPath={folder / name}",
        f"-httpListenAddr=127.0.0.1:{port}",
        "-search.latencyOffset=0s",
        "-search.disableCache",
        "-memory.allowedBytes=134217728",
        *arguments,
    )
    with process(folder, name, *command):
        running = VictoriaMetrics(port)
        wait_for(running.is_up, 30)
        yield running


def wait_for(condition, seconds):
    """Wait for a condition."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, f"not within {seconds} s"
        time.sleep(0.2)
