"""The running agent: one tick after another reads, folds, prices, writes, publishes."""

import logging
import signal
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from enum import StrEnum
from pathlib import Path

from msgspec.structs import replace

from evenwatt import __version__, clock
from evenwatt.config import Settings
from evenwatt.economics.capacity import Capacity
from evenwatt.economics.cost import costs_per_hour
from evenwatt.economics.tariffs import price_per_kwh_at
from evenwatt.errors import ConfigError, HistoryError, SourceError
from evenwatt.ledger import Ledger, LedgerRules
from evenwatt.model import Moment, Reading
from evenwatt.readings.host.source import HOST_SOURCE
from evenwatt.readings.recording import Recorder
from evenwatt.readings.source import Source
from evenwatt.service.access import local_socket, protection
from evenwatt.service.accounts import Accounts
from evenwatt.service.alerts.keeper import AlertKeeper
from evenwatt.service.api_prices.keeper import PriceKeeper
from evenwatt.service.capacity import CapacityKeeper
from evenwatt.service.control import Control
from evenwatt.service.electricity.keeper import ElectricityKeeper
from evenwatt.service.engines import EngineRoster
from evenwatt.service.events import Events
from evenwatt.service.gpus import GpuKeeper
from evenwatt.service.host.keeper import GPU_POWER, HostKeeper
from evenwatt.service.notes import electricity_view, price_notes
from evenwatt.service.page.live import LiveLog
from evenwatt.service.page.questions import QUESTIONS, PageQuestions
from evenwatt.service.pricing import all_assumptions, price_book
from evenwatt.service.publishing import first_pages, pages
from evenwatt.service.reload import ledger_rules, reloaded_settings
from evenwatt.service.upkeep import Upkeep
from evenwatt.service.workers import Crew
from evenwatt.sinks.history import History
from evenwatt.sinks.summary import summary_line
from evenwatt.sinks.web import WebServer
from evenwatt.snapshot import HistoryHealth, Snapshot, Sums, machine_watts
from evenwatt.supervisor import Supervisor
from evenwatt.units import SECONDS_PER_MINUTE

__all__ = ["Agent", "Ending"]

_log = logging.getLogger("evenwatt")

_STALE_TICKS = 6
_LEAST_WATCHED_SECONDS = 10.0
"""A service manager does not take short ticks on a busy machine for a fault."""
_STOPPING_SECONDS = 2.0
"""For the last reading; with a write that waits before and after it, it stays below the 5 seconds allowed."""


class Ending(StrEnum):
    """Why the agent ended."""

    STOPPED = "stopped"
    """Somebody asked."""
    REAL_FOUND = "real found"
    """There is something to meter now that was not there at the start: GPUs, or anything at all."""
    DRIVER_CHANGED = "driver changed"
    """The NVIDIA library in this process no longer fits the driver; only a new process can load another."""


