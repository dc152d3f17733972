"""What the machine draws beside its GPUs: from what a source measured to the energy that is booked, once.

A meter that contains the GPUs has what they drew by their own counters taken out; as the two are never read
at one instant, what comes out too low is owed by what follows, and negative energy is never booked.
"""

from collections.abc import Iterable, Mapping

from msgspec import Struct
from msgspec.structs import replace

from evenwatt.ledger import host_narration
from evenwatt.ledger.host_cursor import HostCursor, Owner
from evenwatt.ledger.meter_faults import TickUse, checked, compared, watched
from evenwatt.ledger.meters import first_reading, metered
from evenwatt.ledger.narration import Told
from evenwatt.ledger.spans import Span, span_between
from evenwatt.model import DEFAULT_MODEL, UNALLOCATED, Coverage, HostReading, Moment, State

__all__ = ["HostIncrease", "HostPart", "HostRules", "host_increase"]


class HostRules(Struct, frozen=True, kw_only=True):
    """What has to be known beside readings to tell host energy.

    Attributes:
        supply_efficiency: Of the power supply: what is measured behind it is divided by this.
        rest_watts: What a source of `Coverage.CPU` does not see: board, fans, disks.
        gpu_factor: Energy at the wall for each joule of the GPU sensors, as calibrated; None: by efficiency.
    """

    supply_efficiency: float = 1.0
    rest_watts: float = 0.0
    gpu_factor: float | None = None


class HostPart(Struct, frozen=True, kw_only=True):
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


class HostIncrease(Struct, frozen=True, kw_only=True):
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
    after = watched(_with_tick(found.cursor, tick), reading, tick, found)
    after = replace(after, is_estimated=cursor.is_estimated or is_gap or cursor.is_frozen)
    told += _changes(cursor, after)
    part = None
    if found.has_moved and not after.is_frozen and (after.waiting_since is None or after.has_unknown_gpus):
        compared_now = checked(after)
        if compared_now.check.is_parted != after.check.is_parted:
            told.append(host_narration.meter_check(compared_now, compared(after)))
        part, after = _settled(compared_now, rules)
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
    return replace(
        cursor,
        gpu_joules=cursor.gpu_joules + drawn,
        owners=owners,
        has_caught_up=cursor.has_caught_up or tick.has_caught_up,
    )


def _share_after(span: Span, moment: Moment) -> float:
    """Return which share of a span lies after a moment."""
    covered = span.end_utc_seconds - span.start_utc_seconds
    if covered <= 0:
        return 1.0
    return min(max((span.end_utc_seconds - moment.utc_seconds) / covered, 0.0), 1.0)


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
        has_caught_up=False,
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
