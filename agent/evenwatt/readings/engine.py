"""An inference engine as a source: one page, read together with the kernel's witness of who served it."""

import http.client
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from types import MappingProxyType
from urllib.parse import urlsplit

from msgspec import Struct
from msgspec.structs import replace

from evenwatt.clock import boot_seconds, now
from evenwatt.errors import SourceContractError, SourceError, SourceUnavailable
from evenwatt.model import DEFAULT_MODEL, EnginePart, EngineReading, Epoch, Moment
from evenwatt.readings.adapter import Adapter, refuse_sums_too_large
from evenwatt.readings.engine_body import EngineBody, engine_body, role_of
from evenwatt.readings.engines import ADAPTERS, fingerprint, is_page_of
from evenwatt.readings.engines.dynamo import front_kind
from evenwatt.readings.engines.generic import CounterNames, generic_adapter
from evenwatt.readings.engines.ollama import loaded_models
from evenwatt.readings.exposition import bounded_text, checked_page, parse_samples
from evenwatt.readings.http import Answer, HttpClient, shown_url
from evenwatt.readings.processes import Listener, ListenerLookup, ProcessIdentity, is_loopback
from evenwatt.readings.sleep import ServerFacts, SleepGuard, facts_in, server_started_for

__all__ = ["ENGINE_KINDS", "EngineSource", "PartAddress", "has_nothing_loaded"]

_ADVISORS = Counter(status for adapter in ADAPTERS.values() for status in adapter.status_advice)
_ADVICE = MappingProxyType(
    {
        status: text
        for adapter in ADAPTERS.values()
        for status, text in adapter.status_advice.items()
        if _ADVISORS[status] == 1
    }
)
"""What to try, by HTTP status, where the kind is not known yet and the status speaks of one."""

_PATHS = tuple(dict.fromkeys(adapter.path for adapter in ADAPTERS.values()))
"""Where a page may be, where the kind is not known yet."""

_ATTEMPTS = 2
_NOT_FOUND = 404

ENGINE_KINDS = tuple(ADAPTERS)
"""The kinds that a source can be told to be."""


def has_nothing_loaded(ollama_url: str | None, ends_boot_seconds: float) -> bool:
    """Return whether an Ollama says that no model is in memory; not where there is none, or it does not say.

    It is asked without anybody's key: who stands before it may have one that is not Ollama's.
    """
    if ollama_url is None:
        return False
    client = HttpClient(None)
    try:
        with suppress(SourceError):
            answer = client.get(f"{ollama_url.rstrip('/')}/api/ps", ends_boot_seconds - boot_seconds())
            return answer.status == http.client.OK and loaded_models(answer.body) == ()
    finally:
        client.close()
    return False


class PartAddress(Struct, frozen=True, kw_only=True):
    """A process of another engine.

    Attributes:
        model: What it serves, as that engine calls it.
        page_path: Where its page is, from the address on; None: where pages of its kind are.
        facts: What that engine says of it; None: it is asked itself.
    """

    model: str
    page_path: str | None = None
    facts: ServerFacts | None = None


