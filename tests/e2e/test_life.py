"""The life of the agent: how it ends, takes another configuration, lets go of GPUs, and answers commands."""

import json
import re
import signal
import socket
import sqlite3
import time
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from agent_process import AgentProcess
from counting_engine import Counts
from evenwatt import __version__
from evenwatt.readings.nvml import nvml_installed
from fake_machine import (
    booked_tokens,
    cost,
    events,
    evenwatt,
    joules,
    locked,
    log_count,
    settings_of,
    source,
    true_tokens,
    wait_for_ticks,
)
from load import mixed_requests, send

pytest_plugins = ["llama_fixtures", "machine_fixtures"]

WORK = Counts(input_tokens=1_000, cached_input_tokens=300, output_tokens=200, completed_requests=4)
STOP_SECONDS = 5.0
FEW_TICKS = {"tick_seconds": 60, "deadline_seconds": 5, "gpu_seconds": 0.1}
"""As the defaults have them, and so seldom that what happens at the end is not the work of a usual tick."""

needs_no_driver = pytest.mark.skipif(nvml_installed(), reason="this machine has NVIDIA's library")


def written_tokens(history: Path, engine: str) -> int | None:
    """Return what a history that nobody writes any more holds of an engine."""
    with closing(sqlite3.connect(history)) as connection:
        (tokens,) = connection.execute(
            "SELECT sum(input_tokens + cached_input_tokens + output_tokens) FROM total_usage"
            " WHERE engine = ?",
            (engine,),
        ).fetchone()
    return tokens


# --- the end ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("trouble", ["none", "engine hangs", "driver hangs"])
def test_sigterm_takes_a_last_reading_in_time(machine, trouble):
    """SIGTERM between two ticks ends the agent within 5 seconds; what was counted until then is written."""
    with ExitStack() as stack:
        engine, other = (stack.enter_context(machine.quiet_engine()) for _ in range(2))
        agent = stack.enter_context(machine.agent({"chat": engine, "other": other}, sampling=FEW_TICKS))
        engine.work(WORK)
        if trouble == "engine hangs":
            other.set_mode("hang")
        if trouble == "driver hangs":
            machine.gpus[0].stick("nvmlDeviceGetPowerUsage")
            machine.scenario.write()
            time.sleep(0.5)  # several of its samples, each 0.1 s

        assert agent.stop(STOP_SECONDS) == 0
        assert log_count(agent, "Traceback") == 0
        assert written_tokens(agent.history, "chat") == 1_000 + 300 + 200


def test_the_end_does_not_wait_for_what_hangs(machine):
    """Amid a round with a hanging engine and a stuck driver the end is as near; other tokens are written."""
    with machine.quiet_engine() as engine, machine.quiet_engine() as hanging:
        hanging.set_mode("hang")
        machine.gpus[0].stick("nvmlDeviceGetPowerUsage")
        machine.scenario.write()
        agent = machine.agent({"chat": engine, "other": hanging}, sampling=FEW_TICKS)
        try:
            agent.start()
            # A page that is sent, and not yet taken by the round, is all that the last reading gets.
            agent.wait_for(lambda: log_count(agent, "chat (vllm) is up") == 1)
            engine.work(WORK)

            assert agent.stop(STOP_SECONDS) == 0
        finally:
            agent.kill()
        assert written_tokens(agent.history, "chat") == 1_000 + 300 + 200


def test_what_could_not_be_written_at_the_end_is_booked_by_the_next_start(machine):
    """A history locked to the very end costs no token: the next start counts on from what was written."""
    with machine.quiet_engine() as engine, machine.agent({"chat": engine}, sampling=FEW_TICKS) as agent:
        with locked(agent.history):
            engine.work(WORK)

            assert agent.stop(STOP_SECONDS) == 0
            assert log_count(agent, "could not be written") == 1
        assert written_tokens(agent.history, "chat") is None

        with agent:
            assert booked_tokens(agent, "chat") == WORK


def test_the_end_does_not_wait_for_all_that_hangs_one_after_the_other(machine):
    """With the history locked too, amid a tick, the end still comes in time."""
    with ExitStack() as stack:
        hanging = stack.enter_context(machine.quiet_engine())
        agent = stack.enter_context(machine.agent({"chat": hanging}))
        stack.enter_context(locked(agent.history))
        hanging.set_mode("hang")
        machine.gpus[0].stick("nvmlDeviceGetPowerUsage")
        machine.scenario.write()
        agent.wait_for(lambda: agent.metric("evenwatt_history_up") == 0)
        agent.wait_for(lambda: not source(agent, "chat")["up"])

        assert agent.stop(STOP_SECONDS) == 0


# --- another configuration ----------------------------------------------------------------------------------


