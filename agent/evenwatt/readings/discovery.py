"""Finds the engines of this machine, for a start without configuration.

A process is taken for an engine by its command line, in whatever network of this machine it listens, and
believed by what it answers. What listens on the usual port of an engine and is not known by its command line
is asked too: a port is a hint, never an identity. Nothing that is asked loads a model or wakes one, and what
turns out to be something else gets no more than three requests in its life.
"""

import http.client
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from urllib.parse import urlsplit

from msgspec import Struct
from msgspec.structs import replace

from evenwatt.errors import SourceContractError, SourceUnavailable
from evenwatt.readings.adapter import json_of
from evenwatt.readings.candidates import Candidate, candidates, command_kind
from evenwatt.readings.engines import ADAPTERS, fingerprint
from evenwatt.readings.engines.proxy import PROXY, counts_itself
from evenwatt.readings.exposition import checked_page, parse_samples
from evenwatt.readings.families import OLLAMA_ROOT, has_open_pages
from evenwatt.readings.http import Answer, HttpClient
from evenwatt.readings.process_stat import process_stat
from evenwatt.readings.sleep import facts_in

__all__ = ["EngineSearch", "FoundEngine", "command_kind", "find_engines"]

_LLAMACPP_SERVER_HEADER = "llama.cpp"
_UNDISTURBED: Mapping[str, str] = MappingProxyType(
    {"llamacpp": "/props", "ollama": "/", "llama_swap": "/running"}
)
"""By kind, where a program is asked instead of at its page: the page may wake a model, or not exist."""
_MODELS_PATH = "/v1/models"
_UNKNOWN_PATHS = (_MODELS_PATH, "/metrics", "/v1/metrics")
"""Where a program is asked that is not known by its command line; the first asks no sleeper to wake."""
_OWNERS = {"vllm": "vllm", "sglang": "sglang", "llamacpp": "llamacpp"}
"""By what `owned_by` says in a list of models, the kind, where a page may be missing or lack its series."""
_DEADLINE_SECONDS = 1.0
_MOST_REQUESTS = 3
"""How often a process is asked that answers, but not as an engine."""
_MOST_REFUSALS = 2
"""In how many looks: it may still be starting, once."""


class FoundEngine(Struct, frozen=True, kw_only=True):
    """An engine that listens on this machine.

    Attributes:
        name: Its kind and port, and between them its container, service or network where that is not the
            agent's own: the same after a restart.
        kind: As `EngineSource` takes it.
        url: As `EngineSource` takes it.
        pid: None where the process that listens cannot be seen.
        stands_before: Where the engine is that a proxy of ours stands before.
        is_elsewhere: It listens in another network than the agent's own, where its port says nothing here.
        body: The container or service that it runs in.
    """

    name: str
    kind: str
    url: str
    pid: int | None
    stands_before: str | None = None
    is_elsewhere: bool = False
    body: str | None = None


class _Inquiry(Struct):
    """What a process was asked that is not known for an engine."""

    requests: int = 0
    refusals: int = 0

    @property
    def is_over(self) -> bool:
        return self.requests >= _MOST_REQUESTS or self.refusals >= _MOST_REFUSALS


_INQUIRIES: dict[tuple[int, int, int | None], _Inquiry] = {}
"""By `Candidate.identity`, what the agent has asked, whichever search it was: a reload begins another one."""


class EngineSearch:
    """Looks for engines again and again, and lets alone what turned out to be something else.

    Args:
        is_own_network_only: Whether other networks of this machine are let alone.

    Attributes:
        unreachable: Of the last look, what has the command line of an engine and cannot be asked, as a
            sentence.
    """

    def __init__(self, *, is_own_network_only: bool = False) -> None:
        self._is_own_network_only = is_own_network_only
        self.unreachable: tuple[str, ...] = ()

    def find(
        self, skip_ports: frozenset[int] = frozenset(), skip_urls: frozenset[str] = frozenset()
    ) -> tuple[FoundEngine, ...]:
        """Return the engines that listen on this machine, by port.

        An engine that has no counters to show (a llama-server without --metrics, vLLM without statistics, one
        that asks for a key) is among them: whoever reads it is told what is missing.

        Args:
            skip_ports: Ports of the agent's own network that are not asked: its own, and those of engines
                that are known.
            skip_urls: Engines in other networks that are not asked, as they are known.
        """
        there = candidates(is_own_network_only=self._is_own_network_only)
        _forget_the_dead()
        client = HttpClient()
        found: dict[str, FoundEngine] = {}
        unreachable = []
        for each in there:
            is_known = each.url in skip_urls if each.network else each.port in skip_ports
            if is_known or _inquiry(each).is_over:
                continue
            try:
                engine = _asked(client, each)
            except SourceUnavailable as error:
                if each.kind is not None:
                    unreachable.append(f"{each.kind} of PID {each.pid}: {error}")
                continue
            if engine is not None:
                if engine.name in found:
                    # Two networks without a name of their own; one of them is told by its number.
                    engine = replace(engine, name=f"{engine.name}-{each.network}")
                found[engine.name] = engine
        client.close()
        self.unreachable = tuple(unreachable)
        return tuple(e for e in found.values() if not _is_counted_by_proxy(e, found.values()))


def find_engines(skip_ports: frozenset[int] = frozenset()) -> tuple[FoundEngine, ...]:
    """Look once in all networks; see `EngineSearch.find`."""
    return EngineSearch().find(skip_ports)