class EngineSource:
    """Reads one engine's token counters.

    Args:
        name: The engine's identity in the history.
        url: Its address, with or without /metrics at the end.
        kind: One of `ENGINE_KINDS`; None: as the first good page says.
        counters: The names of the counters of an engine of another kind, in place of `kind`.
        deadline_seconds: What one reading may take, everything included.
        api_key: Sent as a bearer token.
        part: Which process of another engine it is; None: it stands for itself.

    Attributes:
        base_url: Its address, without /metrics.
        role: `prefill` or `decode`, of an engine that does the two in two servers; None: as its command line
            says, and both where it does not.
    """

    sample_seconds = None

    def __init__(
        self,
        *,
        name: str,
        url: str,
        kind: str | None = None,
        counters: CounterNames | None = None,
        deadline_seconds: float = 5.0,
        api_key: str | None = None,
        part: PartAddress | None = None,
    ) -> None:
        self.name = name
        self.base_url = url.rstrip("/").removesuffix("/metrics").rstrip("/")
        self._adapter = _adapter(kind, counters)
        self._deadline_seconds = deadline_seconds
        self._client = HttpClient(api_key)
        parts = urlsplit(self.base_url)
        self._host = parts.hostname or ""
        self._port = parts.port or (443 if parts.scheme == "https" else 80)
        self._lookup = ListenerLookup(self._host, self._port)
        self._served: tuple[Mapping[str, str], str] | None = None
        self._body: tuple[ProcessIdentity, EngineBody] | None = None
        self._part = part
        self.role: str | None = None
        self._told_role: tuple[Listener | None, str | None] | None = None
        self._guard = SleepGuard(self._facts, is_looked_at_often=part is not None)
        self._likely_pid: tuple[Listener, int | None] | None = None
        self._last: tuple[Listener | None, EngineReading] | None = None

    @property
    def kind(self) -> str:
        """The engine's kind; `engine` until the first good page has told."""
        return "engine" if self._adapter is None else self._adapter.kind

    @property
    def address(self) -> str:
        """Where its page is, or is looked for first."""
        return shown_url(self.base_url + (_PATHS[0] if self._adapter is None else self._adapter.path))

    def sample(self) -> None:
        """Do nothing: all that an engine tells is in its page."""

    def read(self) -> EngineReading:
        """Return what the engine says now.

        The listener is looked up before and after the page, so that a page is never booked to another process
        than the one that wrote it.

        Raises:
            SourceUnavailable: It does not answer, is not ready, or was restarted while it was read.
            SourceContractError: It answers what its kind does not say.
        """
        ends_boot_seconds = boot_seconds() + self._deadline_seconds
        for _ in range(_ATTEMPTS):
            listener = self._listener()
            reading = self._read_page(listener, ends_boot_seconds)
            if self._listener() == listener:
                return reading
        raise SourceUnavailable(f"{self.address} was restarted while being read; it is read again next time")

    def reading_of_parts(
        self,
        kind: str,
        parts: tuple[EnginePart, ...],
        *,
        is_unloaded: bool,
        running: int | None,
        waiting: int | None,
    ) -> EngineReading:
        """Return the reading of an engine that counts nothing itself; its processes do."""
        moment, listener = now(), self._lookup.listener()
        own = self._engine_body(None, listener)
        return EngineReading(
            engine=self.name,
            kind=kind,
            moment=moment,
            epoch=self._epoch({}, listener, moment),
            models=(),
            parts=parts,
            is_unloaded=is_unloaded,
            requests_running=running,
            requests_waiting=waiting,
            listener_pid=None if own is None else own.pid,
            body=None if own is None else own.body,
            visible_gpus=None if own is None else own.visible_gpus,
        )

    @property
    def is_here(self) -> bool:
        """Whether it is on this machine, as far as that can be told."""
        return is_loopback(self._host) or self._lookup.listener() is not None

    def is_router(self, ends_boot_seconds: float) -> bool:
        """Return whether it is a llama-server that starts one for each of its models.

        Raises:
            SourceError: It does not answer.
        """
        facts = self._facts(ends_boot_seconds)
        return facts is not None and facts.is_router

    def move_to(self, part: PartAddress) -> None:
        """Go on with what another engine says of this process now."""
        self._part = part

    def close(self) -> None:
        """Let go of the HTTP session."""
        self._client.close()

    def _listener(self) -> Listener | None:
        """Return who listens; of a process that is only reached through another one nothing can be told."""
        is_hidden = self._part is not None and self._part.page_path is not None
        return None if is_hidden else self._lookup.listener()

    def _read_page(self, listener: Listener | None, ends_boot_seconds: float) -> EngineReading:
        may_sleep = self._adapter is None or self._adapter.may_sleep
        if may_sleep and not self._guard.may_ask(listener, self._working_pid(listener), ends_boot_seconds):
            return self._as_before(listener)
        reading = self._read_whole_page(listener, ends_boot_seconds)
        has_moved = self._last is None or self._last[1].models != reading.models
        self._guard.note(is_at_work=has_moved or bool(reading.requests_running))
        self._last = (listener, reading)
        return reading

    def _working_pid(self, listener: Listener | None) -> int | None:
        """Return the process to look at for work; of another user's server the one that is most likely it."""
        if listener is None or listener.process is not None:
            return _pid(listener)
        if self._likely_pid is None or self._likely_pid[0] != listener:
            self._likely_pid = (listener, server_started_for(self._port))
        return self._likely_pid[1]

    def _facts(self, ends_boot_seconds: float) -> ServerFacts | None:
        """Return what a llama-server says of itself without being woken; None where it is none."""
        if self._part is not None and self._part.facts is not None:
            return self._part.facts
        answer = self._client.get(f"{self.base_url}/props", ends_boot_seconds - boot_seconds())
        if answer.is_not_ready:
            return ServerFacts(is_ready=False)
        return facts_in(answer.body) if answer.status == http.client.OK else None

    def _as_before(self, listener: Listener | None) -> EngineReading:
        """Return what it said last, as it still stands so: it sleeps, or has done nothing since."""
        if self._last is None or self._last[0] != listener:
            raise SourceUnavailable(
                f"{self.address} is not asked: its model sleeps, and this build of llama.cpp would wake it "
                "to answer. It is read when a request has woken it"
            )
        last = self._last[1]
        return replace(
            last,
            moment=now(),
            is_unloaded=self._guard.is_asleep,
            requests_running=None if last.requests_running is None else 0,
            requests_waiting=None if last.requests_waiting is None else 0,
        )

    def _read_whole_page(self, listener: Listener | None, ends_boot_seconds: float) -> EngineReading:
        answer = self._page(ends_boot_seconds)
        moment = now()
        body = answer.ok_body(_ADVICE if self._adapter is None else self._adapter.status_advice)
        with self._address_in_errors():
            page = checked_page(body)
            adapter = self._adapter_for(page)
            samples = parse_samples(page, adapter.wanted)
        self._adapter = adapter
        signals = adapter.signals(samples, answer.headers)
        # Only a page that is put together out of files has no word of its process.
        keeper = None if signals else self._engine_body(None, listener)
        epoch = self._epoch(signals, listener, moment)
        if keeper is not None and keeper.store is not None:
            epoch = Epoch(signals={**epoch.signals, "store": keeper.store})
        served_name = self._served_name(adapter, epoch.signals, ends_boot_seconds)
        with self._address_in_errors():
            translate = adapter.roles.get(self._role_of(listener) or "", adapter.models)
            models = translate(samples, served_name)
            refuse_sums_too_large(models)
            clients = adapter.clients(samples)
        own = self._engine_body(adapter.engine_url(samples), listener)
        return EngineReading(
            engine=self.name,
            kind=adapter.kind,
            moment=moment,
            epoch=epoch,
            models=models,
            clients=clients,
            is_gateway=adapter.is_gateway,
            front_kind=front_kind(samples),
            is_unloaded=self._guard.is_asleep
            or adapter.is_unloaded(samples)
            or has_nothing_loaded(adapter.ollama_url(samples, self.base_url), ends_boot_seconds),
            requests_running=None if adapter.running is None else adapter.running.gauge(samples),
            requests_waiting=None if adapter.waiting is None else adapter.waiting.gauge(samples),
            listener_pid=None if own is None else own.pid,
            body=None if own is None else own.body,
            visible_gpus=None if own is None else own.visible_gpus,
        )

    def _role_of(self, listener: Listener | None) -> str | None:
        """Return which part of a divided engine it plays; looked up once for each life of its process."""
        if self.role is not None or listener is None:
            return self.role
        if self._told_role is None or self._told_role[0] != listener:
            self._told_role = (listener, role_of(_pid(listener)))
        return self._told_role[1]

    def _engine_body(self, engine_url: str | None, listener: Listener | None) -> EngineBody | None:
        """Return what GPUs are traced to: the engine's processes, also where a proxy serves its page."""
        if engine_url is not None:
            parts = urlsplit(engine_url)
            port = parts.port or (443 if parts.scheme == "https" else 80)
            listener = ListenerLookup(parts.hostname or "", port).listener()
        if listener is None or listener.process is None:
            return None
        if self._body is None or self._body[0] != listener.process:
            self._body = (listener.process, engine_body(listener.process.pid))
        return self._body[1]

    def _page(self, ends_boot_seconds: float) -> Answer:
        """Return the answer at the page's path; while the kind is not known, at the first that exists."""
        paths = _PATHS if self._adapter is None else (self._adapter.path,)
        if self._part is not None and self._part.page_path is not None:
            paths = (self._part.page_path,)
        answers = (
            self._client.get(self.base_url + path, ends_boot_seconds - boot_seconds()) for path in paths
        )
        first = next(answers)
        if first.status != _NOT_FOUND and "location" not in first.headers:
            return first
        return next((answer for answer in answers if answer.status == http.client.OK), first)

    def _adapter_for(self, page: bytes) -> Adapter:
        if self._adapter is not None and is_page_of(self._adapter, page):
            return self._adapter
        kind = fingerprint(page)
        if self._adapter is not None:
            other = "" if kind is None else f". The page is one of {kind}"
            raise SourceContractError(f"{self._adapter.kind} {self._adapter.unmetered}{other}")
        if kind is None:
            raise SourceContractError(
                f"the page has series of no engine that is known ({', '.join(ENGINE_KINDS)}); if one "
                "runs there, set its `kind` to learn what is missing, or name its counters with `counters`"
            )
        return ADAPTERS[kind]

    def _epoch(self, page_signals: dict[str, str], listener: Listener | None, moment: Moment) -> Epoch:
        signals = page_signals | _kernel_signals(listener, moment.boot_id)
        starts = []
        if listener is not None and listener.process is not None:
            starts.append(listener.process.started_boot_seconds)
        if "start_time" in signals and is_loopback(self._host):
            age_seconds = moment.utc_seconds - float(signals["start_time"])
            if age_seconds >= 0:  # otherwise the clock was set back, and the age is not known
                starts.append(moment.boot_seconds - age_seconds)
        # The listener may be a proxy younger than the engine behind it: what is older has to be believed, or
        # all that the engine ever counted would be taken for new.
        return Epoch(signals=signals, started_boot_seconds=min(starts, default=None))

    def _served_name(self, adapter: Adapter, signals: Mapping[str, str], ends_boot_seconds: float) -> str:
        """Return the model's name where the page has none: asked once for each life of the engine.

        An engine that gives no sign of its identity is asked each time.
        """
        if self._part is not None:
            return self._part.model
        if not adapter.name_paths:
            return DEFAULT_MODEL
        if self._served is None or not signals or self._served[0] != signals:
            self._served = (signals, self._asked_name(adapter, ends_boot_seconds))
        return self._served[1]

    def _asked_name(self, adapter: Adapter, ends_boot_seconds: float) -> str:
        # Only a path that does not exist is passed over: the next one may give the same model another name,
        # and a name that changes from reading to reading would count its tokens twice.
        for path, name_in in adapter.name_paths.items():
            answer = self._client.get(self.base_url + path, ends_boot_seconds - boot_seconds())
            if answer.status == _NOT_FOUND:
                continue
            name = name_in(answer.ok_body())
            if name is None:
                raise SourceContractError(
                    f"{answer.url} does not name one model, so its tokens have no owner"
                )
            return bounded_text(name)
        paths = " nor ".join(adapter.name_paths)
        raise SourceContractError(f"{shown_url(self.base_url)} has neither {paths}, so its model has no name")

    @contextmanager
    def _address_in_errors(self) -> Iterator[None]:
        try:
            yield
        except SourceContractError as exc:
            raise SourceContractError(f"{self.address}: {exc}") from exc


def _adapter(kind: str | None, counters: CounterNames | None) -> Adapter | None:
    if counters is not None:
        return generic_adapter(counters)
    return None if kind is None else ADAPTERS[kind]


def _pid(listener: Listener | None) -> int | None:
    return None if listener is None or listener.process is None else listener.process.pid


def _kernel_signals(listener: Listener | None, boot_id: str) -> dict[str, str]:
    if listener is None:
        return {}
    if listener.process is not None:
        return {"process": f"{boot_id}:{listener.process.pid}:{listener.process.start_ticks}"}
    if len(listener.inodes) == 1:
        return {"listener": f"{boot_id}:{min(listener.inodes)}"}
    # Of several sockets one may come and go with a worker, while the counters live on.
    return {}
