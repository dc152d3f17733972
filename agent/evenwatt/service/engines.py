"""Which engines are read: those that the configuration names or that are found, and what they said last."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from urllib.parse import urlsplit

from evenwatt.config import Settings
from evenwatt.model import EngineReading, Reading
from evenwatt.readings.discovery import EngineSearch, FoundEngine
from evenwatt.readings.source import Source
from evenwatt.service.sources import Scout, configured_engine, found_engine, is_local
from evenwatt.service.workers import Crew
from evenwatt.snapshot import EngineView

__all__ = ["EngineRoster"]


class EngineRoster:
    """Keeps the crew's engines in step with the configuration and with what the scout finds.

    A found engine stays when it goes away: its costs go on, and it is the same when it returns.
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
        self._urls: dict[str, str] = {}
        self._found: dict[str, FoundEngine] = {}
        self._readings: dict[str, EngineReading] = {}
        self._models: dict[str, tuple[str, ...]] = {}
        self._scout: Scout | None = None
        self.found_something_real = False
        for source in fixed or ():
            self._take_on(source, source.address)
        if not self._is_fixed:
            self._take_on_engines(
                {name: FoundEngine(**engine) for name, engine in stored.items()}  # type: ignore[arg-type]  # own JSON
            )
        self._send_scout()

    # --- who is there --------------------------------------------------------------------------------------

    @property
    def names(self) -> tuple[str, ...]:
        """All engines, also those that do not answer."""
        return tuple(self._sources)

    @property
    def remote(self) -> frozenset[str]:
        """Engines on other hosts: no GPU of this machine is theirs."""
        if self._is_fixed:
            return frozenset()
        return frozenset(name for name, url in self._urls.items() if not is_local(url))

    @property
    def capacities(self) -> dict[str, float]:
        """Tokens per second that engines sustain, as far as the configuration says."""
        return {
            engine.name: engine.capacity_tokens_per_second
            for engine in self._settings.engines or ()
            if engine.capacity_tokens_per_second is not None
        }

    def stored(self) -> dict[str, object]:
        """Return what has to be kept to know found engines after a restart."""
        return {name: asdict(engine) for name, engine in self._found.items()}

    def adopt(self, settings: Settings) -> None:
        """Go on with other settings; an engine that did not change is not touched."""
        before = {engine.name: engine for engine in self._settings.engines or ()}
        slower = settings.sampling.deadline_seconds != self._settings.sampling.deadline_seconds
        self._settings = settings
        if self._is_fixed:
            return
        after = {engine.name: engine for engine in settings.engines or ()}
        for name in self.names:
            if slower or name not in after or after[name] != before.get(name):
                self._let_go(name)
        self._found = {} if settings.engines is not None else self._found
        self._take_on_engines(self._found)
        self._send_scout()

    def follow(self, tell: Callable[[str, str, str], None]) -> None:
        """Take on what the scout has found since."""
        news = None if self._scout is None else self._scout.news()
        if news is None:
            return
        self.found_something_real = bool(news.gpus) or (self._is_fixed and bool(news.engines))
        for engine in news.engines if not self._is_fixed else ():
            if engine.name not in self._sources and engine.url not in self._urls.values():
                self._found[engine.name] = engine
                self._take_on(found_engine(engine, self._settings.sampling.deadline_seconds), engine.url)
                tell("engine_found", engine.name, f"{engine.kind} found at {engine.url}")

    def close(self) -> None:
        """Stop looking."""
        if self._scout is not None:
            self._scout.close()

    def _take_on_engines(self, found: Mapping[str, FoundEngine]) -> None:
        deadline = self._settings.sampling.deadline_seconds
        if self._settings.engines is not None:
            for named in self._settings.engines:
                if named.name not in self._sources:
                    self._take_on(configured_engine(named, deadline), named.url)
            return
        self._found = dict(found)
        for engine in (*found.values(), *EngineSearch().find(self._skipped)):
            if engine.name not in self._sources:
                self._found[engine.name] = engine
                self._take_on(found_engine(engine, deadline), engine.url)

    def _take_on(self, source: Source, url: str) -> None:
        self._sources[source.name] = source
        self._urls[source.name] = url
        self._crew.add(source)
        if self._scout is not None:
            self._scout.skip_ports = self._skipped

    def _let_go(self, name: str) -> None:
        del self._sources[name], self._urls[name]
        self._readings.pop(name, None)
        self._crew.remove(name)

    @property
    def _skipped(self) -> frozenset[int]:
        """The ports of the agent itself and of the engines it knows."""
        ports = {urlsplit(url).port for url in self._urls.values() if not self._is_fixed}
        return frozenset({self._own_port, *(port for port in ports if port is not None)})

    def _send_scout(self) -> None:
        wanted = self._wants_gpus or (not self._is_fixed and self._settings.engines is None)
        if wanted and self._scout is None:
            self._scout = Scout(
                every_seconds=self._settings.sampling.discovery_seconds,
                wants_gpus=self._wants_gpus,
                skip_ports=self._skipped,
            )
        elif not wanted and self._scout is not None:
            self._scout.close()
            self._scout = None

    # --- what they said ------------------------------------------------------------------------------------

    def note(self, readings: Sequence[Reading]) -> None:
        """Keep what engines said in this tick; what was not said is not shown as live."""
        self._readings = {r.engine: r for r in readings if isinstance(r, EngineReading)}
        self._models |= {
            name: tuple(counters.model for counters in reading.models)
            for name, reading in self._readings.items()
        }

    @property
    def views(self) -> tuple[EngineView, ...]:
        """Every engine as it was last read."""
        return tuple(self._view(name, source) for name, source in self._sources.items())

    def _view(self, name: str, source: Source) -> EngineView:
        reading = self._readings.get(name)
        capacity = self.capacities.get(name)
        return EngineView(
            engine=name,
            kind=source.kind,
            address=source.address,
            up=reading is not None,
            models=self._models.get(name, ()),
            requests_running=None if reading is None else reading.requests_running,
            requests_waiting=None if reading is None else reading.requests_waiting,
            capacity_tokens_per_second=capacity,
            capacity_source=None if capacity is None else "configured",
        )
