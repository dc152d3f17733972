"""Finds the engines of this machine, for a start without configuration.

A process is taken for an engine by its command line, and believed by what it says of itself: each candidate
gets one GET (one that cannot be seen gets three), which loads no model and wakes none, and nothing else. A
port alone is a hint, never an identity.
"""

import http.client
import ipaddress
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import PurePath
from types import MappingProxyType
from urllib.parse import urlsplit

import psutil
from msgspec import Struct
from msgspec.structs import replace

from evenwatt.errors import SourceContractError, SourceUnavailable
from evenwatt.readings.adapter import json_of
from evenwatt.readings.engines import ADAPTERS, fingerprint
from evenwatt.readings.engines.proxy import PROXY, counts_itself
from evenwatt.readings.exposition import checked_page, parse_samples
from evenwatt.readings.families import OLLAMA_ROOT, has_open_pages
from evenwatt.readings.http import Answer, HttpClient
from evenwatt.readings.processes import FORWARDERS
from evenwatt.readings.sleep import facts_in
from evenwatt.readings.sockets import Address, parsed_address

__all__ = ["EngineSearch", "FoundEngine", "command_kind", "find_engines"]

_HINT_PORTS = (8000, 8002, 8080, 23333, 30000)
"""Where engines listen unless told otherwise; a container may hide everything else of them."""
_UNKNOWN_PATHS = ("/props", "/metrics", "/v1/metrics")
"""Where a program that cannot be seen is asked; at the first a llama-server answers without being woken."""
_DEADLINE_SECONDS = 1.0
_MOST_REFUSALS = 2
"""How often a process is asked that answers, but not as an engine: it may still be starting, once."""
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
_LLAMACPP_SERVER_HEADER = "llama.cpp"
_LOADER_PROGRAMS = ("ollama", "llama-swap", _LLAMACPP_PROGRAM)
"""Programs that start a server for each model that they load, and by which that one is read."""

_UNDISTURBED: Mapping[str, str] = MappingProxyType(
    {"llamacpp": "/props", "ollama": "/", "llama_swap": "/running"}
)
"""By kind, where a program is asked instead of at its page: the page may wake a model, or not exist."""


class FoundEngine(Struct, frozen=True, kw_only=True):
    """An engine that listens on this machine.

    Attributes:
        name: Its kind and port, so that it is the same after a restart.
        kind: As `EngineSource` takes it.
        url: As `EngineSource` takes it.
        pid: None where the process that listens cannot be read.
        stands_before: Where the engine is that a proxy of ours stands before.
    """

    name: str
    kind: str
    url: str
    pid: int | None
    stands_before: str | None = None


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
        return tuple(engine for engine in found if not _is_counted_by_proxy(engine, found))


def find_engines(skip_ports: frozenset[int] = frozenset()) -> tuple[FoundEngine, ...]:
    """Look once; see `EngineSearch.find`."""
    return EngineSearch().find(skip_ports)


def command_kind(command: Sequence[str]) -> str | None:
    """Return the kind of engine whose API server has this command line; None for any other program.

    The cores and workers of vLLM are other programs here: they listen for each other, and not in HTTP.
    """
    if _program(command).startswith(_LLAMACPP_PROGRAM):
        return "llamacpp"
    line = " ".join(command)
    return next((kind for kind, pattern in _COMMAND_PATTERNS.items() if pattern.search(line)), None)


class _Listener(Struct, frozen=True, kw_only=True):
    address: Address
    port: int
    pid: int | None
    kind: str | None = None


def _candidates() -> dict[int, _Listener]:
    """Return the listeners to ask, by port: engines by their command line, and unknown ones on a hint port.

    A hint port is asked even if nothing is seen to listen there: a container's port may be forwarded by the
    packet filter, without a socket.
    """
    listeners = {port: _Listener(address=_LOOPBACK, port=port, pid=None) for port in _HINT_PORTS}
    listeners |= {listener.port: listener for listener in _listeners()}
    found = {}
    for port, listener in listeners.items():
        program = _program_at(listener.pid)
        if program.kind is not None and not program.is_child:
            found[port] = replace(listener, kind=program.kind)
        elif not program.is_seen and port in _HINT_PORTS:
            found[port] = listener
    return found


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


