"""Commands find the running agent, or say in words why not, and signal no other program."""

import json
import socket
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest

from config_fixtures import settings_of
from evenwatt.config import Address
from evenwatt.errors import AgentUnreachable
from evenwatt.service.client import ask_for_gpus, running_status
from evenwatt.sinks.status import render_status
from loopback_servers import PageServer
from sink_fixtures import snapshot

STATUS = "/api/v1/status"
HANGS = "libnvidia-ml.so.1: no answer for 9.1 s; see whether it hangs"
AN_AGENT = """
import fcntl, os, signal, sys
for number in (signal.SIGUSR1, signal.SIGUSR2):
    signal.signal(number, signal.SIG_IGN)
file = open(sys.argv[1], "w")
fcntl.flock(file, fcntl.LOCK_EX)
print(os.getpid(), file=file, flush=True)
print("held", flush=True)
sys.stdin.read()
"""
HOLD = """
import fcntl, os, sys
file = open(sys.argv[1], "w")
fcntl.flock(file, fcntl.LOCK_EX)
print(os.getpid(), file=file, flush=True)
print("held", flush=True)
sys.stdin.read()
"""


@contextmanager
def answering(status, body, host="127.0.0.1"):
    """Answer at the status path, and return where."""
    with PageServer(pages={STATUS: (status, {}, body)}) as server:
        yield Address(host=host, port=int(server.url.rpartition(":")[2]))


def document(**values):
    """Return a status document, changed."""
    return json.dumps({**json.loads(render_status(snapshot())), **values}).encode()


def gpu_sources(error=None):
    """Return the sources of an agent that meters GPUs."""
    return [{"source": "nvml", "kind": "nvml", "error": error}]


def settings_at(address, history):
    """Return settings that name an address and a history."""
    return settings_of(f'server: {{listen: "{address}"}}\nhistory: {{path: {history}}}')


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_the_document_of_a_running_agent(host):
    """An agent that listens everywhere is asked on loopback."""
    with answering(200, document(), host=host) as address:
        assert running_status(address)["sources"][0]["source"] == "chat"


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (503, b"the first tick is not done yet\n", "HTTP 503: the first tick is not done yet"),
        (404, b"no such page", "HTTP 404"),
        (200, b"<html>", "no running agent answers"),
        (200, b"[1]", "is not evenwatt"),
        (200, b'{"a": 1}', "is not evenwatt"),
        (302, b"", "HTTP 302"),
    ],
)
def test_what_is_no_running_agent_is_told(status, body, words):
    """Another program, or an agent that is not ready, is named with its address and what it said."""
    with answering(status, body) as address, pytest.raises(AgentUnreachable, match=words) as error:
        running_status(address)

    assert f"http://{address}{STATUS}" in str(error.value)


def test_nobody_there_is_told():
    """A closed port is told with what to start."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = Address(host="127.0.0.1", port=server.getsockname()[1])
    with pytest.raises(AgentUnreachable, match="nothing listens there"):
        running_status(address)


def test_an_agent_without_gpus_is_not_waited_for(tmp_path):
    """There is nothing to let go of where no GPU is metered."""
    with (
        answering(200, document()) as address,
        pytest.raises(AgentUnreachable, match="meters no GPU"),
    ):
        ask_for_gpus(settings_at(address, tmp_path / "h.db"), released=True)


def test_a_history_that_nobody_writes_is_told(tmp_path):
    """An agent with another history is somebody else's."""
    with (
        answering(200, document(sources=gpu_sources())) as address,
        pytest.raises(AgentUnreachable, match=r"no agent writes .*h\.db"),
    ):
        ask_for_gpus(settings_at(address, tmp_path / "h.db"), released=True)


def test_another_program_is_never_signalled(tmp_path):
    """A PID that is not an evenwatt here, as a container's is not, gets no signal: it would die of it."""
    lock = tmp_path / "h.db.lock"
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(lock)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout.readline() == "held\n"
        with (
            answering(200, document(sources=gpu_sources())) as address,
            pytest.raises(AgentUnreachable, match=f"PID {other.pid} of a container"),
        ):
            ask_for_gpus(settings_at(address, tmp_path / "h.db"), released=True)

        assert other.poll() is None
        other.stdin.close()
        assert other.wait() == 0


def test_a_driver_that_hangs_is_not_waited_for(tmp_path):
    """A release that cannot happen is told at once, with what hangs and who lets go when it answers."""
    history = tmp_path / "h.db"
    command = [sys.executable, "-c", AN_AGENT, f"{history}.lock", "evenwatt"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as agent:
        assert agent.stdout.readline() == "held\n"
        began = time.monotonic()
        with (
            answering(200, document(sources=gpu_sources(HANGS), gpus_released=False)) as address,
            pytest.raises(AgentUnreachable, match="the driver hangs") as error,
        ):
            ask_for_gpus(settings_at(address, history), released=True)
        agent.stdin.close()

    assert time.monotonic() - began < 5.0
    assert HANGS in str(error.value)
    assert f"PID {agent.pid}" in str(error.value)
