"""How commands talk to the agent that runs: by its port to see, by signals to ask."""

import http.client
import json
import os
import socket
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path, PurePath
from typing import Any

import psutil
import urllib3

from evenwatt import clock
from evenwatt.config import Address, Settings
from evenwatt.errors import AgentUnreachable
from evenwatt.service.access import local_socket
from evenwatt.service.control import RELEASE_SIGNAL, RESUME_SIGNAL
from evenwatt.service.workers import is_silence
from evenwatt.sinks.history import writer_pid

__all__ = ["ask_for_gpus", "running_status"]

_TIMEOUT_SECONDS = 5.0
_WAIT_SECONDS = 30.0
_POLL_SECONDS = 0.1
_ANY_HOST = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104 -- what to ask instead


def running_status(listen: Address, local: Path | None = None) -> dict[str, Any]:
    """Return the status document of the agent that listens at an address.

    Args:
        listen: Its port.
        local: Its socket for commands of this machine, where the port asks for passwords or certificates.

    Raises:
        AgentUnreachable: There is none, its first tick is not done, or it is not for this user.
    """
    address = Address(host=_ANY_HOST.get(listen.host, listen.host), port=listen.port)
    url = f"http://{address}/api/v1/status" if local is None else str(local)
    try:
        status, body = _asked_at_port(url) if local is None else _asked_at_socket(local)
        if status != http.client.OK:
            raise _unreachable(url, f"HTTP {status}: {body[:100].decode(errors='replace').strip()}")
        document = json.loads(body)
    except (urllib3.exceptions.NewConnectionError, FileNotFoundError, ConnectionRefusedError) as error:
        raise _unreachable(url, "nothing listens there") from error
    except PermissionError as error:
        raise AgentUnreachable(
            f"{url}: the agent's port is protected, and its socket for commands is for its own user and "
            "root: try again with sudo"
        ) from error
    except (urllib3.exceptions.HTTPError, http.client.HTTPException, OSError, ValueError) as error:
        raise _unreachable(url, str(error)) from error
    if not isinstance(document, dict) or "sources" not in document:
        raise AgentUnreachable(f"what answers at {url} is not evenwatt; see server.listen")
    return document


def _asked_at_port(url: str) -> tuple[int, bytes]:
    answer = urllib3.request("GET", url, timeout=_TIMEOUT_SECONDS, retries=False)
    return answer.status, answer.data


def _asked_at_socket(path: Path) -> tuple[int, bytes]:
    with (
        socket.socket(socket.AF_UNIX) as agent,
        closing(http.client.HTTPConnection("evenwatt", timeout=_TIMEOUT_SECONDS)) as connection,
    ):
        agent.settimeout(_TIMEOUT_SECONDS)
        agent.connect(str(path))
        connection.sock = agent
        connection.request("GET", "/api/v1/status")
        answer = connection.getresponse()
        return answer.status, answer.read()


def ask_for_gpus(settings: Settings, *, released: bool) -> int:
    """Ask the running agent to let the GPUs go, or to take them up; return its PID once it has.

    Raises:
        AgentUnreachable: There is none, it may not be signalled, its driver hangs, or it did not do it in
            time.
    """
    document = running_status(settings.server.listen, local_socket(settings))
    if not _driver_errors(document):
        raise AgentUnreachable("the running agent meters no GPU, so there is none to let go of or take up")
    pid = _agent_pid(settings.history.path)
    try:
        os.kill(pid, RELEASE_SIGNAL if released else RESUME_SIGNAL)
    except PermissionError as error:
        raise AgentUnreachable(
            f"the agent (PID {pid}) belongs to another user; try again with sudo"
        ) from error
    except ProcessLookupError as error:
        raise AgentUnreachable(f"the agent (PID {pid}) has ended meanwhile") from error
    until = clock.boot_seconds() + _WAIT_SECONDS
    while clock.boot_seconds() < until:
        document = running_status(settings.server.listen, local_socket(settings))
        if document["gpus_released"] == released:
            return pid
        if released:
            _refuse_to_wait_for_silence(document, pid)
        clock.sleep(_POLL_SECONDS)
    verb = "let go of the GPUs" if released else "taken the GPUs up"
    raise AgentUnreachable(f"the agent (PID {pid}) has not {verb} within {_WAIT_SECONDS:.0f} s; see its log")


def _driver_errors(document: Mapping[str, Any]) -> list[str | None]:
    """Return why the agent's sources of GPUs are down, each None while it is up; empty without GPUs."""
    return [source["error"] for source in document["sources"] if source["kind"] == "nvml"]


def _refuse_to_wait_for_silence(document: Mapping[str, Any], pid: int) -> None:
    for error in _driver_errors(document):
        if is_silence(error):
            raise AgentUnreachable(
                f"the driver hangs, and nobody can let go of its GPUs meanwhile ({error}). The agent (PID "
                f"{pid}) does so as soon as the driver answers; if it never does, end the agent"
            )


def _agent_pid(history: Path) -> int:
    """Return the PID of the agent that writes a history; never that of another program."""
    pid = writer_pid(history)
    if pid is None:
        raise AgentUnreachable(
            f"no agent writes {history}; name the configuration that it runs with: --config FILE"
        )
    try:
        is_agent = any(PurePath(word).name == "evenwatt" for word in psutil.Process(pid).cmdline())
    except psutil.Error:
        is_agent = False
    if not is_agent:
        raise AgentUnreachable(
            f"{history} is written by PID {pid} of a container, which is another process here; run this "
            "command in that container"
        )
    return pid


def _unreachable(url: str, reason: str) -> AgentUnreachable:
    return AgentUnreachable(
        f"no running agent answers at {url} ({reason}). Start it with `evenwatt run`, or name the "
        "configuration that it runs with: --config FILE"
    )
