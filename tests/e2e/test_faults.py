"""The whole agent while something is broken: it is told, the others go on, and nothing is lost or twice."""

import ctypes
import os
import resource
import signal
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager, suppress
from pathlib import Path

import pytest

from agent_process import AgentProcess
from counting_engine import MODES, Counts
from evenwatt.readings.nvml import nvml_installed
from fake_machine import (
    Machine,
    booked_tokens,
    events,
    evenwatt,
    joules,
    locked,
    log_count,
    resident_bytes,
    settings_of,
    slowest_answer_seconds,
    source,
    true_tokens,
    wait_for_ticks,
)

pytest_plugins = ["machine_fixtures"]

DRIVER_NOT_LOADED = 9
GPU_IS_LOST = 15
BEFORE = Counts(input_tokens=1_000, cached_input_tokens=300, output_tokens=200, completed_requests=4)
MEANWHILE = Counts(input_tokens=500, cached_input_tokens=100, output_tokens=50, completed_requests=1)
ANSWER_SECONDS = 2.0
RECOVERY_SECONDS = 45.0
"""A lost GPU is left alone for half a minute before it is tried again."""

HAS_DRIVER = nvml_installed()

BAD_PAGES = {
    "garbage": "is this the address of the engine itself?",
    "endless": "is this the right address?",
    "gzip_bomb": "more than 8388608 bytes when uncompressed",
    "http500": "answered HTTP 500",
    "drip": "no complete answer within",
    "hang": "no answer",
    "cut": "hung up before the end of its answer; is it restarting?",
    "malformed": "expected `name{label=",
}
"""By the mode of the engine, what its error says beside the address."""


def test_every_way_to_answer_badly_is_tried():
    """No mode of the counting engine is left out here."""
    assert {*MODES} - {"ok"} == {*BAD_PAGES}


@pytest.mark.parametrize(("mode", "words"), BAD_PAGES.items(), ids=BAD_PAGES)
def test_an_engine_that_answers_badly_is_told_and_loses_no_token(machine, mode, words):
    """A bad page shows in health and once in the log; the others go on; its tokens are booked afterwards."""
    with (
        machine.quiet_engine() as bad,
        machine.busy_engine() as good,
        machine.agent({"bad": bad, "good": good}) as agent,
    ):
        bad.work(BEFORE)
        agent.wait_for(lambda: booked_tokens(agent, "bad") == BEFORE)
        bad.set_mode(mode)
        machine.draw(100.0, 200.0)
        agent.wait_for(lambda: agent.metric("evenwatt_source_up", source="bad") == 0)
        bad.work(MEANWHILE)
        good_before, joules_before = booked_tokens(agent, "good"), joules(agent, 0)
        wait_for_ticks(agent, 5)
        agent.wait_for(lambda: words.lower() in str(source(agent, "bad")["error"]).lower())
        error = source(agent, "bad")["error"]
        slowest = slowest_answer_seconds(agent)

        assert f"{bad.url}/metrics" in error
        assert booked_tokens(agent, "bad") == BEFORE
        assert booked_tokens(agent, "good").output_tokens > good_before.output_tokens
        assert joules(agent, 0) > joules_before
        assert slowest < ANSWER_SECONDS
        assert log_count(agent, "bad is down") == 1

        bad.set_mode("ok")
        good.set_rates(Counts())
        agent.wait_for(lambda: booked_tokens(agent, "bad") == BEFORE + MEANWHILE)
        agent.wait_for(lambda: booked_tokens(agent, "good") == true_tokens(good))
        machine.rest(agent)

        assert booked_tokens(agent, "bad") == BEFORE + MEANWHILE
        assert booked_tokens(agent, "good") == true_tokens(good)
        assert agent.metric("evenwatt_source_up", source="bad") == 1
        assert agent.metric("evenwatt_engine_restarts_total", engine="bad") == 0
        assert log_count(agent, "bad (vllm) is up") == 2


def test_pages_without_bounds_take_no_memory(machine):
    """Dozens of endless bodies, bombs and broken pages leave the agent as large as the first ones did."""
    modes = ("endless", "gzip_bomb", "garbage", "malformed")
    with ExitStack() as stack:
        engines = {mode: stack.enter_context(machine.quiet_engine()) for mode in modes}
        for mode, engine in engines.items():
            engine.set_mode(mode)
        agent = stack.enter_context(machine.agent(engines))
        wait_for_ticks(agent, 5)
        before = resident_bytes(agent)
        wait_for_ticks(agent, 30)

        assert resident_bytes(agent) - before < 8 * 2**20
        assert [source(agent, mode)["up"] for mode in modes] == [False] * len(modes)


