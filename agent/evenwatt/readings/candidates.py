"""Who on this machine may be an engine: what listens, in which network, and what its command line says.

Nothing is asked here; `evenwatt.readings.discovery` asks.
"""

import ipaddress
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import PurePath

import psutil
from msgspec import Struct

from evenwatt.readings.networks import Network, NetworkHost, other_networks
from evenwatt.readings.process_stat import process_stat
from evenwatt.readings.processes import FORWARDERS, body, forwarded_to, held_sockets
from evenwatt.readings.sockets import Address, parsed_address

__all__ = ["Candidate", "candidates", "command_kind"]

_HINT_PORTS = (8000, 8002, 8080, 23333, 30000)
"""Where engines listen unless told otherwise; a container may hide everything else of them."""
_LOOPBACK = ipaddress.IPv4Address("127.0.0.1")

_COMMANDS = {
    "vllm": r"(?:^|[/\s])vllm\s+serve\b|\bvllm\.entrypoints\.|^VLLM::APIServer",
    "sglang": r"\bsglang\.launch_server\b|(?:^|[/\s])sglang\s+serve\b",
    "lmdeploy": r"(?:^|[/\s])lmdeploy\s+serve\b",
    "tensorrt_llm": r"(?:^|[/\s])trtllm-serve\b",
    "tgi": r"(?:^|/)text-generation-router\b",
    "tei": r"(?:^|/)text-embeddings-router\b",
    "triton": r"(?:^|/)tritonserver\b",
    "dynamo": r"\bdynamo\.frontend\b",
    "localai": r"(?:^|/)local-ai\b",
    "proxy": r"(?:^|[/\s])evenwatt\s+proxy\b",
    "ollama": r"(?:^|/)ollama\s+serve\b",
    "litellm": r"(?:^|[/\s])litellm\s+--|(?:^|/)litellm$|\blitellm\.proxy\.",
    "llama_swap": r"(?:^|/)llama-swap\b",
    "lemonade": r"(?:^|[/\s])lemonade(?:-server|d|-router)?\s+(?:serve|run)\b|(?:^|/)lemond\b",
}
"""By kind, what the command line of its API server looks like."""

_COMMAND_PATTERNS = {kind: re.compile(pattern) for kind, pattern in _COMMANDS.items()}
_LLAMACPP_PROGRAM = "llama-server"
_LOADER_PROGRAMS = ("ollama", "llama-swap", _LLAMACPP_PROGRAM)
"""Programs that start a server for each model that they load, and by which that one is read."""
_OWN_NETWORK = 0


class Candidate(Struct, frozen=True, kw_only=True):
    """Something that listens and may be an engine.

    Attributes:
        url: Where it is asked.
        port: On which it is known: the one here where it is forwarded.
        pid: The process that answers there; None where that cannot be seen.
        kind: By its command line; None: it is asked because of its port.
        place: In another network, by what that is told from others; empty in the agent's own.
        network: The inode of that network; 0 in the agent's own.
        body: Its container or service.
    """

    url: str
    port: int
    pid: int | None
    kind: str | None
    place: str = ""
    network: int = _OWN_NETWORK
    body: str | None = None

    @property
    def identity(self) -> tuple[int, int, int | None]:
        """By which it is known again at the next look."""
        return self.network, self.port, self.pid


def candidates(*, is_own_network_only: bool = False) -> tuple[Candidate, ...]:
    """Return who may be an engine, by port; those of the agent's own network first.

    By their command line in all networks of the machine; and by their port in the agent's own, where also the
    ones without a socket to be seen are asked: a container's port may be forwarded by the packet filter.
    The servers that Ollama, llama-swap and a llama-server router start are not among them: their ports last
    only as long as a model stays loaded.
    """
    networks = () if is_own_network_only else other_networks()
    forwarded: set[tuple[int, int]] = set()
    own = tuple(_own_candidates(networks, forwarded))
    elsewhere = (
        each for network in networks for each in _elsewhere(network) if each.identity[:2] not in forwarded
    )
    return (*sorted(own, key=lambda each: each.port), *sorted(elsewhere, key=lambda each: each.port))