class _Program(Struct, frozen=True, kw_only=True):
    """What can be told of the program that listens.

    Attributes:
        is_seen: Whether anything can be told; a forwarder tells nothing of what is behind it.
        kind: Of the engine whose command line it has.
        is_child: Whether a program that loads models started it, for as long as one is loaded.
    """

    is_seen: bool
    kind: str | None = None
    is_child: bool = False


_UNSEEN = _Program(is_seen=False)


def _program_at(pid: int | None) -> _Program:
    if pid is None:
        return _UNSEEN
    try:
        process = psutil.Process(pid)
        command = process.cmdline()
        parent = process.parent()
        if process.name() in FORWARDERS:
            return _UNSEEN
        is_child = parent is not None and _program(parent.cmdline()).startswith(_LOADER_PROGRAMS)
    except psutil.Error:
        return _UNSEEN
    return _Program(is_seen=True, kind=command_kind(command), is_child=is_child)


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
    for path in _paths(listener.kind):
        try:
            answer = client.get(url + path, _DEADLINE_SECONDS)
            kind = _TELLING[path](answer) if path in _TELLING else _answer_kind(answer, listener)
        except SourceContractError:
            return None
        if kind is not None and _is_engine_seen_through(listener.kind, kind):
            return None
        if kind is not None:
            behind = PROXY.engine_url(parse_samples(answer.body, PROXY.wanted)) if kind == "proxy" else None
            name = f"{kind}-{listener.port}"
            return FoundEngine(name=name, kind=kind, url=url, pid=listener.pid, stands_before=behind)
        if answer.status != http.client.NOT_FOUND and path not in _TELLING:
            break
    return None


def _paths(kind: str | None) -> tuple[str, ...]:
    """Return where a program is asked, in this order."""
    if kind is None:
        return _UNKNOWN_PATHS
    return (_UNDISTURBED.get(kind) or ADAPTERS[kind].path,)


def _is_counted_by_proxy(engine: FoundEngine, found: Iterable[FoundEngine]) -> bool:
    """Return whether an Ollama without pages is counted by a proxy that stands before it."""
    if engine.kind != "ollama" or engine.pid is None or has_open_pages(engine.pid) is not False:
        return False
    return any(urlsplit(other.stands_before or "").port == urlsplit(engine.url).port for other in found)


def _is_engine_seen_through(program: str | None, kind: str) -> bool:
    """Return whether a page is that of an engine which a proxy of ours passes on: it is found where it is."""
    return program == "proxy" and kind != "proxy"


def _answer_kind(answer: Answer, listener: _Listener) -> str | None:
    """Return the kind of engine that gave an answer, or None.

    Raises:
        SourceContractError: It looks like a good answer and is no page of metrics.
    """
    if answer.status == http.client.OK:
        page = checked_page(answer.body)
        kind = fingerprint(page)
        return None if kind == "proxy" and counts_itself(page) else kind
    if listener.kind == "sglang" and answer.status == http.client.NOT_FOUND:
        return listener.kind
    return "llamacpp" if answer.headers.get("Server") == _LLAMACPP_SERVER_HEADER else None


def _told_by_props(answer: Answer) -> str | None:
    is_server = answer.headers.get("Server") == _LLAMACPP_SERVER_HEADER
    return "llamacpp" if is_server or facts_in(answer.body) is not None else None


def _told_by_root(answer: Answer) -> str | None:
    return "ollama" if answer.status == http.client.OK and answer.body.strip() == OLLAMA_ROOT else None


def _told_by_running(answer: Answer) -> str | None:
    listed = json_of(answer.body)
    return "llama_swap" if isinstance(listed, dict) and "running" in listed else None


_TELLING: Mapping[str, Callable[[Answer], str | None]] = MappingProxyType(
    {"/props": _told_by_props, "/": _told_by_root, "/running": _told_by_running}
)
"""What says of itself what it is elsewhere than on its page."""