def test_a_new_price_holds_from_the_reload_on(machine):
    """Energy before a reload costs the old price, energy after it the new one, to the millijoule."""
    with machine.agent({}, electricity={"price_per_kwh": 0.36}) as agent:
        agent.wait_for(lambda: joules(agent, 0) is not None)
        machine.draw(3_600.0, 0.0)
        wait_for_ticks(agent, 3)
        machine.rest(agent)
        first, first_cost = machine.true_joules(0), cost(agent, "energy")
        agent.configure(settings_of({}, electricity={"price_per_kwh": 0.72}))
        agent.signal(signal.SIGHUP)
        agent.wait_for(lambda: agent.metric("evenwatt_electricity_price_per_kwh") == 0.72)
        machine.draw(3_600.0, 0.0)
        wait_for_ticks(agent, 3)
        machine.rest(agent)
        second, second_cost = machine.true_joules(0) - first, cost(agent, "energy") - first_cost

        assert first > 1_000
        assert second > 1_000
        assert first_cost == pytest.approx(first * 1e-7, abs=1e-9)
        assert second_cost == pytest.approx(second * 2e-7, abs=1e-9)
        assert agent.metric("evenwatt_config_last_reload_successful") == 1


def test_a_reload_adds_and_removes_engines_and_loses_no_token(machine):
    """Engines come and go by reload while another counts on; totals of one that is gone stay."""
    with (
        machine.busy_engine() as busy,
        machine.quiet_engine() as added,
        machine.agent({"busy": busy}) as agent,
    ):
        agent.wait_for(lambda: booked_tokens(agent, "busy") is not None)
        agent.configure(settings_of({"busy": busy, "added": added}))
        agent.signal(signal.SIGHUP)
        agent.wait_for(lambda: agent.metric("evenwatt_engine_up", engine="added") == 1)
        added.work(WORK)
        agent.wait_for(lambda: booked_tokens(agent, "added") == WORK)
        agent.configure(settings_of({"busy": busy}))
        agent.signal(signal.SIGHUP)
        agent.wait_for(lambda: agent.metric("evenwatt_engine_up", engine="added") is None)

        assert booked_tokens(agent, "added") == WORK

        added.work(WORK)
        agent.configure(settings_of({"added": added, "busy": busy}))
        agent.signal(signal.SIGHUP)
        agent.wait_for(lambda: booked_tokens(agent, "added") == WORK + WORK)
        busy.set_rates(Counts())
        agent.wait_for(lambda: booked_tokens(agent, "busy") == true_tokens(busy))
        wait_for_ticks(agent, 2)

        assert booked_tokens(agent, "added") == WORK + WORK
        assert booked_tokens(agent, "busy") == true_tokens(busy)
        assert log_count(agent, "busy (vllm) is up") == 1
        assert agent.metric("evenwatt_engine_restarts_total") == 0


def test_a_wrong_file_leaves_the_old_one_in_force(machine):
    """A reload of a file with faults tells all of them and changes nothing; the next right file is taken."""
    with machine.quiet_engine() as engine, machine.agent({"chat": engine}) as agent:
        right = agent.config.read_text()
        agent.config.write_text("currency: euro\nelectricity: {price: 0.3}\nwindows: [soon]\n")
        agent.signal(signal.SIGHUP)
        agent.wait_for(lambda: agent.metric("evenwatt_config_last_reload_successful") == 0)
        engine.work(WORK)
        agent.wait_for(lambda: booked_tokens(agent, "chat") == WORK)
        (event,) = events(agent, "config_refused")

        for key in ("currency", "electricity.price", "windows[0]"):
            assert key in event["text"]
            assert log_count(agent, f": {key}: ") >= 1
        assert not agent.status()["config_reload_ok"]

        agent.config.write_text(right.replace("input: 1.0", "input: 2.0"))
        agent.signal(signal.SIGHUP)
        agent.wait_for(lambda: agent.metric("evenwatt_config_last_reload_successful") == 1)

        assert len(events(agent, "config_reloaded")) == 1
        assert booked_tokens(agent, "chat") == WORK


# --- one agent for one history and one port -----------------------------------------------------------------


def test_a_second_agent_on_a_history_is_refused_with_the_pid_of_the_first(machine, tmp_path_factory):
    """Two agents would count twice: the second one says who is there and ends."""
    with machine.agent({}) as agent:
        second = AgentProcess(tmp_path_factory.mktemp("second"), {"history": {"path": str(agent.history)}})
        refused = evenwatt("run", "--no-simulation", "--config", second.config)

        assert refused.returncode == 1
        assert f"in use by another agent, PID {agent.pid};" in refused.stderr
        assert "Traceback" not in refused.stderr
        assert agent.get("/readyz") == 200