def test_a_closed_port_is_told_and_a_new_engine_behind_it_counts_from_its_start(machine):
    """An engine that went away shows with its address; what the next one counts is booked, as a restart."""
    with machine.quiet_engine() as engine, machine.agent({"chat": engine}) as agent:
        engine.work(BEFORE)
        agent.wait_for(lambda: booked_tokens(agent, "chat") == BEFORE)
        engine.kill()
        agent.wait_for(lambda: agent.metric("evenwatt_source_up", source="chat") == 0)
        wait_for_ticks(agent, 5)
        error = source(agent, "chat")["error"]
        engine.start()
        engine.work(MEANWHILE)
        agent.wait_for(lambda: booked_tokens(agent, "chat") == BEFORE + MEANWHILE)

        assert f"{engine.url}/metrics cannot be reached (Connection refused)" in error
        assert "is the server running there?" in error
        assert log_count(agent, "chat is down") == 1
        assert agent.metric("evenwatt_engine_restarts_total", engine="chat") == 1
        assert len(events(agent, "engine_restart")) == 1


# --- GPUs ---------------------------------------------------------------------------------------------------


@pytest.mark.skipif(HAS_DRIVER, reason="this machine has NVIDIA's library")
def test_without_nvidias_library_tokens_are_counted_all_the_same(machine):
    """A machine without NVML has no GPU series, is told why once, and counts its engines' tokens."""
    with machine.quiet_engine() as engine, machine.agent({"chat": engine}, has_gpus=False) as agent:
        engine.work(BEFORE)
        agent.wait_for(lambda: booked_tokens(agent, "chat") == BEFORE)

        assert "evenwatt_gpu_" not in agent.metrics_text()
        assert agent.metric("evenwatt_energy_joules_total") is None
        assert [entry["source"] for entry in agent.status()["sources"]] == ["chat"]
        assert log_count(agent, "no GPU is metered: libnvidia-ml.so.1:") == 1


def test_a_driver_that_is_not_loaded_is_told_and_taken_up_once_it_is(machine):
    """NVML that cannot be initialised is a source that is down with advice, until the driver is there."""
    machine.scenario.init_code = DRIVER_NOT_LOADED
    machine.scenario.write()
    with machine.quiet_engine() as engine, machine.agent({"chat": engine}) as agent:
        engine.work(BEFORE)
        agent.wait_for(lambda: booked_tokens(agent, "chat") == BEFORE)
        wait_for_ticks(agent, 5)

        assert agent.metric("evenwatt_source_up", source="nvml") == 0
        assert "libnvidia-ml.so.1" in source(agent, "nvml")["error"]
        assert "modprobe nvidia" in source(agent, "nvml")["error"]
        assert log_count(agent, "nvml is down") == 1

        machine.scenario.init_code = 0
        machine.scenario.write()
        agent.wait_for(lambda: joules(agent, 0) is not None)
        machine.draw(100.0, 200.0)
        wait_for_ticks(agent, 2)
        machine.rest(agent)


def test_a_lost_gpu_is_told_and_the_other_is_metered_on(machine):
    """One GPU off the bus costs its own series alone; what it drew meanwhile is booked when it is back."""
    lost = machine.gpus[0]
    with machine.quiet_engine() as engine, machine.agent({"chat": engine}) as agent:
        agent.wait_for(lambda: joules(agent, 0) is not None)
        lost.fault("*", GPU_IS_LOST)
        machine.draw(100.0, 200.0)
        agent.wait_for(lambda: agent.metric("evenwatt_gpu_up", uuid="GPU-0") == 0)
        lost_joules, kept_joules = joules(agent, 0), joules(agent, 1)
        wait_for_ticks(agent, 5)
        fault = next(gpu["fault"] for gpu in agent.status()["gpus"] if gpu["uuid"] == "GPU-0")

        assert "reset it or restart the machine" in fault
        assert agent.metric("evenwatt_gpu_power_watts", uuid="GPU-0") is None
        assert agent.metric("evenwatt_source_up", source="nvml") == 1
        assert joules(agent, 0) == lost_joules
        assert joules(agent, 1) > kept_joules
        assert len(events(agent, "gpu_lost")) == 1

        machine.draw(0.0, 0.0)
        machine.wait_for_joules(agent, 1)
        lost.heal()
        machine.scenario.write()
        agent.wait_for(lambda: agent.metric("evenwatt_gpu_up", uuid="GPU-0") == 1, RECOVERY_SECONDS)
        machine.wait_for_joules(agent, 0)

        assert len(events(agent, "gpu_back")) == 1
        assert log_count(agent, "GPU-0") == 2


