"""The ledger: turns readings into increases, cuts them at minutes, and books each to its owner.

Pure but for its own state, which is exactly what the cursors hold: a ledger made from stored cursors goes on
where the one that stored them stood.
"""

from collections.abc import Iterable, Mapping, Sequence

from msgspec.structs import replace

from evenwatt.ledger import narration
from evenwatt.ledger.attribution import Holding, engine_time_shares, part_holdings, unread_holdings
from evenwatt.ledger.cursors import (
    MACHINE_KEY,
    GpuCursor,
    MachineCursor,
    gpu_key,
    stored_gpu,
    stored_machine,
)
from evenwatt.ledger.energy import EnergyIncrease, cross_checked, energy_increase
from evenwatt.ledger.engine_book import EngineBook
from evenwatt.ledger.entries import Posting
from evenwatt.ledger.host import host_increase
from evenwatt.ledger.host_cursor import HOST_KEY, HostCursor, stored_host
from evenwatt.ledger.journal import Journal
from evenwatt.ledger.meter_faults import TickUse
from evenwatt.ledger.rules import LedgerRules
from evenwatt.ledger.spans import Span, span_between, split_at_boot
from evenwatt.ledger.tokens import EngineIncrease
from evenwatt.ledger.tracing import Activity, GpuPart, Tracer, gpu_parts, part_owners
from evenwatt.model import (
    EngineReading,
    GpuReading,
    GpusReading,
    HostReading,
    Moment,
    Reading,
    State,
)

__all__ = ["Ledger"]

AGENT = "agent"
"""The source name under which gaps of the agent itself are told."""

GPUS = "nvml"
"""The source name under which gaps of the GPUs are told."""


