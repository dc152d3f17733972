"""A machine for the whole agent to meter, and what a test asks an agent from outside.

Two GPUs draw what they are told, and engines count what they are given.
"""

import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Protocol

import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families

from agent_process import AgentProcess
from counting_engine import Counts
from engine_process import EngineProcess
from fake_nvml import FakeGpu, Scenario, boot_seconds

__all__ = [
    "Machine",
    "booked_tokens",
    "cost",
    "events",
    "evenwatt",
    "joules",
    "locked",
    "log_count",
    "resident_bytes",
    "settings_of",
    "slowest_answer_seconds",
    "source",
    "true_tokens",
    "wait_for_ticks",
]

_QUIET = ("--input-rate", "0", "--cached-rate", "0", "--output-rate", "0", "--request-rate", "0")
_TICK = {"tick_seconds": 0.4, "gpu_seconds": 0.1}
_COMMAND_SECONDS = 40.0
_COUNTER_JOULES = 0.002
"""The driver's counter has whole millijoules, at both ends of a difference."""


class Server(Protocol):
    """Something with an address."""

    @property
    def url(self) -> str:
        """The address."""


class Machine:
    """Two GPUs at 0 W, and what is needed to start agents and engines on it.

    Attributes:
        gpus: Of the scenario, in its order.
    """

    def __init__(self, folder: Path, library: Path) -> None:
        self.folder = folder
        self._library = library
        self.scenario = Scenario(
            folder / "nvml.txt", FakeGpu("GPU-0", watts=0.0), FakeGpu("GPU-1", watts=0.0)
        )
        self.gpus = self.scenario.gpus

    @property
    def environment(self) -> dict[str, str]:
        """What a program needs in its environment to see these GPUs."""
        return self.scenario.environment(self._library)

    def agent(
        self, engines: Mapping[str, Server], /, *, has_gpus: bool = True, **settings: Any
    ) -> AgentProcess:
        """Return an agent, not yet started, that reads these engines by name.

        Args:
            engines: By the name that the configuration gives them.
            has_gpus: Whether it finds the GPUs.
            settings: More of its configuration.
        """
        return AgentProcess(
            self.folder, settings_of(engines, **settings), environment=self.environment if has_gpus else None
        )

    def quiet_engine(self, *arguments: str) -> EngineProcess:
        """Return an engine, not yet started, that counts only the work that it is given."""
        return EngineProcess(self.folder, *_QUIET, *arguments)

    def busy_engine(self) -> EngineProcess:
        """Return an engine, not yet started, that counts all the time."""
        return EngineProcess(self.folder)

    def draw(self, *watts: float) -> None:
        """Let the GPUs draw so much from now on, in their order."""
        for gpu, power in zip(self.gpus, watts, strict=True):
            gpu.draw(power)
        self.scenario.write()

    def true_joules(self, number: int) -> float:
        """Return what a GPU that rests at 0 W again has drawn in all."""
        return self.gpus[number].energy_joules(boot_seconds() + 1.0)

    def rest(self, agent: AgentProcess) -> None:
        """Let the GPUs draw nothing, and wait until the energy of each is booked to the millijoule."""
        self.draw(0.0, 0.0)
        for number in range(len(self.gpus)):
            self.wait_for_joules(agent, number)

    def wait_for_joules(self, agent: AgentProcess, number: int) -> None:
        """Wait until the energy of a GPU that rests is booked to the millijoule."""
        expected = pytest.approx(self.true_joules(number), abs=_COUNTER_JOULES, rel=0)
        agent.wait_for(lambda: joules(agent, number) == expected)


def settings_of(engines: Mapping[str, Server], /, **settings: Any) -> dict[str, Any]:
    """Return settings that name engines, with short ticks."""
    named = [{"name": name, "url": engine.url} for name, engine in engines.items()]
    return {"engines": named, "sampling": _TICK, **settings}


def booked_tokens(agent: AgentProcess, engine: str) -> Counts | None:
    """Return the tokens and requests of an engine by the metrics page; None where there are none."""
    samples = {
        (sample.name, sample.labels.get("type") or sample.labels.get("outcome")): int(sample.value)
        for family in text_string_to_metric_families(agent.metrics_text())
        for sample in family.samples
        if sample.labels.get("engine") == engine
    }
    if ("evenwatt_tokens_total", "input") not in samples:
        return None
    return Counts(
        input_tokens=samples["evenwatt_tokens_total", "input"],
        cached_input_tokens=samples["evenwatt_tokens_total", "cached_input"],
        output_tokens=samples["evenwatt_tokens_total", "output"],
        completed_requests=samples["evenwatt_requests_total", "completed"],
    )


def true_tokens(engine: EngineProcess, model: str = "model-0") -> Counts:
    """Return what an engine has counted since the page that its agent saw first, up to its last page."""
    pages = [line.models[model].as_dict() for line in engine.truth() if line.event == "page"]
    return Counts(**{name: count - pages[0][name] for name, count in pages[-1].items()})


def joules(agent: AgentProcess, number: int) -> float | None:
    """Return the energy of a GPU as it stands on the metrics page."""
    return agent.metric("evenwatt_gpu_energy_joules_total", uuid=f"GPU-{number}")


def cost(agent: AgentProcess, component: str) -> float | None:
    """Return the cost of the whole machine so far."""
    return agent.metric("evenwatt_cost_total", component=component)


def source(agent: AgentProcess, name: str) -> dict[str, Any]:
    """Return how a source fares, by the status document."""
    return next(entry for entry in agent.status()["sources"] if entry["source"] == name)


def events(agent: AgentProcess, kind: str) -> list[dict[str, Any]]:
    """Return the latest events of a kind, newest first."""
    return [event for event in agent.status()["events"] if event["kind"] == kind]


@contextmanager
def locked(history: Path) -> Iterator[None]:
    """Hold a history's write lock, as a careless program with an open transaction does."""
    with closing(sqlite3.connect(history, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("ROLLBACK")


def log_count(agent: AgentProcess, text: str) -> int:
    """Return how many lines of the log have a text."""
    return sum(text in line for line in agent.log.read_text().splitlines())


def wait_for_ticks(agent: AgentProcess, count: int) -> None:
    """Wait until so many more ticks are done."""
    seen = {agent.status()["utc_seconds"]}

    def enough() -> bool:
        seen.add(agent.status()["utc_seconds"])
        return len(seen) > count

    agent.wait_for(enough, seconds=60.0)


def slowest_answer_seconds(agent: AgentProcess, count: int = 50) -> float:
    """Return how long the slowest of some scrapes took."""
    durations = []
    for _ in range(count):
        began = time.monotonic()
        assert "evenwatt_build_info" in agent.metrics_text()
        durations.append(time.monotonic() - began)
    return max(durations)


def resident_bytes(agent: AgentProcess) -> int:
    """Return the memory that an agent holds."""
    return psutil.Process(agent.pid).memory_info().rss


def evenwatt(
    *arguments: str | Path, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end and return what it said."""
    return subprocess.run(
        [sys.executable, "-m", "evenwatt", *map(str, arguments)],
        env=None if environment is None else dict(environment),
        capture_output=True,
        text=True,
        timeout=_COMMAND_SECONDS,
        check=False,
    )