def test_a_driver_call_that_hangs_holds_nobody_up(machine):
    """While NVML does not answer it is down, scrapes and engines go on, and no joule is missed afterwards."""
    with machine.busy_engine() as good, machine.agent({"good": good}) as agent:
        agent.wait_for(lambda: joules(agent, 0) is not None)
        machine.gpus[0].hang("nvmlDeviceGetPowerUsage")
        machine.draw(100.0, 200.0)
        agent.wait_for(lambda: agent.metric("evenwatt_source_up", source="nvml") == 0)
        good_before = booked_tokens(agent, "good")
        wait_for_ticks(agent, 5)

        assert "no answer for" in source(agent, "nvml")["error"]
        assert "libnvidia-ml.so.1" in source(agent, "nvml")["error"]
        assert booked_tokens(agent, "good").output_tokens > good_before.output_tokens
        assert agent.metric("evenwatt_gpu_power_watts") is None
        assert slowest_answer_seconds(agent) < ANSWER_SECONDS
        assert log_count(agent, "nvml is down") == 1

        machine.gpus[0].heal()
        good.set_rates(Counts())
        machine.rest(agent)
        agent.wait_for(lambda: booked_tokens(agent, "good") == true_tokens(good))


# --- the disk -----------------------------------------------------------------------------------------------

DiskFault = Callable[[AgentProcess, Path], AbstractContextManager[None]]


@contextmanager
def no_space_left(agent: AgentProcess, history: Path) -> Iterator[None]:
    """Fill the disk of a history to the last byte."""
    ballast = history.with_name("ballast")
    with ballast.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4_096))
    yield
    ballast.unlink()