class Agent:
    """Meters one machine.

    Everything but the readings of sources happens in the thread that calls `run`.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        gpus: Source | None,
        engines: Sequence[Source] | None,
        history_path: Path,
        looks_for_gpus: bool = False,
        config_path: Path | None = None,
        recorder: Recorder | None = None,
    ) -> None:
        """Open everything, so that what cannot be had stops the start.

        Args:
            settings: As loaded.
            gpus: The source of GPU readings, if there is one.
            engines: Simulated or replayed engines, and host power; None: those that the settings name, or
                that are found.
            history_path: Of the history; the settings' own, but for simulated readings.
            looks_for_gpus: Whether to look for GPUs now and then, and to end when there are some: an agent
                that has none, or whose simulated readings only stand in.
            config_path: Read again on reload; None: the usual places.
            recorder: Where each reading is written too.

        Raises:
            EvenwattError: The history, the port or the public holidays of a tariff cannot be had.
        """
        self._settings = settings
        self._config_path = config_path
        self._config_reload_ok = True
        self._simulated = engines is not None
        self._recorder = recorder
        self._started_utc_seconds = clock.utc_seconds()
        self._events = Events()
        self._tell = self._events.tell
        self._supervisor = Supervisor()
        self._told_minute: int | None = None
        with ExitStack() as opened:
            if recorder is not None:
                opened.callback(recorder.close)
            self._history = History(
                history_path,
                currency=settings.currency,
                simulated=self._simulated,
                machine=clock.machine_id(),
                zone=settings.timezone,
            )
            opened.callback(self._history.close)
            listen = settings.server.listen
            self._questions = PageQuestions(settings, history_path)
            self._web = WebServer(
                host=listen.host,
                port=listen.port,
                protection=protection(settings),
                local_path=local_socket(settings, history_path),
                questions=QUESTIONS,
                ask=self._questions,
            )
            self._live = LiveLog()
            opened.callback(self._web.close)
            self._web.publish(first_pages())
            self._crew = Crew()
            opened.callback(self._crew.close, patience_seconds=_STOPPING_SECONDS / 4)
            self._take_up(gpus, engines, looks_for_gpus=looks_for_gpus)
            opened.callback(self._roster.close)
            opened.callback(self._host.close)
            opened.callback(self._alerts.close)
            self._opened = opened.pop_all()

    def _take_up(
        self, gpus: Source | None, engines: Sequence[Source] | None, *, looks_for_gpus: bool
    ) -> None:
        """Go on where the history stands."""
        if self._history.set_aside is not None:
            self._tell(
                "history_corrupt", "history", f"it was corrupt; set aside as {self._history.set_aside}"
            )
        if self._history.copied_to is not None:
            text = f"its tables were brought up to date; a copy from before is at {self._history.copied_to}"
            self._tell("history_upgraded", "history", text)
        if self._history.was_moved:
            text = "it comes from another machine; all counters of this one begin with a baseline"
            self._tell("history_moved", "history", text)
        self._accounts = Accounts(self._history, tell=self._tell)
        self._upkeep = Upkeep(self._history, self._settings)
        cursors = self._history.cursors()
        self._gpus = GpuKeeper(gpus, self._crew)
        self._roster = EngineRoster(
            self._crew,
            self._settings,
            fixed=None if engines is None else [s for s in engines if s.name != HOST_SOURCE],
            stored=cursors.pop(EngineRoster.CURSOR, {}),
            own_port=self._web.port,
            wants_gpus=looks_for_gpus,
        )
        self._host = HostKeeper(
            self._crew,
            self._settings,
            fixed=next((source for source in engines or () if source.name == HOST_SOURCE), None),
            is_simulated=self._simulated,
        )
        self._host.calibrate(self._history.calibrations(GPU_POWER))
        self._ledger = Ledger(self._rules(), cursors=cursors, models=_models(self._accounts.totals))
        self._gpu_names = self._ledger.gpu_names
        self._prices = PriceKeeper(self._history, self._settings)
        self._electricity = ElectricityKeeper(
            self._history, self._settings, last_utc_seconds=self._ledger.last_utc_seconds
        )
        self._capacity = CapacityKeeper(cursors.pop(CapacityKeeper.CURSOR, {}))
        self._capacities: dict[str, Capacity] = {}
        self._alerts = AlertKeeper(
            self._history,
            self._settings,
            stored=cursors.pop(AlertKeeper.CURSOR, {}),
            last_utc_seconds=self._ledger.last_utc_seconds,
            tell=self._tell,
        )
        self._rebuild_book()

    @property
    def address(self) -> str:
        """Where it answers."""
        scheme = "http" if self._settings.server.tls_server_config is None else "https"
        return f"{scheme}://{replace(self._settings.server.listen, port=self._web.port)}"

    @property
    def history_path(self) -> Path:
        """Where the history is."""
        return self._history.path

    # --- life ----------------------------------------------------------------------------------------------

    def run(self, control: Control, *, after_tick: Callable[["Agent"], None] | None = None) -> Ending:
        """Tick until somebody asks to stop; the last reading is committed before this returns."""
        control.interrupt = self._crew.interrupt
        self._supervisor.expect_within(max(self._stale_seconds, _LEAST_WATCHED_SECONDS))
        ending = None
        next_tick = clock.boot_seconds()
        with self._opened:
            while not control.stopping and ending is None:
                ending = self.tick()
                self._tell_supervisor()
                if after_tick is not None:
                    after_tick(self)
                if not self._obey(control):
                    next_tick = max(next_tick + self._settings.sampling.tick_seconds, clock.boot_seconds())
                    control.wait(max(next_tick - clock.boot_seconds(), 0.0))
            self._supervisor.ending("the last reading is written")
            self.tick(is_last=True)
        self._say_what_was_not_written()
        return Ending.STOPPED if control.stopping or ending is None else ending

    def tick(self, *, is_last: bool = False) -> Ending | None:
        """Read, fold, price, write, publish; once. Return why to end, if there is a reason."""
        if not is_last:
            self._roster.follow(self._tell)
            self._host.follow()
        self._follow_calibration()
        has_new_prices = self._prices.follow()
        if self._electricity.follow(self._tell) or has_new_prices:
            self._rebuild_book()
        deadline_seconds = _STOPPING_SECONDS if is_last else self._settings.sampling.deadline_seconds
        readings = self._crew.round(deadline_seconds, is_last=is_last)
        self._record(readings)
        moment = clock.now()
        posting = self._ledger.fold(moment, readings, engines=self._roster.names)
        self._note(readings)
        for event in posting.events:
            _log.info("%s: %s", event.subject, event.text)
        posting = replace(
            posting,
            events=(*posting.events, *self._events.taken()),
            cursors={
                **posting.cursors,
                **self._capacity.changed(),
                EngineRoster.CURSOR: self._roster.stored(),
            },
        )
        self._accounts.post(posting, self._book)
        self._follow_capacities(moment)
        self._accounts.look_up(
            self._book,
            self._settings.windows,
            now_utc_seconds=moment.utc_seconds,
            zone=self._settings.timezone,
            capacities=self._capacities,
        )
        shown = self._alerts.follow(self._snapshot(moment))
        live = self._live.told(shown)
        self._web.publish(pages(shown, stale_after_seconds=self._stale_seconds, live=live))
        if self._accounts.health.up and not is_last:
            self._upkeep.follow(moment)
        if self._roster.found_something_real:
            return Ending.REAL_FOUND
        return Ending.DRIVER_CHANGED if self._gpus.needs_new_process else None

    def _tell_supervisor(self) -> None:
        """Say that a tick was done, and once a minute what it saw."""
        if not self._supervisor.is_there:
            return
        minute = int(clock.utc_seconds() // SECONDS_PER_MINUTE)
        is_new, self._told_minute = minute != self._told_minute, minute
        self._supervisor.alive(self.summary() if is_new else None)

    def _say_what_was_not_written(self) -> None:
        health = self._accounts.health
        if health.pending_ticks:
            _log.error(
                "the last %d ticks could not be written (%s); what the sources still count is counted again "
                "from the last written one at the next start",
                health.pending_ticks,
                health.error,
            )

    def summary(self) -> str:
        """Return what matters now, in one line."""
        return summary_line(self._snapshot(clock.now()))

    def _obey(self, control: Control) -> bool:
        """Do what signals asked for; return whether the next tick is due at once."""
        if control.take(signal.SIGHUP):
            self._supervisor.reloading()
            self.reload()
            self._supervisor.expect_within(max(self._stale_seconds, _LEAST_WATCHED_SECONDS))
            return True
        return self._gpus.obey(control, self._tell)

    def reload(self) -> None:
        """Take the configuration anew; where it is wrong the old one stays in force."""
        try:
            settings = reloaded_settings(self._config_path, self._settings)
        except ConfigError as error:
            self._config_reload_ok = False
            reason = "; ".join(str(error).split("\n"))
            text = f"not reloaded, the old one stays in force: {reason}"
            self._tell("config_refused", "configuration", text)
            return
        self._settings = settings
        self._config_reload_ok = True
        self._roster.adopt(settings)
        self._host.adopt(settings)
        self._ledger.adopt(self._rules())
        self._prices.adopt(settings)
        self._electricity.adopt(settings)
        self._upkeep.adopt(settings)
        self._questions.adopt(settings)
        self._web.forget()
        with suppress(HistoryError):  # the next tick tells that it cannot be written
            self._history.adopt(settings.timezone)
        self._alerts.adopt(settings)
        self._rebuild_book()
        self._tell("config_reloaded", "configuration", "the configuration was reloaded")

    # --- parts of a tick -----------------------------------------------------------------------------------

    def _record(self, readings: Sequence[Reading]) -> None:
        """Keep the readings, as long as that works; metering does not depend on it."""
        if self._recorder is None:
            return
        try:
            is_kept = all(self._recorder.write(reading) for reading in readings)
            reason = "the recording is full"
        except SourceError as error:
            is_kept, reason = False, str(error)
        if not is_kept:
            self._recorder = None
            self._tell("recording_ended", "recording", f"nothing more is recorded: {reason}")

    def _note(self, readings: Sequence[Reading]) -> None:
        """Keep the latest readings for the views; what was not read this time is not shown as live."""
        self._roster.note(readings)
        self._host.note(readings)
        self._gpus.note(readings)
        if self._ledger.gpu_names != self._gpu_names:
            self._gpu_names = self._ledger.gpu_names
            self._rebuild_book()

    def _follow_calibration(self) -> None:
        """Go by a calibration that a command has left in the history beside this agent."""
        before = self._host.rules
        with suppress(HistoryError):  # one that cannot be read is told where it is written
            self._host.calibrate(self._history.calibrations(GPU_POWER))
        if self._host.rules != before:
            self._ledger.adopt(self._rules())

    def _follow_capacities(self, moment: Moment) -> None:
        """Learn from the minutes that were written; a history that cannot be read is told elsewhere."""
        now = moment.utc_seconds
        if self._accounts.health.up:
            with suppress(HistoryError):
                self._capacity.follow(self._history, now_utc_seconds=now, kinds=self._roster.kinds)
        told = self._roster.told_capacities
        self._capacity.remember_simulated(told)
        self._capacities = self._capacity.capacities(told, self._roster.models, now_utc_seconds=now)

    def _rebuild_book(self) -> None:
        self._book = price_book(
            self._settings, self._prices.rows, self._gpu_names, electricity=self._electricity.prices
        )

    def _rules(self) -> LedgerRules:
        return ledger_rules(self._settings, remote_engines=self._roster.remote, host=self._host.rules)

    # --- what views see ------------------------------------------------------------------------------------

    def _history_health(self) -> HistoryHealth:
        size = self._upkeep.size
        if size is None:
            return self._accounts.health
        return replace(self._accounts.health, file_bytes=size.file_bytes, year_bytes=size.year_bytes)

    @property
    def _stale_seconds(self) -> float:
        sampling = self._settings.sampling
        return _STALE_TICKS * sampling.tick_seconds + sampling.deadline_seconds

    def _snapshot(self, moment: Moment) -> Snapshot:
        tariff, host = self._book.tariff, self._host.view(self._ledger.host)
        return Snapshot(
            moment=moment,
            started_utc_seconds=self._started_utc_seconds,
            version=__version__,
            simulated=self._simulated,
            currency=self._settings.currency,
            totals=self._accounts.totals,
            source_totals=self._accounts.source_totals,
            gpus=self._gpus.readings,
            gpu_indexes=self._gpus.indexes,
            last_scrape=self._web.last_scrape,
            host=host,
            gpu_owners=self._ledger.gpu_owners,
            counter_power_ratios=self._ledger.counter_power_ratios,
            gpus_released=self._gpus.are_released,
            engines=self._roster.views(self._capacities),
            sources=(*self._crew.health, *self._electricity.health),
            windows=self._accounts.windows,
            electricity_price_per_kwh=(
                None if tariff is None else price_per_kwh_at(tariff, moment.utc_seconds)
            ),
            electricity=electricity_view(self._book, moment.utc_seconds),
            cost_per_hour=costs_per_hour(
                self._book, moment.utc_seconds, watts=machine_watts(self._gpus.readings, host)
            ),
            assumptions=(*all_assumptions(self._settings, self._gpu_names), *self._host.assumptions),
            notes=price_notes(self._book, moment.utc_seconds, self._settings.timezone),
            pending_prices=self._prices.pending,
            history=self._history_health(),
            config_reload_ok=self._config_reload_ok,
            events=self._accounts.events,
            event_totals=self._accounts.event_totals,
        )


def _models(totals: Sums) -> dict[str, frozenset[str]]:
    models: dict[str, set[str]] = {}
    for engine, model in totals.usage:
        models.setdefault(engine, set()).add(model)
    return {engine: frozenset(known) for engine, known in models.items()}
