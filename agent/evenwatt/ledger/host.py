"""What the machine draws beside its GPUs: from what a source measured to the energy that is booked, once.

A meter that contains the GPUs has what they drew by their own counters taken out; as the two are never read
at one instant, what comes out too low is owed by what follows, and negative energy is never booked.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from evenwatt.ledger import host_narration
from evenwatt.ledger.energy import EnergyPart
from evenwatt.ledger.host_cursor import HostCursor, MeterCheck, Owner, SteadyPower
from evenwatt.ledger.meters import Metered, first_reading, metered
from evenwatt.ledger.narration import Told
from evenwatt.ledger.spans import Span, span_between
from evenwatt.model import DEFAULT_MODEL, UNALLOCATED, Coverage, HostReading, Moment, State

__all__ = ["HostIncrease", "HostPart", "HostRules", "TickUse", "host_increase"]

_CHECK_SECONDS = 300.0
_GPU_PATIENCE_SECONDS = 300.0
"""How long host energy waits for the energy of a GPU that is not read."""

_FROZEN_SECONDS = 900.0
_COARSEST_STEP_JOULES = 400_000.0
"""A tenth of a kWh, and a little: the coarsest step of a meter that is no fault."""
_FROZEN_FOR_SURE_SECONDS = 3 * 3_600.0
_FROZEN_GPU_WATTS = 50.0
_LEAST_WATTS = 1.0
"""No server draws less: a meter that says so has another unit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostRules:
    """What has to be known beside readings to tell host energy.

    Attributes:
        supply_efficiency: Of the power supply: what is measured behind it is divided by this.
        rest_watts: What a source of `Coverage.CPU` does not see: board, fans, disks.
        gpu_factor: Energy at the wall for each joule of the GPU sensors, as calibrated; None: by efficiency.
    """

    supply_efficiency: float = 1.0
    rest_watts: float = 0.0
    gpu_factor: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TickUse:
    """What the rest of the ledger booked in this tick.

    Attributes:
        gpu_parts: Of all GPUs.
        owners: Joules and seconds by whom they were booked to.
        is_gpu_behind: The energy of a GPU is not known up to now.
        has_caught_up: A GPU told of more time than a tick.
    """

    gpu_parts: Sequence[EnergyPart] = ()
    owners: Mapping[Owner, tuple[float, float]] = field(default_factory=dict)
    is_gpu_behind: bool = False
    has_caught_up: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class HostPart:
    """Host energy to be booked.

    Attributes:
        measured_seconds: Of the span.
        shares: By owner; they add up to 1.
    """

    source: str
    span: Span
    energy_joules: float
    measured_seconds: float
    shares: Mapping[Owner, float]
    estimated: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class HostIncrease:
    """What became of one tick.

    Attributes:
        part: None where there is nothing to book yet.
        gap: Time in which nobody looked at a meter that counted on.
        told: Events.
    """

    cursor: HostCursor | None
    part: HostPart | None = None
    gap: Span | None = None
    told: tuple[Told, ...] = ()


def host_increase(
    cursor: HostCursor | None,
    reading: HostReading | None,
    tick: TickUse,
    *,
    rules: HostRules,
    longest_power_gap_seconds: float,
    gap_after_seconds: float,
) -> HostIncrease:
    """Return the host energy that can be booked with a tick.

    Args:
        cursor: Where the source stood; None before the first.
        reading: What it says; None where it was not read.
        tick: What the GPUs drew, and whose the tick was.
        rules: As configured.
        longest_power_gap_seconds: How far apart two power samples may lie and still be joined by a line.
        gap_after_seconds: An interval longer than this was not watched.
    """
    if reading is None:
        return HostIncrease(cursor=None if cursor is None else _with_tick(cursor, tick))
    if cursor is None or _identity(cursor) != (reading.source, reading.meter, reading.covers):
        return HostIncrease(cursor=first_reading(reading), told=(host_narration.source(reading),))
    found = metered(cursor, reading, longest_power_gap_seconds=longest_power_gap_seconds)
    told = [] if found.flaw is None else [host_narration.counter_flaw(reading, found)]
    unseen = span_between(cursor.seen, reading.moment)
    is_gap = unseen.length_seconds > gap_after_seconds and found.cursor.since == cursor.since
    after = _watched(_with_tick(found.cursor, tick), reading, tick, found)
    after = replace(after, is_estimated=cursor.is_estimated or is_gap or cursor.is_frozen)
    told += _changes(cursor, after)
    part = None
    if found.has_moved and not after.is_frozen and (after.waiting_since is None or after.has_unknown_gpus):
        checked = _checked(after, tick)
        if checked.check.is_parted != after.check.is_parted:
            told.append(host_narration.meter_check(checked, _window(after)))
        part, after = _settled(checked, rules)
    return HostIncrease(cursor=after, part=part, gap=unseen if is_gap else None, told=tuple(told))


