"""The agent with host power: counted, shown, priced, and followed through reloads and calibrations."""

from contextlib import contextmanager

import pytest

from engine_process import free_port, loopback_session
from evenwatt.config import load
from evenwatt.service.agent import Agent
from evenwatt.service.control import Control
from evenwatt.service.host.keeper import GPU_POWER
from evenwatt.service.start import demo_agent
from evenwatt.sinks.history import CalibrationRow, history_beside

FACTOR = {"factor": 1.08, "standard_error": 0.01, "r_squared": 0.99}


class Site:
    """A machine without GPU and engine, whose host power is configured."""

    def __init__(self, folder):
        self.port = free_port()
        self.config = folder / "config.yaml"
        self.history = folder / "history.db"

    def configure(self, host_power):
        """Write the configuration."""
        self.config.write_text(
            f'server: {{listen: "127.0.0.1:{self.port}"}}\n'
            f"history: {{path: {self.history}}}\n"
            "engines: []\n"
            "references: [{name: flat, input: 1, output: 5}]\n"
            "electricity: {price_per_kwh: 0.30}\n"
            f"host_power: {host_power}\n"
        )

    @contextmanager
    def agent(self):
        """Run an agent by hand; it is ended in order."""
        agent = Agent(
            load(self.config),
            gpus=None,
            engines=None,
            history_path=self.history,
            config_path=self.config,
        )
        try:
            yield agent
        finally:
            control = Control()
            control.stop()
            agent.run(control)

    def status(self):
        """Return the status document as the port has it."""
        with loopback_session() as session:
            return session.get(f"http://127.0.0.1:{self.port}/api/v1/status", timeout=5).json()


@pytest.fixture
def site(tmp_path):
    """A site."""
    return Site(tmp_path)


def test_a_server_without_a_gpu_has_energy_and_its_cost(site):
    """1,000 W of a fixed figure are nobody's here, accrue 0.30 an hour, and are the machine's energy."""
    site.configure("{source: fixed, watts: 1000}")
    with site.agent() as agent:
        for _ in range(3):
            agent.tick()
        status = site.status()

    joules = status["host"]["energy_joules"]["fixed"]
    (row,) = status["totals"]
    assert status["host"]["host_watts"] == pytest.approx(1_000, rel=0.05)
    assert status["cost_per_hour"]["energy"] == pytest.approx(0.30, rel=0.05)
    assert joules > 0
    assert row["engine"] == "unallocated"
    assert row["idle_empty_joules"] == pytest.approx(joules, rel=1e-9)


def test_a_reload_takes_another_source_with_a_baseline(site):
    """The counters of both stay; an event says what host energy comes from."""
    site.configure("{source: fixed, watts: 1000}")
    with site.agent() as agent:
        for _ in range(3):
            agent.tick()
        before = site.status()["host"]["energy_joules"]["fixed"]
        site.configure("{source: fixed, watts: 10}")
        agent.reload()
        for _ in range(3):
            agent.tick()
        status = site.status()

    told = [event["text"] for event in status["events"] if event["kind"] == "host_power_source"]
    assert "10 W as configured" in told[0]
    assert status["host"]["energy_joules"]["fixed"] == pytest.approx(before, rel=0.5)


def test_a_calibration_left_beside_the_agent_is_taken_up(site):
    """The running agent shows the factor with its next ticks, and counts by it where it was told to."""
    site.configure("{source: fixed, watts: 100, apply_calibration: true}")
    with site.agent() as agent:
        agent.tick()
        with history_beside(site.history, may_write=True) as beside:
            beside.add_calibration(
                CalibrationRow(
                    utc_seconds=1_000.0, kind=GPU_POWER, subject="http", result=FACTOR, settings={}
                )
            )
        agent.tick()
        calibration = site.status()["host"]["calibration"]

    assert (calibration["factor"], calibration["is_applied"]) == (1.08, True)


def test_the_demo_has_a_plug(site):
    """Simulated readings show host energy too, from a plug that has both GPUs behind it."""
    site.configure("{source: fixed, watts: 100}")
    with demo_agent(load(site.config), config_path=site.config) as agent:
        try:
            for _ in range(4):
                agent.tick()
            status = site.status()
        finally:
            control = Control()
            control.stop()
            agent.run(control)

    assert status["host"]["source"] == "simulated"
    assert status["host"]["covers"] == "wall"
    assert 50 <= status["host"]["host_watts"] <= 150
