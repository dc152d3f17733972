"""Finds the engines of this machine, for a start without configuration.

A process is taken for an engine by its command line, in whatever network of this machine it listens, and
believed by what it answers. What listens on the usual port of an engine and is not known by its command line
is asked too: a port is a hint, never an identity. Nothing that is asked loads a model or wakes one, and what
turns out to be something else gets no more than three requests in its life.
"""

import http.client

from msgspec import Struct
from msgspec.structs import replace

from evenwatt.errors import SourceContractError, SourceUnavailable
from evenwatt.readings.adapter import json_of
from evenwatt.readings.candidates import Candidate, candidates, command_kind
from evenwatt.readings.engines import ADAPTERS, fingerprint
from evenwatt.readings.engines.proxy import counts_itself
from evenwatt.readings.exposition import checked_page
from evenwatt.readings.http import Answer, HttpClient
from evenwatt.readings.process_stat import process_stat

__all__ = ["EngineSearch", "FoundEngine", "command_kind", "find_engines"]

_LLAMACPP_SERVER_HEADER = "llama.cpp"
_HEALTH_PATH = "/health"
"""Every llama-server answers it, also one that sleeps or asks for a key; some builds wake for their page."""
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
        is_elsewhere: It listens in another network than the agent's own, where its port says nothing here.
        body: The container or service that it runs in.
    """

    name: str
    kind: str
    url: str
    pid: int | None
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
                kind = _asked_kind(client, each)
            except SourceUnavailable as error:
                if each.kind is not None:
                    unreachable.append(f"{each.kind} of PID {each.pid}: {error}")
                continue
            if kind is not None:
                engine = _found(each, kind)
                if engine.name in found:
                    # Two networks without a name of their own; one of them is told by its number.
                    engine = replace(engine, name=f"{engine.name}-{each.network}")
                found[engine.name] = engine
        client.close()
        self.unreachable = tuple(unreachable)
        return tuple(found.values())


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


def _asked_kind(client: HttpClient, candidate: Candidate) -> str | None:
    """Return the kind of engine that answers; None where something else does.

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
            kind = _kind_of_models(answer) if path == _MODELS_PATH else _kind_of_page(answer, candidate)
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
            return _believed(candidate, kind)
        elif answer.status not in {http.client.OK, http.client.NOT_FOUND}:
            break
    if owner is not None:
        return _believed(candidate, owner)
    inquiry.refusals += 1
    return None


def _believed(candidate: Candidate, kind: str) -> str | None:
    """Return a kind, but not that of an engine whose page our proxy passes on: it is found elsewhere."""
    if candidate.kind == "proxy" and kind != "proxy":
        _inquiry(candidate).refusals += 1
        return None
    _INQUIRIES.pop(candidate.identity, None)
    return kind


def _found(candidate: Candidate, kind: str) -> FoundEngine:
    name = "-".join(filter(None, (kind, candidate.place, str(candidate.port))))
    return FoundEngine(
        name=name,
        kind=kind,
        url=candidate.url,
        pid=candidate.pid,
        is_elsewhere=candidate.network != 0,
        body=candidate.body,
    )


def _paths(kind: str | None) -> tuple[str, ...]:
    if kind is None:
        return _UNKNOWN_PATHS
    if kind == "llamacpp":
        return (_HEALTH_PATH,)
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


def _kind_of_models(answer: Answer) -> str | None:
    """Return the kind of engine whose list of models an answer is, or None."""
    if answer.headers.get("Server") == _LLAMACPP_SERVER_HEADER:
        return "llamacpp"
    match json_of(answer.body) if answer.status == http.client.OK else None:
        case {"data": [{"owned_by": str(owner)}, *_]}:
            return _OWNERS.get(owner)
    return None


def _is_refused(error: BaseException) -> bool:
    """Return whether nobody took the connection."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, ConnectionRefusedError):
        cause = cause.__cause__ or cause.__context__
    return cause is not None
