"""Which engines are read: those that the configuration names or that are found, and what they said last."""

from collections.abc import Callable, Mapping, Sequence
from urllib.parse import urlsplit

from msgspec import to_builtins

from evenwatt.config import Settings
from evenwatt.config.engines import Engine
from evenwatt.economics.capacity import Capacity
from evenwatt.model import EngineReading, Reading
from evenwatt.readings.discovery import FoundEngine
from evenwatt.readings.simulated import SimulatedEngine
from evenwatt.readings.source import Source
from evenwatt.service.capacity import configured_capacities
from evenwatt.service.sources import Scout, Settled, engine_source, is_local
from evenwatt.service.workers import Crew
from evenwatt.snapshot import EngineView

__all__ = ["EngineRoster"]

_FIRST_LOOK_SECONDS = 2.0
"""How long the first tick waits for engines to be found; who is found later is read from then on."""


class EngineRoster:
    """Keeps the crew's engines in step with the configuration and with what the scout finds.

    A found engine stays when it goes away: its costs go on, and it is the same when it returns. Only another
    kind of engine at its address takes its place.

    Attributes:
        found_something_real: Whether there is something to meter that was not there at the start.
    """

    CURSOR = "found_engines"
    """The key under which found engines are stored with the cursors."""

    def __init__(
        self,
        crew: Crew,
        settings: Settings,
        *,
        fixed: Sequence[Source] | None,
        stored: Mapping[str, object],
        own_port: int,
        wants_gpus: bool,
    ) -> None:
        """Take the first engines on.

        Args:
            crew: To which engines are added.
            settings: Which engines, where they are named.
            fixed: Simulated or replayed engines that stand for all others.
            stored: What `stored` returned when the history was last written.
            own_port: Of the agent itself, which is no engine.
            wants_gpus: Whether the scout is to look for GPUs too, as there were none at the start.
        """
        self._crew = crew
        self._settings = settings
        self._is_fixed = fixed is not None
        self._own_port = own_port
        self._wants_gpus = wants_gpus
        self._sources: dict[str, Source] = {}
        self._made_from: dict[str, Engine | FoundEngine] = {}
        self._found: dict[str, FoundEngine] = {}
        self._readings: dict[str, EngineReading] = {}
        self._models: dict[str, tuple[str, ...]] = {}
        self._scout: Scout | None = None
        self.found_something_real = False
        for source in fixed or ():
            self._sources[source.name] = source
            crew.add(source)
        if not self._is_fixed:
            if settings.engines is None:
                self._found = {name: FoundEngine(**engine) for name, engine in stored.items()}  # type: ignore[arg-type]  # own JSON
            self._take_on_wanted()
        self._send_scout()
        self._patience_seconds = 0.0 if self._is_fixed else _FIRST_LOOK_SECONDS

    # --- who is there --------------------------------------------------------------------------------------

    @property
    def names(self) -> tuple[str, ...]:
        """All engines, also those that do not answer."""
        return tuple(self._sources)

    @property
    def remote(self) -> frozenset[str]:
        """Engines on other hosts: no GPU of this machine is theirs."""
        return frozenset(name for name, engine in self._made_from.items() if not is_local(engine.url))

    @property
    def kinds(self) -> dict[str, str]:
        """The kind of each engine."""
        return {name: source.kind for name, source in self._sources.items()}

    @property
    def models(self) -> dict[str, tuple[str, ...]]:
        """What each engine serves, as last read; nothing where it was not."""
        return {name: self._models.get(name, ()) for name in self._sources}

    @property
    def told_capacities(self) -> dict[str, Capacity]:
        """What engines sustain, as far as the configuration says, or a simulated one of itself."""
        simulated = {
            name: source.capacity
            for name, source in self._sources.items()
            if isinstance(source, SimulatedEngine)
        }
        return simulated | configured_capacities(self._settings)

    def stored(self) -> dict[str, object]:
        """Return what has to be kept to know found engines after a restart."""
        return {name: to_builtins(engine) for name, engine in self._found.items()}

    def adopt(self, settings: Settings) -> None:
        """Go on with other settings; an engine that did not change is not touched."""
        is_deadline_new = settings.sampling.deadline_seconds != self._settings.sampling.deadline_seconds
        self._settings = settings
        if not self._is_fixed:
            if settings.engines is not None:
                self._found = {}
            wanted = self._wanted()
            for name, engine in tuple(self._made_from.items()):
                if is_deadline_new or wanted.get(name) != engine:
                    self._let_go(name)
            self._take_on_wanted()
        self._send_scout()

    def follow(self, tell: Callable[[str, str, str], None]) -> None:
        """Take on what the scout has found since."""
        if self._scout is not None:
            self._scout.settled = self._settled
        news = None if self._scout is None else self._scout.news(self._patience_seconds)
        self._patience_seconds = 0.0
        if news is None:
            return
        self.found_something_real = bool(news.gpus) or (self._is_fixed and bool(news.engines))
        if self._is_fixed or self._settings.engines is not None:
            return
        for engine in news.engines:
            self._make_way_for(engine, tell)
            known = {known.url for known in self._made_from.values()}
            if engine.name not in self._sources and engine.url not in known:
                self._found[engine.name] = engine
                tell("engine_found", engine.name, f"{engine.kind} found at {engine.url}")
        self._take_on_wanted()

    def _make_way_for(self, engine: FoundEngine, tell: Callable[[str, str, str], None]) -> None:
        """Let go of a found engine that is down where another kind answers, or that came back elsewhere.

        Its history stays. A container that is started again has another network, under the same name.
        """
        for name, old in tuple(self._found.items()):
            if name in self._readings:
                continue
            if old.url == engine.url and old.kind != engine.kind:
                del self._found[name]
                self._let_go(name)
                tell("engine_replaced", name, f"not read any more: {engine.kind} answers at {engine.url} now")
            elif name == engine.name and old.url != engine.url:
                self._found[name] = engine
                self._let_go(name)
                tell("engine_found", name, f"{engine.kind} is back, at {engine.url}")

    def close(self) -> None:
        """Stop looking."""
        if self._scout is not None:
            self._scout.close()

    def _wanted(self) -> Mapping[str, Engine | FoundEngine]:
        if self._settings.engines is None:
            return self._found
        return {engine.name: engine for engine in self._settings.engines}

    def _take_on_wanted(self) -> None:
        deadline = self._settings.sampling.deadline_seconds
        for name, engine in self._wanted().items():
            if name not in self._sources:
                self._sources[name] = engine_source(engine, deadline)
                self._made_from[name] = engine
                self._crew.add(self._sources[name])

    def _let_go(self, name: str) -> None:
        del self._sources[name], self._made_from[name]
        self._readings.pop(name, None)
        self._models.pop(name, None)
        self._crew.remove(name)

    @property
    def _settled(self) -> Settled:
        """Where the agent itself and engines are, but not where a found one is down."""
        own, others = {self._own_port}, set()
        for name, engine in self._made_from.items():
            if name in self._readings or name not in self._found:
                port = urlsplit(engine.url).port
                if isinstance(engine, FoundEngine) and engine.is_elsewhere:
                    others.add(engine.url)
                elif port is not None:
                    own.add(port)
        return Settled(ports=frozenset(own), urls=frozenset(others))

    def _send_scout(self) -> None:
        """Begin to look around, or to look by other settings, or end it."""
        self.close()
        wanted = self._wants_gpus or (not self._is_fixed and self._settings.engines is None)
        self._scout = None
        if wanted:
            self._scout = Scout(
                every_seconds=self._settings.sampling.discovery_seconds,
                is_own_network_only=self._settings.sampling.discovery_networks == "own",
                wants_gpus=self._wants_gpus,
                settled=self._settled,
            )

    # --- what they said ------------------------------------------------------------------------------------

    def note(self, readings: Sequence[Reading]) -> None:
        """Keep what engines said in this tick; what was not said is not shown as live."""
        self._readings = {r.engine: r for r in readings if isinstance(r, EngineReading)}
        self._models |= {
            name: tuple(dict.fromkeys(counters.model for counters in reading.all_models))
            for name, reading in self._readings.items()
        }

    def views(self, capacities: Mapping[str, Capacity]) -> tuple[EngineView, ...]:
        """Return every engine as it was last read, with what it can sustain."""
        return tuple(self._view(name, source, capacities.get(name)) for name, source in self._sources.items())

    def _view(self, name: str, source: Source, capacity: Capacity | None) -> EngineView:
        reading = self._readings.get(name)
        return EngineView(
            engine=name,
            kind=source.kind,
            address=source.address,
            up=reading is not None,
            models=self._models.get(name, ()),
            requests_running=None if reading is None else reading.requests_running,
            requests_waiting=None if reading is None else reading.requests_waiting,
            step_tokens=None if reading is None else reading.step_tokens,
            capacity=capacity,
        )