def _changes(before: HostCursor, after: HostCursor) -> list[Told]:
    told = []
    if after.is_frozen != before.is_frozen:
        told.append(host_narration.stands_still(after))
    if after.has_unknown_gpus != before.has_unknown_gpus:
        told.append(host_narration.gpus_unknown(after))
    return told


def _identity(cursor: HostCursor) -> tuple[str, str, Coverage]:
    return cursor.source, cursor.meter, cursor.covers


def _with_tick(cursor: HostCursor, tick: TickUse) -> HostCursor:
    """Return the cursor with what the GPUs drew since it was taken on, and whose the tick was."""
    drawn = sum(part.energy_joules * _share_after(part.span, cursor.since) for part in tick.gpu_parts)
    owners = dict(cursor.owners)
    for owner, (joules, seconds) in tick.owners.items():
        before = owners.get(owner, (0.0, 0.0))
        owners[owner] = (before[0] + joules, before[1] + seconds)
    return replace(cursor, gpu_joules=cursor.gpu_joules + drawn, owners=owners)


def _share_after(span: Span, moment: Moment) -> float:
    """Return which share of a span lies after a moment."""
    covered = span.end_utc_seconds - span.start_utc_seconds
    if covered <= 0:
        return 1.0
    return min(max((span.end_utc_seconds - moment.utc_seconds) / covered, 0.0), 1.0)


# --- what is wrong with a meter ----------------------------------------------------------------------------


def _watched(cursor: HostCursor, reading: HostReading, tick: TickUse, found: Metered) -> HostCursor:
    """Return the cursor with what is to be held against the source and the GPUs."""
    is_behind = tick.is_gpu_behind and cursor.covers.contains_gpus
    waiting = (cursor.waiting_since or reading.moment) if is_behind else None
    waited = 0.0 if waiting is None else span_between(waiting, reading.moment).length_seconds
    cursor = replace(
        cursor, waiting_since=waiting, has_unknown_gpus=is_behind and waited >= _GPU_PATIENCE_SECONDS
    )
    if reading.counters:
        return replace(cursor, is_frozen=not found.has_moved and _stands_still(cursor, reading))
    return _watched_power(cursor, reading)


def _stands_still(cursor: HostCursor, reading: HostReading) -> bool:
    stood = span_between(cursor.moved, reading.moment).length_seconds
    expected = max((reading.power_watts or 0.0) * stood, cursor.gpu_joules)
    is_fine_grained = any(counter.range_joules is not None for counter in reading.counters)
    return stood >= _FROZEN_FOR_SURE_SECONDS or (
        stood >= _FROZEN_SECONDS and (is_fine_grained or expected > _COARSEST_STEP_JOULES)
    )


def _watched_power(cursor: HostCursor, reading: HostReading) -> HostCursor:
    """Return the cursor with the time that power stayed the same to the last digit."""
    levels = {sample.power_watts for sample in reading.power_samples}
    steady = cursor.steady
    if cursor.waiting_since is not None:
        return cursor
    if len(levels) != 1 or not cursor.covers.contains_gpus:
        return replace(cursor, steady=None, is_frozen=False)
    (watts,) = levels
    if steady is None or steady.power_watts != watts:
        return replace(cursor, steady=SteadyPower(power_watts=watts), is_frozen=False)
    length = cursor.measured_seconds
    seen = [w for w in (steady.lowest_gpu_watts, steady.highest_gpu_watts) if w is not None]
    seen += [cursor.gpu_joules / length] if length else []
    steady = SteadyPower(
        power_watts=watts,
        seconds=steady.seconds + length,
        lowest_gpu_watts=min(seen, default=None),
        highest_gpu_watts=max(seen, default=None),
    )
    varied = max(seen, default=0.0) - min(seen, default=0.0)
    is_frozen = steady.seconds >= _FROZEN_SECONDS and varied >= _FROZEN_GPU_WATTS
    cursor = replace(cursor, steady=steady, is_frozen=is_frozen)
    return _dropped(cursor) if is_frozen else cursor


