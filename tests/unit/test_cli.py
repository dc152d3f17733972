"""Commands from outside: what they print, their exit codes, and no traceback for what a user can mend."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from textwrap import dedent

import pytest

from agent_process import AgentProcess
from evenwatt import __version__
from fake_machine import events, source

pytest_plugins = ["machine_fixtures"]

COMMAND_SECONDS = 60.0
CLOSED = 'server: {listen: "127.0.0.1:1"}\nhistory: {path: %s}\n'


def evenwatt(*arguments, **options):
    """Run a command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "evenwatt", *map(str, arguments)],
        text=True,
        timeout=COMMAND_SECONDS,
        check=False,
        **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options},
    )


@pytest.fixture
def config(tmp_path):
    """A function that writes a configuration and returns its path."""

    def written(text):
        path = tmp_path / "config.yaml"
        path.write_text(dedent(text))
        return path

    return written


def test_version():
    """The version is printed, and nothing else."""
    told = evenwatt("--version")

    assert (told.returncode, told.stdout, told.stderr) == (0, f"evenwatt {__version__}\n", "")


def test_without_a_command_the_commands_are_listed():
    """Help names every command that there is."""
    told = evenwatt()

    for command in ("run", "demo", "check-config", "calibrate", "status", "gpu"):
        assert f"  {command} " in told.stdout + told.stderr


@pytest.mark.parametrize("command", [["run"], ["demo"], ["check-config"], ["status"], ["gpu", "release"]])
def test_a_wrong_configuration_is_told_by_every_command(config, command):
    """All faults at once with their places, exit code 2, and no traceback."""
    path = config("windows: [24x]\nelectricity: {pue: 0.5}\n")
    told = evenwatt(*command, "--config", path)

    assert told.returncode == 2
    lines = told.stderr.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith(f"{path}:1: windows")
    assert lines[1].startswith(f"{path}:2: electricity.pue")


def test_a_right_configuration_says_what_is_assumed(config):
    """Exit code 0; what nobody wrote is told with the line to write."""
    path = config("electricity: {price_per_kwh: 0.25}\n")
    told = evenwatt("check-config", "--config", path)

    assert (told.returncode, told.stderr) == (0, "")
    assert told.stdout.startswith(f"{path}: right\n")
    assert "price_per_kwh" not in told.stdout
    assert "to write, with your value: hardware: {purchase_price: PRICE, lifetime_years: 3}" in told.stdout