@contextmanager
def file_size_limit(agent: AgentProcess, history: Path) -> Iterator[None]:
    """Let no file of the agent grow any more."""
    size = history.with_name(f"{history.name}-wal").stat().st_size
    before = resource.prlimit(agent.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(agent.pid, resource.RLIMIT_FSIZE, (size, before[1]))
    yield
    resource.prlimit(agent.pid, resource.RLIMIT_FSIZE, before)


@contextmanager
def locked_by_another(agent: AgentProcess, history: Path) -> Iterator[None]:
    """Let another program hold the history's write lock."""
    with locked(history):
        yield


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 16 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(b"tmpfs", bytes(folder), b"tmpfs", 0, b"size=16m"):
        pytest.skip(f"a disk cannot be mounted here: {os.strerror(ctypes.get_errno())}")
    yield folder
    libc.umount2(bytes(folder), 2)  # MNT_DETACH: also where something still holds a file


def book_through(fault: DiskFault, machine: Machine, history: Path) -> None:
    """Let a disk fault come and go while tokens and joules are booked, and check that each is booked once."""
    with (
        machine.quiet_engine() as engine,
        machine.agent({"chat": engine}, history={"path": str(history)}) as agent,
    ):
        engine.work(BEFORE)
        agent.wait_for(lambda: booked_tokens(agent, "chat") == BEFORE)
        with fault(agent, history):
            machine.draw(100.0, 200.0)
            agent.wait_for(lambda: agent.metric("evenwatt_history_up") == 0)
            engine.work(MEANWHILE)
            agent.wait_for(lambda: booked_tokens(agent, "chat") == BEFORE + MEANWHILE)
            agent.wait_for(lambda: (agent.metric("evenwatt_history_pending_ticks") or 0) >= 3)
            health = agent.status()["history"]

            assert health["pending_ticks"] >= 3
            assert str(history) in health["error"]
            assert not health["up"]
            assert slowest_answer_seconds(agent) < ANSWER_SECONDS
        agent.wait_for(lambda: agent.metric("evenwatt_history_up") == 1)
        agent.wait_for(lambda: events(agent, "history_back") != [])
        machine.rest(agent)

        assert agent.metric("evenwatt_history_pending_ticks") == 0
        assert booked_tokens(agent, "chat") == BEFORE + MEANWHILE
        assert log_count(agent, "ticks are kept in memory") == 1
        assert log_count(agent, "the history is written again") == 1
        assert len(events(agent, "history_down")) == len(events(agent, "history_back")) == 1
        assert agent.stop() == 0
    drawn = machine.true_joules(0) + machine.true_joules(1)
    for level in ("minute", "hour", "total"):
        tokens, joules_written = written_sums(history, level)

        assert tokens == 1_000 + 300 + 200 + 500 + 100 + 50
        assert joules_written == pytest.approx(drawn, abs=0.004, rel=0)


def written_sums(history: Path, level: str) -> tuple[int, float]:
    """Return the tokens and joules that a level of a history holds."""
    tokens = f"SELECT sum(input_tokens + cached_input_tokens + output_tokens) FROM {level}_usage"
    energy = f"SELECT sum(energy_joules) FROM {level}_gpu"
    with closing(sqlite3.connect(history)) as connection:
        return connection.execute(tokens).fetchone()[0], connection.execute(energy).fetchone()[0]


def test_a_full_disk_loses_nothing(machine, small_disk):
    """Ticks that find no space are kept in memory, shown, and written once when there is some."""
    book_through(no_space_left, machine, small_disk / "history.db")


@pytest.mark.parametrize("fault", [file_size_limit, locked_by_another])
def test_a_history_that_cannot_be_written_loses_nothing(machine, fault):
    """Ticks that fail by a limit or by another program's lock are kept in memory, shown, and written once."""
    book_through(fault, machine, machine.folder / "history.db")


def test_a_corrupt_history_is_set_aside(machine):
    """A history that is no database is kept under another name; a new one is begun and says so."""
    corrupt = b"this was never a database" * 1_000
    history = machine.folder / "history.db"
    history.write_bytes(corrupt)
    with machine.quiet_engine() as engine, machine.agent({"chat": engine}) as agent:
        engine.work(BEFORE)
        agent.wait_for(lambda: booked_tokens(agent, "chat") == BEFORE)
        (event,) = events(agent, "history_corrupt")

        (aside,) = machine.folder.glob("history.db.corrupt-*Z")
        assert aside.read_bytes() == corrupt
        assert str(aside) in event["text"]
        assert log_count(agent, aside.name) == 1


def test_a_history_that_is_locked_at_the_start_is_told_without_a_traceback(machine):
    """An agent that cannot write its history at the start says so in words and ends."""
    agent = machine.agent({})
    with agent:
        agent.stop()
    with locked(agent.history):
        refused = evenwatt("run", "--config", agent.config, environment=machine.environment)

    assert refused.returncode == 1
    assert refused.stderr.splitlines()[-1].startswith(f"evenwatt: {agent.history}: cannot be ")
    assert "Traceback" not in refused.stderr


def test_a_reload_while_the_history_is_locked_is_taken(machine):
    """A new reference that cannot be written back yet does not end the agent; no token is lost over it."""
    both = [{"name": name, "input": 1.0, "output": 5.0} for name in ("flat", "second")]
    with machine.quiet_engine() as engine, machine.agent({"chat": engine}) as agent:
        engine.work(BEFORE)
        agent.wait_for(lambda: booked_tokens(agent, "chat") == BEFORE)
        with locked(agent.history):
            agent.configure(settings_of({"chat": engine}, references=both))
            agent.signal(signal.SIGHUP)
            agent.wait_for(lambda: log_count(agent, "the configuration was reloaded") == 1)
            engine.work(MEANWHILE)
            agent.wait_for(lambda: booked_tokens(agent, "chat") == BEFORE + MEANWHILE)
        agent.wait_for(lambda: agent.metric("evenwatt_history_up") == 1)
        compared = agent.metric("evenwatt_api_cost_total", reference="second", cache="none")

        assert booked_tokens(agent, "chat") == BEFORE + MEANWHILE
        assert compared == pytest.approx((1_900 * 1.0 + 250 * 5.0) / 1e6)