def _dropped(cursor: HostCursor) -> HostCursor:
    """Return the cursor with what a frozen meter said left out."""
    return replace(
        cursor,
        since=cursor.seen,
        accounted=cursor.seen,
        meter_joules=0.0,
        measured_seconds=0.0,
        gpu_joules=0.0,
        owners={},
    )


def _window(cursor: HostCursor) -> MeterCheck:
    """Return the comparison of meter and GPUs with what is pending taken in."""
    check = cursor.check
    return replace(
        check,
        meter_joules=check.meter_joules + cursor.meter_joules,
        gpu_joules=check.gpu_joules + cursor.gpu_joules,
        seconds=check.seconds + cursor.measured_seconds,
    )


def _checked(cursor: HostCursor, tick: TickUse) -> HostCursor:
    """Return the cursor with meter and GPUs compared, once there is enough to compare."""
    window = _window(cursor)
    if not cursor.covers.contains_gpus or tick.has_caught_up or cursor.has_unknown_gpus:
        return replace(cursor, check=MeterCheck(is_parted=cursor.check.is_parted))
    if window.seconds < _CHECK_SECONDS:
        return replace(cursor, check=window)
    is_parted = window.meter_joules < max(window.gpu_joules, _LEAST_WATTS * window.seconds)
    # What a meter of another unit or scope seems to owe would swallow host energy for ever.
    debt = 0.0 if is_parted else cursor.debt_joules
    return replace(cursor, check=MeterCheck(is_parted=is_parted), debt_joules=debt)


# --- what is booked ----------------------------------------------------------------------------------------


def _settled(cursor: HostCursor, rules: HostRules) -> tuple[HostPart | None, HostCursor]:
    """Return what is booked of all that is pending, and the cursor after it."""
    due = _host_joules(cursor, rules) + cursor.debt_joules
    if cursor.check.is_parted:
        due = min(due, 0.0)
    part = HostPart(
        source=cursor.source,
        span=span_between(cursor.accounted, cursor.moved),
        energy_joules=max(due, 0.0),
        measured_seconds=cursor.measured_seconds,
        shares=_shares(cursor.owners),
        estimated=cursor.is_estimated,
    )
    settled = replace(
        cursor,
        accounted=cursor.moved,
        meter_joules=0.0,
        measured_seconds=0.0,
        gpu_joules=0.0,
        debt_joules=0.0 if cursor.check.is_parted else min(due, 0.0),
        owners={},
        is_estimated=False,
        mean_watts=part.energy_joules / part.measured_seconds if part.measured_seconds else None,
    )
    if cursor.check.is_parted:
        return None, replace(settled, mean_watts=None)
    return part, settled


def _host_joules(cursor: HostCursor, rules: HostRules) -> float:
    """Return the host's part of what was measured, at the wall; may be negative."""
    if cursor.covers is Coverage.WALL:
        return cursor.meter_joules - cursor.gpu_joules
    rest = rules.rest_watts * cursor.measured_seconds if cursor.covers is Coverage.CPU else 0.0
    own = (cursor.meter_joules + rest) / rules.supply_efficiency
    if cursor.covers is Coverage.BOARD:
        return own - cursor.gpu_joules
    factor = 1.0 / rules.supply_efficiency if rules.gpu_factor is None else rules.gpu_factor
    return own + (factor - 1.0) * cursor.gpu_joules


def _shares(owners: Mapping[Owner, tuple[float, float]]) -> dict[Owner, float]:
    """Return how host energy is shared: as GPU energy was, else as time was held."""
    for part in (0, 1):
        weights = {owner: values[part] for owner, values in owners.items() if values[part] > 0}
        total = sum(weights.values())
        if total > 0:
            return _normal(weights.items(), total)
    return {(UNALLOCATED, DEFAULT_MODEL, State.IDLE_EMPTY): 1.0}


def _normal(weights: Iterable[tuple[Owner, float]], total: float) -> dict[Owner, float]:
    return {owner: weight / total for owner, weight in weights}