class Ledger:
    """Folds one tick after another; `fold` is the only thing that changes it."""

    def __init__(
        self,
        rules: LedgerRules,
        *,
        cursors: Mapping[str, Mapping[str, object]],
        models: Mapping[str, frozenset[str]],
    ) -> None:
        """Begin where stored cursors end.

        Args:
            rules: May be replaced later by `adopt`.
            cursors: As the last committed postings stored them; empty for a new history.
            models: Labels that each engine has in the history, for those without a cursor.
        """
        self._rules = rules
        self._engines = EngineBook(rules, cursors=cursors, models=models)
        machine = cursors.get(MACHINE_KEY)
        self._machine: MachineCursor | None = None if machine is None else stored_machine(machine)
        self._gpus: dict[str, GpuCursor] = {}
        host = cursors.get(HOST_KEY)
        self._host: HostCursor | None = stored_host(host) if host else None
        for key, value in cursors.items():
            if value and key.startswith(gpu_key("")):
                gpu = stored_gpu(value)
                self._gpus[gpu.uuid] = gpu

    def adopt(self, rules: LedgerRules) -> None:
        """Go on under other rules from the next tick; the cursors stay."""
        self._rules = rules
        self._engines.adopt(rules)

    @property
    def counter_power_ratios(self) -> Mapping[str, float]:
        """By GPU UUID, the energy counter over integrated power, as last compared on a busy GPU."""
        checks = {uuid: cursor.cross_check.ratio for uuid, cursor in self._gpus.items()}
        return {uuid: ratio for uuid, ratio in checks.items() if ratio is not None}

    @property
    def last_utc_seconds(self) -> float | None:
        """Up to when the machine's time is accounted for; None before the first tick."""
        return None if self._machine is None else self._machine.last.utc_seconds

    @property
    def host(self) -> HostCursor | None:
        """How the source of host power stands; None where there never was one."""
        return self._host

    @property
    def gpu_names(self) -> tuple[str, ...]:
        """The names of the machine's GPUs, as last listed."""
        present = () if self._machine is None else self._machine.gpu_uuids
        return tuple(self._gpus[uuid].name for uuid in present)

    @property
    def gpu_owners(self) -> Mapping[str, tuple[str, ...]]:
        """By GPU UUID, the engines that its costs go to."""
        present = () if self._machine is None else self._machine.gpu_uuids
        return {uuid: self._gpus[uuid].owners for uuid in present}

    def fold(self, moment: Moment, readings: Sequence[Reading], *, engines: Sequence[str]) -> Posting:
        """Book everything that happened up to a moment.

        Args:
            moment: Up to which the machine's time is accounted for.
            readings: What sources said since the last tick, each source at most once; a missing one said
                nothing.
            engines: All engines known now, also those that said nothing.
        """
        journal = Journal(moment)
        readings = self._engines.without_twins(journal, readings)
        counted = self._engines.in_totals(journal, readings, engines)
        before = self._machine
        machine = MachineCursor(first=moment, last=moment) if before is None else replace(before, last=moment)
        increases = self._fold_engines(journal, readings, machine.first, engines, counted)
        listings = [reading for reading in readings if isinstance(reading, GpusReading)]
        gpus = {gpu.uuid: gpu for listing in listings for gpu in listing.gpus}
        activities = self._engines.activities(
            counted, readings, increases, tuple(gpus.values()), moment.boot_id
        )
        # That its process was found here says more than the host of its address.
        local = {
            name: activity
            for name, activity in activities.items()
            if name not in self._rules.remote_engines or activity.listener_pid is not None
        }
        tracer = Tracer(local)
        self._machine = replace(machine, gpu_uuids=tuple(gpus)) if listings else machine
        holdings = {}
        unwatched: list[Span] = []
        read_gpus: set[str] = set()
        for uuid, gpu in gpus.items():
            energy = self._fold_gpu(journal, gpu, machine.first)
            holdings[uuid] = self._hold(journal, gpu, local, tracer)
            self._book_energy(journal, gpu, energy, holdings[uuid], increases)
            unwatched += [part.span for part in energy.parts if self._rules.is_gap(part.span)]
            read_gpus |= {uuid} if energy.parts else set()
        if unwatched:
            journal.gap(GPUS, max(unwatched, key=lambda span: span.length_seconds))
        if before is not None:
            self._book_utilization(journal, before.last, gpus.values())
            self._book_time(journal, before.last, holdings, activities, increases)
        self._fold_host(journal, readings, has_caught_up=bool(unwatched), read_gpus=read_gpus)
        journal.cursor(MACHINE_KEY, self._machine.stored())
        return journal.posting()

    def _fold_engines(
        self,
        journal: Journal,
        readings: Sequence[Reading],
        watching_since: Moment,
        engines: Sequence[str],
        counted: Sequence[str],
    ) -> dict[str, EngineIncrease]:
        increases = {}
        for reading in readings:
            if not isinstance(reading, EngineReading):
                continue
            if reading.engine in engines and reading.engine not in counted:
                self._engines.pass_by(journal, reading, watching_since, engines)
                continue
            increases[reading.engine] = self._engines.fold(journal, reading, watching_since, engines)
            if reading.clients is not None:
                self._engines.fold_clients(journal, reading, watching_since, engines)
        return increases

    # --- GPUs ----------------------------------------------------------------------------------------------

    def _fold_gpu(
        self,
        journal: Journal,
        gpu: GpuReading,
        watching_since: Moment,
    ) -> EnergyIncrease:
        before = self._gpus.get(gpu.uuid)
        increase = energy_increase(
            before,
            gpu,
            watching_since=watching_since,
            longest_power_gap_seconds=self._rules.longest_power_gap_seconds,
        )
        check = cross_checked(
            increase.cursor.cross_check,
            gpu,
            increase,
            over_seconds=self._rules.cross_check_seconds,
            tolerance_ratio=self._rules.cross_check_tolerance_ratio,
            busy_ratio=self._rules.cross_check_busy_ratio,
        )
        if gpu.fault != (None if before is None else before.fault):
            journal.event(narration.gpu_fault(gpu))
        if increase.source_changed:
            journal.event(narration.energy_source_changed(gpu))
        if increase.counter_was_reset:
            journal.event(narration.energy_counter_reset(gpu))
        if increase.refused_joules is not None:
            journal.event(narration.energy_refused(gpu, increase.refused_joules))
        if check.is_parted != increase.cursor.cross_check.is_parted:
            journal.event(narration.energy_disagreement(gpu, check))
        self._gpus[gpu.uuid] = replace(increase.cursor, cross_check=check)
        return increase

    def _hold(
        self, journal: Journal, gpu: GpuReading, activities: Mapping[str, Activity], tracer: Tracer
    ) -> tuple[Holding, ...]:
        """Return how a GPU is shared, part by part where it has parts, and keep whose it is."""
        cursor = self._gpus[gpu.uuid]
        parts = gpu_parts(gpu)
        owners = {part.uuid: self._part_owners(part, cursor, activities, tracer) for part in parts}
        everybody = tuple(sorted({engine for engines in owners.values() for engine in engines}))
        instances = {part.uuid: owners[part.uuid] for part in parts if part.uuid and part.is_instance}
        self._gpus[gpu.uuid] = replace(
            cursor,
            owners=everybody,
            # A lost card tells of no instance; they are the same ones when it comes back.
            instance_owners=cursor.instance_owners if gpu.fault is not None else instances,
        )
        journal.cursor(gpu_key(gpu.uuid), self._gpus[gpu.uuid].stored())
        return tuple(
            holding
            for part in parts
            for holding in part_holdings(part, owners[part.uuid], activities, tracer)
        )

    def _part_owners(
        self, part: GpuPart, cursor: GpuCursor, activities: Mapping[str, Activity], tracer: Tracer
    ) -> tuple[str, ...]:
        kept = cursor.instance_owners.get(part.uuid or "", ())
        earlier = kept if part.is_instance else cursor.owners
        return part_owners(part, earlier, activities, self._rules.configured_gpus, tracer)

    def _book_energy(
        self,
        journal: Journal,
        gpu: GpuReading,
        increase: EnergyIncrease,
        holdings: Sequence[Holding],
        increases: Mapping[str, EngineIncrease],
    ) -> None:
        shares = {
            holding.engine: self._engines.model_shares(holding.engine, increases) for holding in holdings
        }
        for part in increase.parts:
            journal.energy(gpu, part, holdings, shares, estimated=self._rules.is_gap(part.span))

    def _book_utilization(self, journal: Journal, before: Moment, gpus: Iterable[GpuReading]) -> None:
        span = span_between(before, journal.moment)
        if self._rules.is_gap(span):
            return  # the samples at hand say nothing about time in which nobody looked
        for gpu in gpus:
            journal.utilization(gpu, span)

    # --- host power ----------------------------------------------------------------------------------------

    def _fold_host(
        self, journal: Journal, readings: Sequence[Reading], *, has_caught_up: bool, read_gpus: set[str]
    ) -> None:
        """Book what the machine drew beside its GPUs; after all that it is shared by."""
        present = () if self._machine is None else self._machine.gpu_uuids
        increase = host_increase(
            self._host,
            next((reading for reading in readings if isinstance(reading, HostReading)), None),
            TickUse(
                gpu_parts=journal.gpu_parts,
                owners=journal.owners,
                is_gpu_behind=not read_gpus.issuperset(present),
                has_caught_up=has_caught_up,
            ),
            rules=self._rules.host,
            longest_power_gap_seconds=self._rules.longest_power_gap_seconds,
            gap_after_seconds=self._rules.gap_after_seconds,
        )
        self._host = increase.cursor
        for told in increase.told:
            journal.event(told)
        if increase.gap is not None:
            journal.gap(HOST_KEY, increase.gap)
        if increase.part is not None:
            journal.host(increase.part)
        if self._host is not None:
            journal.cursor(HOST_KEY, self._host.stored())

    # --- time ----------------------------------------------------------------------------------------------

    def _book_time(
        self,
        journal: Journal,
        before: Moment,
        holdings: Mapping[str, Sequence[Holding]],
        activities: Mapping[str, Activity],
        increases: Mapping[str, EngineIncrease],
    ) -> None:
        span = span_between(before, journal.moment)
        unwatched = self._rules.is_gap(span)
        if unwatched:
            journal.gap(AGENT, span)
        if span.stepped_seconds:
            journal.event(narration.clock_stepped(span))
        shared = self._time_shares(holdings, activities)
        shares = {engine: self._engines.model_shares(engine, increases) for engine, _ in shared}
        off, up = split_at_boot(span, before, journal.moment)
        for part, is_down in ((off, True), (up, False)):
            if part is not None:
                journal.time(part, shared, shares, estimated=unwatched, is_down=is_down)

    def _time_shares(
        self, holdings: Mapping[str, Sequence[Holding]], activities: Mapping[str, Activity]
    ) -> dict[tuple[str, State], float]:
        """Return how the machine's time is shared: each GPU an equal part, without GPUs each engine."""
        owners = self.gpu_owners
        if not owners:
            return engine_time_shares(activities)
        shared: dict[tuple[str, State], float] = {}
        for uuid, held_before in owners.items():
            unread = tuple(owner for owner in held_before if owner in activities)
            for holding in holdings.get(uuid) or unread_holdings(unread, activities):
                key = (holding.engine, holding.state)
                shared[key] = shared.get(key, 0.0) + holding.seconds_share / len(owners)
        return shared
