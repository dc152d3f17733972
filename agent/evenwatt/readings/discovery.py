"""Finds the engines of this machine, for a start without configuration.

A process is taken for an engine by its command line, and believed by its page: each candidate gets one GET of
/metrics, which loads no model, and nothing else. A port alone is a hint, never an identity.
"""

import http.client
import ipaddress
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePath

import psutil

from evenwatt.errors import SourceContractError, SourceUnavailable
from evenwatt.readings.engine import fingerprint
from evenwatt.readings.exposition import checked_page
from evenwatt.readings.http import Answer, HttpClient
from evenwatt.readings.processes import FORWARDERS
from evenwatt.readings.proxy import counts_itself
from evenwatt.readings.sockets import Address, parsed_address

__all__ = ["EngineSearch", "FoundEngine", "command_kind", "find_engines"]

_HINT_PORTS = (8000, 8080)
"""Where vLLM and llama-server listen unless told otherwise."""
_DEADLINE_SECONDS = 1.0
_MOST_REFUSALS = 2
"""How often a process is asked that answers, but not as an engine: it may still be starting, once."""
_LOOPBACK = ipaddress.IPv4Address("127.0.0.1")

_VLLM_COMMAND = re.compile(r"(?:^|[/\s])vllm\s+serve\b|\bvllm\.entrypoints\.|^VLLM::APIServer")
_PROXY_COMMAND = re.compile(r"(?:^|[/\s])evenwatt\s+proxy\b")
_LLAMACPP_PROGRAM = "llama-server"
_LLAMACPP_SERVER_HEADER = "llama.cpp"
_LOADER_PROGRAMS = ("ollama", _LLAMACPP_PROGRAM)
"""Programs that start a llama-server for each model that they load, each time on another port."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundEngine:
    """An engine that listens on this machine.

    Attributes:
        name: Its kind and port, so that it is the same after a restart.
        kind: As `EngineSource` takes it.
        url: As `EngineSource` takes it.
        pid: None where the process that listens cannot be read.
    """

    name: str
    kind: str
    url: str
    pid: int | None


class EngineSearch:
    """Looks for engines again and again, and lets alone what turned out to be something else."""

    def __init__(self) -> None:
        self._refusals: dict[tuple[int, int | None], int] = {}

    def find(self, skip_ports: frozenset[int] = frozenset()) -> tuple[FoundEngine, ...]:
        """Return the engines that listen on this machine, by port.

        A llama-server that has no page to show (started without --metrics, or asking for a key) is among
        them: whoever reads it is told what is missing. The children of Ollama and of a llama-server router
        are not: their ports last only as long as a model stays loaded.

        Args:
            skip_ports: Ports that are not asked: the agent's own, and those of engines already known.
        """
        client = HttpClient()
        found = []
        for port, listener in sorted(_candidates().items()):
            identity = (port, listener.pid)
            if port in skip_ports or self._refusals.get(identity, 0) >= _MOST_REFUSALS:
                continue
            try:
                engine = _asked(client, listener)
            except SourceUnavailable:
                continue
            if engine is None:
                self._refusals[identity] = self._refusals.get(identity, 0) + 1
            else:
                found.append(engine)
        client.close()
        return tuple(found)


def find_engines(skip_ports: frozenset[int] = frozenset()) -> tuple[FoundEngine, ...]:
    """Look once; see `EngineSearch.find`."""
    return EngineSearch().find(skip_ports)


def command_kind(command: Sequence[str]) -> str | None:
    """Return the kind of engine whose API server has this command line; None for any other program.

    The cores and workers of vLLM are other programs here: they listen for each other, and not in HTTP.
    """
    if _VLLM_COMMAND.search(" ".join(command)):
        return "vllm"
    if _PROXY_COMMAND.search(" ".join(command)):
        return "proxy"
    return "llamacpp" if _program(command).startswith(_LLAMACPP_PROGRAM) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Listener:
    address: Address
    port: int
    pid: int | None


def _candidates() -> dict[int, _Listener]:
    """Return the listeners to ask, by port: engines by their command line, and unknown ones on a hint port.

    A hint port is asked even if nothing is seen to listen there: a container's port may be forwarded by the
    packet filter, without a socket.
    """
    listeners = {port: _Listener(address=_LOOPBACK, port=port, pid=None) for port in _HINT_PORTS}
    listeners |= {listener.port: listener for listener in _listeners()}
    is_engine = {port: _is_engine(listener.pid) for port, listener in listeners.items()}
    return {
        port: listener
        for port, listener in listeners.items()
        if is_engine[port] or (is_engine[port] is None and port in _HINT_PORTS)
    }


def _listeners() -> Iterator[_Listener]:
    """Yield what listens, with the address to reach it at; of one port the loopback address last."""
    found = []
    for entry in psutil.net_connections(kind="tcp"):
        if entry.status != psutil.CONN_LISTEN or not entry.laddr:
            continue
        address = parsed_address(entry.laddr.ip)
        if address is not None:
            reachable = _LOOPBACK if address.is_unspecified else address
            found.append(_Listener(address=reachable, port=entry.laddr.port, pid=entry.pid))
    yield from sorted(found, key=lambda listener: listener.address.is_loopback)


def _is_engine(pid: int | None) -> bool | None:
    """Return whether a process is an engine that stays; None where that cannot be told."""
    if pid is None:
        return None
    try:
        process = psutil.Process(pid)
        command = process.cmdline()
        parent = process.parent()
        if process.name() in FORWARDERS:
            return None
        is_child = parent is not None and _program(parent.cmdline()).startswith(_LOADER_PROGRAMS)
    except psutil.Error:
        return None
    return command_kind(command) is not None and not is_child


def _program(command: Sequence[str]) -> str:
    return PurePath(command[0]).name if command else ""


def _asked(client: HttpClient, listener: _Listener) -> FoundEngine | None:
    """Return the engine that answers; None where something else does.

    Raises:
        SourceUnavailable: Nothing answers.
    """
    host = (
        f"[{listener.address}]" if isinstance(listener.address, ipaddress.IPv6Address) else listener.address
    )
    url = f"http://{host}:{listener.port}"
    try:
        kind = _answer_kind(client.get(f"{url}/metrics", _DEADLINE_SECONDS))
    except SourceContractError:
        return None
    if kind is None or _is_engine_seen_through(listener.pid, kind):
        return None
    return FoundEngine(name=f"{kind}-{listener.port}", kind=kind, url=url, pid=listener.pid)


def _is_engine_seen_through(pid: int | None, kind: str) -> bool:
    """Return whether a page is that of an engine which a proxy of ours passes on: it is found where it is."""
    if pid is None or kind == "proxy":
        return False
    try:
        return command_kind(psutil.Process(pid).cmdline()) == "proxy"
    except psutil.Error:
        return False


def _answer_kind(answer: Answer) -> str | None:
    """Return the kind of engine that gave an answer, or None.

    Raises:
        SourceContractError: It looks like a good answer and is no page of metrics.
    """
    if answer.status == http.client.OK:
        page = checked_page(answer.body)
        kind = fingerprint(page)
        return None if kind == "proxy" and counts_itself(page) else kind
    return "llamacpp" if answer.headers.get("Server") == _LLAMACPP_SERVER_HEADER else None