def test_a_port_in_use_is_refused_in_words(machine):
    """An agent that cannot listen says where, why and what to do, and ends."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        agent = machine.agent({}, server={"listen": address})
        refused = evenwatt("run", "--no-simulation", "--config", agent.config)

    assert refused.returncode == 1
    assert f"server.listen: cannot listen on {address}:" in refused.stderr
    assert "Set server.listen to a free address" in refused.stderr
    assert "Traceback" not in refused.stderr


# --- letting go of the GPUs ---------------------------------------------------------------------------------


def test_gpus_are_let_go_and_taken_up_again_without_a_joule_lost(machine):
    """While released nobody holds the driver and all surfaces say so; what it counted meanwhile is booked."""
    with machine.agent({}) as agent:
        agent.wait_for(lambda: joules(agent, 0) is not None)
        metered = machine.scenario.clients()
        released = evenwatt("gpu", "release", "--config", agent.config)
        machine.draw(100.0, 200.0)
        wait_for_ticks(agent, 5)
        clients, state = machine.scenario.clients(), source(agent, "nvml")
        table = evenwatt("status", "--config", agent.config).stdout

        assert metered == {agent.pid}
        assert released.returncode == 0
        assert clients == set()
        assert agent.metric("evenwatt_gpus_released") == 1
        assert agent.metric("evenwatt_gpu_power_watts") is None
        assert agent.status()["gpus_released"]
        assert "evenwatt gpu resume" in state["error"]
        assert "the GPUs are released" in table

        resumed = evenwatt("gpu", "resume", "--config", agent.config)
        machine.rest(agent)

        assert resumed.returncode == 0
        assert machine.scenario.clients() == {agent.pid}
        assert agent.metric("evenwatt_gpus_released") == 0
        assert machine.true_joules(0) > 100


# --- commands -----------------------------------------------------------------------------------------------


def test_status_shows_the_running_agent(machine):
    """`status` prints tables of what the agent sees, and with --json the document that they are made of."""
    with machine.quiet_engine() as engine, machine.agent({"chat": engine}) as agent:
        engine.work(WORK)
        agent.wait_for(lambda: booked_tokens(agent, "chat") == WORK)
        table = evenwatt("status", "--config", agent.config)
        document = json.loads(evenwatt("status", "--json", "--config", agent.config).stdout)

    assert table.returncode == 0
    assert re.search(r"chat / model-0\s+1,000\s+300\s+200", table.stdout)
    assert f"{engine.url}/metrics" in table.stdout
    assert "SIMULATED" not in table.stdout
    assert document["version"] == __version__
    assert {entry["source"]: entry["up"] for entry in document["sources"]} == {"nvml": True, "chat": True}


def test_a_right_configuration_is_called_right(machine):
    """`check-config` says that a file is right and what is still assumed."""
    agent = machine.agent({})
    checked = evenwatt("check-config", "--config", agent.config)

    assert checked.returncode == 0
    assert checked.stdout.startswith(f"{agent.config}: right\n")
    assert "to write, with your value: electricity: {price_per_kwh: 0.30}" in checked.stdout


def test_ten_faults_are_told_at_once(tmp_path):
    """`check-config` tells every fault of a file with its line and key, and exits with 2."""
    config = tmp_path / "config.yaml"
    config.write_text(
        "currency: euro\n"
        "timezone: Mars/Olympus\n"
        "month_hours: 731\n"
        "electricity:\n"
        "  price_per_kwh: cheap\n"
        "  pue: 0.5\n"
        "windows: [soon]\n"
        "server: {listen: nowhere}\n"
        "history: {path: relative.db}\n"
        "sampling: {tick_seconds: 0}\n"
        "engine: []\n"
    )
    checked = evenwatt("check-config", "--config", config)
    lines, _wrong = checked.stderr.splitlines(), (1, 2, 3, 5, 6, 7, 8, 9, 10, 11)

    assert checked.returncode == 2
    assert [line.split(": ")[0] for line in lines] == [
        f"{config}:{n}" for n in (1, 2, 3, 5, 6, 7, 8, 9, 10, 11)
    ]
    assert "Traceback" not in checked.stderr


def test_a_missing_configuration_is_told(tmp_path):
    """A file that is named and is not there is a fault of the configuration."""
    checked = evenwatt("check-config", "--config", tmp_path / "none.yaml")

    assert checked.returncode == 2
    assert checked.stderr == (
        f"{tmp_path}/none.yaml: there is no such file; check the path, or leave it out for the defaults\n"
    )


def test_the_version_is_told():
    """`--version` says the version and nothing else."""
    assert evenwatt("--version").stdout == f"evenwatt {__version__}\n"


def test_commands_need_no_password_on_the_machine_itself(machine):
    """With a protected port they ask at the socket beside the history, and say so where they may not."""
    users = {"prometheus": "$2b$10$abcdefghijklmnopqrstuum07vmGq4SyG7w9SfXuOAyD5WMiIMdTu"}
    agent = machine.agent({})
    own = {"listen": f"127.0.0.1:{agent.port}"}
    agent.configure(settings_of({}, server={**own, "basic_auth_users": users}))
    try:
        agent.start()
        agent.wait_for(lambda: evenwatt("status", "--config", agent.config).returncode == 0, seconds=60)

        assert agent.get("/metrics") == 401
    finally:
        agent.kill()

    refused = evenwatt("status", "--config", agent.config)
    assert refused.returncode == 1
    assert "nothing listens there" in refused.stderr


@pytest.mark.parametrize("command", ["status", "status --json", "gpu release", "gpu resume"])
def test_commands_say_so_when_no_agent_runs(machine, command):
    """A command that needs the running agent ends with a sentence where there is none."""
    agent = machine.agent({})
    refused = evenwatt(*command.split(), "--config", agent.config)

    assert refused.returncode == 1
    assert refused.stdout == ""
    assert re.fullmatch(
        r"evenwatt: no (running agent answers at|agent writes) .*--config FILE\n", refused.stderr
    )


# --- nothing real -------------------------------------------------------------------------------------------


def assert_marked_simulated(agent: AgentProcess) -> None:
    """Check that every surface says that nothing was measured."""
    assert agent.metric("evenwatt_simulated") == 1
    assert agent.status()["simulated"]
    assert log_count(agent, "SIMULATED") == 1
    assert evenwatt("status", "--config", agent.config).stdout.startswith("SIMULATED")
    assert {entry["kind"] for entry in agent.status()["sources"]} == {"simulated"}


@needs_no_driver
def test_real_readings_take_over_from_simulated_ones(tmp_path, own_network, start_llama_server):
    """With nothing to meter the agent runs on SIMULATED readings, until an engine appears and is metered."""
    settings = {"sampling": {"tick_seconds": 0.4, "discovery_seconds": 1, "discovery_networks": "own"}}
    with AgentProcess(tmp_path, settings, arguments=()) as agent:
        agent.wait_for(lambda: agent.metric("evenwatt_energy_joules_total") is not None)
        assert_marked_simulated(agent)
        assert not agent.history.exists()

        server = start_llama_server()
        name = f"llamacpp-{server.port}"
        agent.wait_for(agent.history.exists)
        agent.wait_until_ready()
        agent.wait_for(lambda: agent.metric("evenwatt_engine_up", engine=name) == 1)
        used = send(server.url, server.alias, mixed_requests(8))
        agent.wait_for(
            lambda: agent.metric("evenwatt_tokens_total", engine=name, type="output") == used.output_tokens
        )

        assert agent.metric("evenwatt_tokens_total", engine=name, type="input") == used.input_tokens
        assert agent.metric("evenwatt_tokens_total", engine="sim-chat") is None
        assert agent.metric("evenwatt_simulated") == 0
        assert not agent.status()["simulated"]


@needs_no_driver
def test_without_simulation_the_agent_waits(tmp_path, own_network):
    """`--no-simulation` with nothing to meter makes nothing up."""
    settings = {"sampling": {"tick_seconds": 0.2, "discovery_networks": "own"}}
    with AgentProcess(tmp_path, settings) as agent:
        wait_for_ticks(agent, 2)

        assert agent.metric("evenwatt_simulated") == 0
        assert agent.status()["sources"] == []
        assert agent.metric("evenwatt_energy_joules_total") is None


def test_a_demo_is_marked_on_every_surface(tmp_path):
    """`demo` meters a made-up server and says so wherever it shows."""
    with AgentProcess(tmp_path, command="demo", arguments=()) as agent:
        agent.wait_for(lambda: agent.metric("evenwatt_energy_joules_total") is not None)

        assert_marked_simulated(agent)


def test_a_recording_replays_to_the_same_sums(machine, tmp_path_factory):
    """`demo --replay` of what `run --record` wrote shows the tokens and joules that were measured."""
    recording = machine.folder / "recording.jsonl"
    with machine.quiet_engine() as engine:
        agent = AgentProcess(
            machine.folder,
            settings_of({"chat": engine}),
            environment=machine.environment,
            arguments=("--no-simulation", "--record", str(recording)),
        )
        with agent:
            agent.wait_for(lambda: joules(agent, 0) is not None)
            engine.work(WORK)
            machine.draw(100.0, 0.0)
            wait_for_ticks(agent, 3)
            machine.rest(agent)
            measured = booked_tokens(agent, "chat"), joules(agent, 0)
            assert agent.stop() == 0
    folder = tmp_path_factory.mktemp("replay")
    with AgentProcess(folder, command="demo", arguments=("--replay", str(recording))) as replay:
        replay.wait_for(lambda: joules(replay, 0) == pytest.approx(measured[1]))

        assert measured[0] == WORK
        assert booked_tokens(replay, "chat") == WORK
        assert replay.metric("evenwatt_simulated") == 1