def command_kind(command: Sequence[str]) -> str | None:
    """Return the kind of engine whose API server has this command line; None for any other program.

    The cores and workers of vLLM are other programs here: they listen for each other, and not in HTTP.
    """
    if _program(command).startswith(_LLAMACPP_PROGRAM):
        return "llamacpp"
    line = " ".join(command)
    return next((kind for kind, pattern in _COMMAND_PATTERNS.items() if pattern.search(line)), None)


def _own_candidates(networks: Sequence[Network], forwarded: set[tuple[int, int]]) -> Iterator[Candidate]:
    """Yield those in the agent's own network, and note the sockets of others that are forwarded to it."""
    listeners = {**dict.fromkeys(_HINT_PORTS, (_LOOPBACK, None)), **_listeners()}
    for port, (address, holder) in listeners.items():
        pid = holder
        if holder is not None and _name(holder) in FORWARDERS:
            pid = None
            target = forwarded_to(holder)
            network = target and next((n for n in networks if target[0] in n.addresses), None)
            if target and network:
                pid = next((p for p, held in _held_ports(network) if target[1] in held), None)
                forwarded.add((network.inode, target[1]))
        kind = None if pid is None else _kind(pid)
        if kind is None and port not in _HINT_PORTS:
            continue
        if pid is not None and (pid == os.getpid() or _is_child(pid)):
            continue
        host = f"[{address}]" if address.version == 6 else str(address)  # noqa: PLR2004
        yield Candidate(
            url=f"http://{host}:{port}",
            port=port,
            pid=pid,
            kind=kind,
            body=None if pid is None else body(pid),
        )


def _elsewhere(network: Network) -> Iterator[Candidate]:
    """Yield the engines in another network by their command lines: a port there is no hint."""
    engines = {pid: kind for pid in network.pids if (kind := _kind(pid)) is not None and not _is_child(pid)}
    seen: set[int] = set()
    for pid, ports in _held_ports(network, engines):
        stat = process_stat(pid)
        if stat is None:
            continue
        host, within = NetworkHost(pid=pid, start_ticks=stat.start_ticks), body(pid)
        for port in ports - seen:
            seen.add(port)
            yield Candidate(
                url=f"http://{host.name}:{port}",
                port=port,
                pid=pid,
                kind=engines[pid],
                place=_place(network, within),
                network=network.inode,
                body=within,
            )


def _place(network: Network, within: str | None) -> str:
    """Return what tells a network from others: by its name, its container or its service, if it has one."""
    name = network.name or (within or "netns").removeprefix("container ").removesuffix(".service")
    return re.sub(r"[^a-z0-9_.-]+", "-", name.lower())


def _held_ports(network: Network, pids: Iterable[int] | None = None) -> Iterator[tuple[int, set[int]]]:
    """Yield processes of a network, oldest first, with the ports that they listen on."""
    ports = {found.inode: found.port for found in network.sockets}
    stats = ((process_stat(pid), pid) for pid in (network.pids if pids is None else pids))
    for _, pid in sorted((stat.start_ticks, pid) for stat, pid in stats if stat is not None):
        held = held_sockets(pid, frozenset(ports))
        if held:
            yield pid, {ports[inode] for inode in held}


def _listeners() -> Mapping[int, tuple[Address, int | None]]:
    """Return who listens here by port, with the address to reach it at; of one port the loopback address."""
    found: dict[int, tuple[Address, int | None]] = {}
    for entry in psutil.net_connections(kind="tcp"):
        if entry.status != psutil.CONN_LISTEN or not entry.laddr:
            continue
        address = parsed_address(entry.laddr.ip)
        if address is None:
            continue
        reachable = _LOOPBACK if address.is_unspecified else address
        if entry.laddr.port not in found or reachable.is_loopback:
            found[entry.laddr.port] = (reachable, entry.pid)
    return found


def _name(pid: int) -> str:
    stat = process_stat(pid)
    return "" if stat is None else stat.name


def _kind(pid: int) -> str | None:
    return command_kind(_command(pid))


def _is_child(pid: int) -> bool:
    """Return whether a program that loads models started it, for as long as one is loaded."""
    stat = process_stat(pid)
    return stat is not None and _program(_command(stat.parent)).startswith(_LOADER_PROGRAMS)


def _command(pid: int) -> Sequence[str]:
    try:
        return psutil.Process(pid).cmdline()
    except (psutil.Error, ValueError):
        return ()


def _program(command: Sequence[str]) -> str:
    return PurePath(command[0]).name if command else ""