def test_no_configuration_is_right_too(tmp_path):
    """Without a file all defaults hold, and it says so."""
    told = evenwatt("check-config", env={"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path)})

    assert told.returncode == 0
    assert told.stdout.startswith("no configuration file; all defaults\n")


def test_a_missing_file_is_told(tmp_path):
    """A configuration that is not there is a fault with exit code 2."""
    told = evenwatt("check-config", "--config", tmp_path / "none.yaml")

    assert told.returncode == 2
    assert "there is no such file" in told.stderr


@pytest.mark.parametrize("command", [["status"], ["status", "--json"], ["gpu", "release"], ["gpu", "resume"]])
def test_commands_need_an_agent_that_runs(config, tmp_path, command):
    """Where no agent answers, one sentence says where it was looked for and what to do."""
    told = evenwatt(*command, "--config", config(CLOSED % (tmp_path / "h.db")))

    assert (told.returncode, told.stdout) == (1, "")
    assert told.stderr.startswith("evenwatt: no running agent answers at http://127.0.0.1:1/api/v1/status")
    assert "evenwatt run" in told.stderr
    assert len(told.stderr.splitlines()) == 1


def test_a_port_in_use_is_told(config, tmp_path):
    """An agent that cannot listen ends with one sentence after its log, and no traceback."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        path = config(
            f'server: {{listen: "{listen}"}}\nhistory: {{path: {tmp_path / "h.db"}}}\nengines: []\n'
        )
        told = evenwatt("run", "--no-simulation", "--config", path)

    assert told.returncode == 1
    assert told.stderr.splitlines()[-1].startswith(f"evenwatt: server.listen: cannot listen on {listen}")
    assert "Traceback" not in told.stderr


def test_a_recording_that_is_none_is_told(config, tmp_path):
    """`demo --replay` of something else says what it found, and no traceback."""
    (tmp_path / "notes.txt").write_text("hello\n")
    path = config(CLOSED % (tmp_path / "h.db"))
    told = evenwatt("demo", "--replay", tmp_path / "notes.txt", "--config", path)

    assert told.returncode == 1
    assert str(tmp_path / "notes.txt") in told.stderr.splitlines()[-1]
    assert "Traceback" not in told.stderr


def test_an_unknown_command_is_told():
    """Typing errors are answered with exit code 2."""
    told = evenwatt("statsu")

    assert told.returncode == 2
    assert "statsu" in told.stderr


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2])
def test_an_agent_that_starts_is_not_ended_by_other_signals(tmp_path, number):
    """What is no request to end does not end an agent that does not listen to it yet."""
    agent = AgentProcess(
        tmp_path,
        {"engines": []},
        environment={"PYTHONPROFILEIMPORTTIME": "1"},
        arguments=("--no-simulation",),
    )
    try:
        agent.start()
        agent.wait_for(lambda: "evenwatt.errors" in agent.log.read_text())
        agent.signal(number)
        agent.wait_until_ready()

        assert agent.stop() == 0
    finally:
        agent.kill()


def listens_to(pid, number):
    """Return whether a process has a handler of its own for a signal."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    (caught,) = [line.split()[1] for line in lines if line.startswith("SigCgt:")]
    return bool(int(caught, 16) >> (number - 1) & 1)


def test_a_driver_that_hangs_at_the_start_does_not_keep_the_agent(machine):
    """SIGTERM ends an agent in time that still waits for the driver's first word."""
    machine.scenario.rules.append("stuck nvmlInitWithFlags")
    machine.scenario.write()
    agent = machine.agent({})
    try:
        agent.start()
        agent.wait_for(lambda: listens_to(agent.pid, signal.SIGTERM))
        time.sleep(0.5)

        assert agent.get("/healthz", raises=False) == 0
        assert agent.stop(seconds=5.0) == 0
    finally:
        agent.kill()


def test_a_release_that_the_driver_keeps_waiting_is_told(machine):
    """`gpu release` while a GPU call hangs fails at once in words; the status says that the wish waits."""
    with machine.agent({}) as agent:
        machine.gpus[0].stick("nvmlDeviceGetPowerUsage")
        machine.scenario.write()
        agent.wait_for(lambda: "no answer for" in (source(agent, "nvml")["error"] or ""))
        began = time.monotonic()
        told = evenwatt("gpu", "release", "--config", agent.config)
        took_seconds = time.monotonic() - began
        agent.wait_for(lambda: events(agent, "gpus_release_waits"))

        assert told.returncode == 1
        assert "the driver hangs" in told.stderr
        assert took_seconds < 10.0
        assert agent.metric("evenwatt_gpus_released") == 0
        assert events(agent, "gpus_released") == []


def test_a_reference_that_the_catalogue_does_not_know_is_a_fault(config):
    """A mistyped model is named with its nearest ids, before its comparison is missed."""
    path = config('references: ["anthropic:claude-haiku-45"]\n')
    told = evenwatt("check-config", "--config", path)

    assert told.returncode == 2
    assert "claude-haiku-45" in told.stderr
    assert "claude-haiku-4-5" in told.stderr


def test_holidays_that_nobody_knows_are_a_fault_beside_others(config):
    """An unknown country is told with an unknown model, both at once."""
    path = config('references: ["anthropic:claude-haiku-45"]\nelectricity: {holidays: {country: XX}}\n')
    told = evenwatt("check-config", "--config", path)

    assert told.returncode == 2
    assert f"{path}: electricity.holidays: no country 'XX' is known" in told.stderr
    assert "claude-haiku-4-5" in told.stderr


@pytest.mark.parametrize("arguments", [("--version",), ("plan", "--json"), ("plan",)])
def test_a_full_disk_behind_the_output_is_told(arguments):
    """No traceback, and no success."""
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        told = evenwatt(*arguments, stdout=full)

    assert (told.returncode, told.stderr) == (
        1,
        "evenwatt: the output cannot be written: No space left on device; make room, or write elsewhere\n",
    )


@pytest.mark.parametrize("arguments", [("--version",), ("plan", "--json")])
def test_a_reader_who_has_enough_is_no_fault(arguments):
    """`evenwatt plan | head -1` ends in silence."""
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w", encoding="utf-8") as output:
        told = evenwatt(*arguments, stdout=output)

    assert (told.returncode, told.stderr) == (1, "")


def test_a_command_whose_output_is_closed_runs_to_its_end():
    """As `evenwatt check-config >&-` in a script."""
    told = subprocess.run(
        ["/bin/sh", "-c", f"{sys.executable} -m evenwatt --version >&-"],
        stderr=subprocess.PIPE,
        text=True,
        timeout=COMMAND_SECONDS,
        check=False,
    )

    assert (told.returncode, told.stderr) == (0, "")
