"""Host power from end to end: a meter, the real agent, its metrics page and its history."""

import json
import time

import pytest

from agent_process import AgentProcess
from fake_nvml import FakeGpu, Scenario, boot_seconds, build_library
from loopback_servers import PageServer
from recorded_history import RecordedHistory

WALL_WATTS = 500.0
SHELLY = {"id": "shellyplusplugs", "mac": "A8032ABE54DC", "gen": 2}


class RaplTree:
    """The powercap tree of one processor.

    Args:
        sysfs: Where it is made.
    """

    def __init__(self, sysfs):
        self._zone = sysfs / "class" / "powercap" / "intel-rapl:0"
        self._zone.mkdir(parents=True)
        (self._zone / "name").write_text("package-0\n")
        (self._zone / "max_energy_range_uj").write_text("262143328850\n")
        self.count(262_143.0)

    def count(self, joules):
        """Let its counter stand at a value."""
        partial = self._zone / "partial"
        partial.write_text(f"{round(joules * 1e6)}\n")
        partial.replace(self._zone / "energy_uj")


def usage_joules(history):
    """Return all joules that are booked to engines, models and `unallocated`."""
    columns = " + ".join(f"coalesce(sum({s}_joules), 0)" for s in ("active", "idle_loaded", "idle_empty"))
    ((joules,),) = history.rows(f"SELECT {columns} FROM total_usage")
    return joules


def test_processors_are_found_and_counted_once_over_a_kill(tmp_path):
    """A server without a GPU: RAPL is found by itself, goes round, and is counted on by the next agent."""
    tree = RaplTree(tmp_path / "sys")
    settings = {
        "engines": [],
        "host_power": {"source": "auto", "sysfs_path": str(tmp_path / "sys")},
        "electricity": {"price_per_kwh": 0.36},
    }
    agent = AgentProcess(tmp_path, settings)
    history = RecordedHistory(agent.history)

    def counted():
        return agent.metric("evenwatt_host_energy_joules_total", source="rapl") or 0.0

    with agent:
        agent.wait_for(lambda: agent.metric("evenwatt_host_info", source="rapl", covers="cpu") == 1)
        agent.wait_until_read_anew("host_power")
        tree.count(262_143.0 + 300.0 - 262_143.32885)
        agent.wait_for(lambda: counted() > 299)
        host = agent.status()["host"]
    tree.count(1_000.0)
    with agent:
        agent.wait_for(lambda: counted() > 999)
        agent.stop()

    ((booked,),) = history.rows("SELECT energy_joules FROM total_meter WHERE source = 'rapl'")
    ((cost,),) = history.rows("SELECT sum(energy_cost) FROM total_usage")
    assert "better ones do not work: ipmitool" in host["reason"]
    assert booked == pytest.approx(1_000.32885, abs=1e-3)
    assert usage_joules(history) == pytest.approx(booked, rel=1e-9)
    assert cost == pytest.approx(booked / 3.6e6 * 0.36)


def test_a_plug_and_a_gpu_are_counted_once(tmp_path, tmp_path_factory):
    """Of 500 W at the plug 300 W are a GPU's: both are on the page, and together they are the plug's."""
    library = build_library(tmp_path_factory.getbasetemp() / "nvml")
    card = FakeGpu("GPU-counter", watts=300.0)
    scenario = Scenario(tmp_path / "gpus", card)
    began = boot_seconds()

    def answer():
        joules = WALL_WATTS * (boot_seconds() - began)
        status = {"id": 0, "apower": WALL_WATTS, "aenergy": {"total": joules / 3_600}}
        server.pages["/rpc/Switch.GetStatus?id=0"] = (200, {}, json.dumps(status).encode())

    with PageServer({"/shelly": (200, {}, json.dumps(SHELLY).encode())}, before_answer=answer) as server:
        settings = {"engines": [], "host_power": {"source": "http", "kind": "shelly", "url": server.url}}
        agent = AgentProcess(tmp_path, settings, environment=scenario.environment(library))
        with agent:
            agent.wait_for(
                lambda: (agent.metric("evenwatt_host_energy_joules_total", source="http") or 0) > 600
            )
            time.sleep(1.0)
            page = {
                name: agent.metric(name)
                for name in ("evenwatt_host_power_watts", "evenwatt_gpu_power_watts", "evenwatt_simulated")
            }
            agent.stop()
    history = RecordedHistory(agent.history)

    ((host, seconds),) = history.rows("SELECT energy_joules, measured_seconds FROM total_meter")
    ((gpu,),) = history.rows("SELECT energy_joules FROM total_gpu")
    assert page["evenwatt_host_power_watts"] == pytest.approx(200, rel=0.6)
    assert page["evenwatt_gpu_power_watts"] == pytest.approx(300)
    assert host == pytest.approx(200 * seconds, rel=0.15)
    assert usage_joules(history) == pytest.approx(host + gpu, rel=1e-9)