def _inquiry(candidate: Candidate) -> _Inquiry:
    return _INQUIRIES.setdefault(candidate.identity, _Inquiry())


def _forget_the_dead() -> None:
    for identity in tuple(_INQUIRIES):
        *_, pid = identity
        if pid is not None and process_stat(pid) is None:
            _INQUIRIES.pop(identity, None)


def _asked(client: HttpClient, candidate: Candidate) -> FoundEngine | None:
    """Return the engine that answers; None where something else does.

    Raises:
        SourceUnavailable: Nothing answers, or it is not ready.
    """
    inquiry = _inquiry(candidate)
    owner = None
    for path in _paths(candidate.kind):
        if inquiry.requests >= _MOST_REQUESTS:
            break
        try:
            answer = client.get(candidate.url + path, _DEADLINE_SECONDS)
            kind = _TELLING[path](answer) if path in _TELLING else _kind_of_page(answer, candidate)
        except SourceContractError:
            inquiry.requests += 1
            break
        except SourceUnavailable as error:
            # Who refuses a connection was asked nothing, and an engine may be slow while it starts.
            inquiry.requests += int(candidate.kind is None and not _is_refused(error))
            raise
        if answer.status == http.client.SERVICE_UNAVAILABLE and kind is None and candidate.kind is not None:
            raise SourceUnavailable(f"{answer.url} is not ready (HTTP {answer.status})")
        inquiry.requests += 1
        # A gateway's list of models names those behind it: only its page says what it is itself.
        if path == _MODELS_PATH and kind != "llamacpp":
            owner = kind
        elif kind is not None:
            return _believed(candidate, kind, answer)
        elif answer.status not in {http.client.OK, http.client.NOT_FOUND}:
            break
    if owner is not None:
        return _believed(candidate, owner, answer)
    inquiry.refusals += 1
    return None


def _believed(candidate: Candidate, kind: str, answer: Answer) -> FoundEngine | None:
    """Return an engine, but not one whose page a proxy of ours passes on: it is found where it is."""
    if candidate.kind == "proxy" and kind != "proxy":
        _inquiry(candidate).refusals += 1
        return None
    _INQUIRIES.pop(candidate.identity, None)
    return FoundEngine(
        name="-".join(filter(None, (kind, candidate.place, str(candidate.port)))),
        kind=kind,
        url=candidate.url,
        pid=candidate.pid,
        stands_before=PROXY.engine_url(parse_samples(answer.body, PROXY.wanted)) if kind == "proxy" else None,
        is_elsewhere=candidate.network != 0,
        body=candidate.body,
    )


def _is_counted_by_proxy(engine: FoundEngine, found: Iterable[FoundEngine]) -> bool:
    """Return whether an Ollama without pages is counted by a proxy that stands before it."""
    if engine.kind != "ollama" or engine.pid is None or has_open_pages(engine.pid) is not False:
        return False
    return any(urlsplit(other.stands_before or "").port == urlsplit(engine.url).port for other in found)


def _paths(kind: str | None) -> tuple[str, ...]:
    """Return where a program is asked, in this order."""
    if kind is None:
        return _UNKNOWN_PATHS
    if kind in _UNDISTURBED:
        return (_UNDISTURBED[kind],)
    return (ADAPTERS[kind].path, *((_MODELS_PATH,) if kind in _OWNERS.values() else ()))


def _kind_of_page(answer: Answer, candidate: Candidate) -> str | None:
    """Return the kind of engine that gave an answer, or None.

    Raises:
        SourceContractError: It looks like a good answer and is no page of metrics.
    """
    if answer.headers.get("Server") == _LLAMACPP_SERVER_HEADER:
        return "llamacpp"
    if answer.status == http.client.OK:
        page = checked_page(answer.body)
        kind = fingerprint(page)
        return None if kind == "proxy" and counts_itself(page) else kind
    is_without_page = candidate.kind == "sglang" and answer.status == http.client.NOT_FOUND
    return candidate.kind if is_without_page else None


def _told_by_models(answer: Answer) -> str | None:
    """Return the kind of engine whose list of models an answer is, or None."""
    if answer.headers.get("Server") == _LLAMACPP_SERVER_HEADER:
        return "llamacpp"
    match json_of(answer.body) if answer.status == http.client.OK else None:
        case {"data": [{"owned_by": str(owner)}, *_]}:
            return _OWNERS.get(owner)
    return None


def _told_by_props(answer: Answer) -> str | None:
    is_server = answer.headers.get("Server") == _LLAMACPP_SERVER_HEADER
    return "llamacpp" if is_server or facts_in(answer.body) is not None else None


def _told_by_root(answer: Answer) -> str | None:
    return "ollama" if answer.status == http.client.OK and answer.body.strip() == OLLAMA_ROOT else None


def _told_by_running(answer: Answer) -> str | None:
    listed = json_of(answer.body)
    return "llama_swap" if isinstance(listed, dict) and "running" in listed else None


_TELLING: Mapping[str, Callable[[Answer], str | None]] = MappingProxyType(
    {
        _MODELS_PATH: _told_by_models,
        "/props": _told_by_props,
        "/": _told_by_root,
        "/running": _told_by_running,
    }
)
"""What says of itself what it is elsewhere than on its page."""


def _is_refused(error: BaseException) -> bool:
    """Return whether nobody took the connection."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, ConnectionRefusedError):
        cause = cause.__cause__
    return cause is not None
