"""From two readings of a source of host power to the energy between them.

Counters are subtracted here, and where there is none power is joined by lines. What the energy is of, and
whose it is, is decided by `host`.
"""

from collections.abc import Mapping
from enum import StrEnum, auto
from itertools import pairwise

from msgspec import Struct
from msgspec.structs import replace

from evenwatt.ledger.host_cursor import HostCursor
from evenwatt.ledger.spans import span_between
from evenwatt.model import EnergyCounter, HostReading, Moment

__all__ = ["Flaw", "Metered", "first_reading", "metered"]

_PLAUSIBLE_FACTOR = 1.5
_PLAUSIBLE_SLACK_JOULES = 4_000.0
"""Above the step of a meter that counts in thousandths of a kWh."""


class Flaw(StrEnum):
    """What kept an increase from being counted as it is."""

    RESET = auto()
    """The counter began anew; the new value is counted from there."""
    REFUSED = auto()
    """The counter jumped by more than the machine can draw."""
    WENT_ROUND = auto()
    """Nobody looked for so long that the counter may have gone round more than once."""


class Metered(Struct, frozen=True, kw_only=True):
    """What a source measured since its last reading.

    Attributes:
        cursor: With the increase in `meter_joules`; where `accounted` and `since` moved on, what lies before
            is not known.
        has_moved: Whether anything was measured.
        joules: That did not count, where it was refused.
    """

    cursor: HostCursor
    has_moved: bool = False
    flaw: Flaw | None = None
    joules: float = 0.0


def first_reading(reading: HostReading) -> HostCursor:
    """Return the baseline that a source begins with: nothing it counted before is booked."""
    newest = reading.power_samples[-1] if reading.power_samples else None
    return HostCursor(
        source=reading.source,
        meter=reading.meter,
        covers=reading.covers,
        since=reading.moment,
        accounted=reading.moment,
        moved=reading.moment,
        seen=reading.moment,
        signals=dict(reading.epoch.signals),
        counters=_values(reading),
        last_power=newest,
    )


def metered(cursor: HostCursor, reading: HostReading, *, longest_power_gap_seconds: float) -> Metered:
    """Return what a source measured between its last reading and this one."""
    if cursor.counters.keys() != _values(reading).keys():
        return Metered(cursor=first_reading(reading))
    if not reading.counters:
        return _integrated(cursor, reading, longest_power_gap_seconds)
    booted = _new_boot(cursor, reading)
    if booted is not None:
        return _counted_since(cursor, reading, booted)
    return _counted(cursor, reading)


def _values(reading: HostReading) -> dict[str, float]:
    return {counter.name: counter.energy_joules for counter in reading.counters}


def _anew(cursor: HostCursor, reading: HostReading, since: Moment) -> HostCursor:
    """Return the cursor with all that is pending dropped: it goes on from a moment."""
    return replace(
        cursor,
        since=since,
        accounted=since,
        moved=since,
        seen=reading.moment,
        signals=dict(reading.epoch.signals),
        counters=_values(reading),
        has_moved=False,
        meter_joules=0.0,
        measured_seconds=0.0,
        gpu_joules=0.0,
        debt_joules=0.0,
        owners={},
        is_doubted=False,
    )


# --- counters ----------------------------------------------------------------------------------------------


def _counted(cursor: HostCursor, reading: HostReading) -> Metered:
    values = _values(reading)
    unseen = span_between(cursor.seen, reading.moment).length_seconds
    if any(_may_have_gone_round(counter, unseen) for counter in reading.counters):
        return Metered(cursor=_anew(cursor, reading, reading.moment), flaw=Flaw.WENT_ROUND)
    if values == cursor.counters:
        return Metered(cursor=replace(cursor, seen=reading.moment, is_doubted=False))
    # A meter that counts in steps stood still since it last moved: the step is of all that time.
    length = span_between(cursor.moved, reading.moment).length_seconds
    flaw, joules = _increase(cursor.counters, reading.counters, length)
    if flaw is not None and not cursor.is_doubted:
        # One value that does not fit may be a glitch, and a cursor moved onto it would take the next for one.
        return Metered(cursor=replace(cursor, is_doubted=True))
    if flaw is Flaw.REFUSED:
        return Metered(cursor=_anew(cursor, reading, reading.moment), flaw=flaw, joules=joules)
    is_fine = any(counter.range_joules is not None for counter in reading.counters)
    if not cursor.has_moved and cursor.seen != cursor.moved and flaw is None and not is_fine:
        # It moves in steps, and its first one began before anybody looked.
        return Metered(cursor=replace(_anew(cursor, reading, reading.moment), has_moved=True))
    return Metered(cursor=_added(cursor, reading, joules, length), has_moved=True, flaw=flaw)


def _counted_since(cursor: HostCursor, reading: HostReading, began: Moment) -> Metered:
    """Return what counters that began with a new boot have counted since."""
    length = span_between(began, reading.moment).length_seconds
    joules = sum(counter.energy_joules for counter in reading.counters)
    anew = _anew(cursor, reading, reading.moment)
    if any(_may_have_gone_round(counter, length) for counter in reading.counters):
        return Metered(cursor=anew, flaw=Flaw.WENT_ROUND)
    if joules > _most_joules(reading.counters, length):
        return Metered(cursor=anew, flaw=Flaw.REFUSED, joules=joules)
    begun = _anew(cursor, reading, began)
    return Metered(cursor=_added(begun, reading, joules, length), has_moved=True, flaw=Flaw.RESET)


def _new_boot(cursor: HostCursor, reading: HostReading) -> Moment | None:
    """Return when counters that live as long as a boot began anew; None where they count on."""
    now, signals = reading.moment, reading.epoch.signals
    if "boot" not in signals or signals.get("boot") == cursor.signals.get("boot"):
        return None
    age = now.boot_seconds - (reading.epoch.started_boot_seconds or 0.0)
    return replace(now, utc_seconds=now.utc_seconds - age, boot_seconds=now.boot_seconds - age)


def _added(cursor: HostCursor, reading: HostReading, joules: float, length_seconds: float) -> HostCursor:
    return replace(
        cursor,
        moved=reading.moment,
        seen=reading.moment,
        counters=_values(reading),
        has_moved=True,
        is_doubted=False,
        meter_joules=cursor.meter_joules + joules,
        measured_seconds=cursor.measured_seconds + length_seconds,
    )


def _may_have_gone_round(counter: EnergyCounter, length_seconds: float) -> bool:
    return counter.range_joules is not None and counter.most_watts * length_seconds > counter.range_joules


def _increase(
    before: Mapping[str, float], counters: tuple[EnergyCounter, ...], length_seconds: float
) -> tuple[Flaw | None, float]:
    joules, flaw = 0.0, None
    for counter in counters:
        rise = counter.energy_joules - before[counter.name]
        if rise < 0 and counter.range_joules is not None:
            rise += counter.range_joules
        elif rise < 0:
            flaw, rise = Flaw.RESET, counter.energy_joules
        joules += rise
    return (Flaw.REFUSED if joules > _most_joules(counters, length_seconds) else flaw), joules


def _most_joules(counters: tuple[EnergyCounter, ...], length_seconds: float) -> float:
    watts = sum(counter.most_watts for counter in counters)
    return _PLAUSIBLE_FACTOR * watts * length_seconds + _PLAUSIBLE_SLACK_JOULES


# --- power -------------------------------------------------------------------------------------------------


def _integrated(cursor: HostCursor, reading: HostReading, longest_gap_seconds: float) -> Metered:
    now = reading.moment
    is_this_boot = cursor.seen.boot_id == now.boot_id
    earlier = (cursor.last_power,) if cursor.last_power is not None and is_this_boot else ()
    samples = earlier + reading.power_samples
    if not samples:
        return Metered(cursor=replace(cursor, seen=now))
    pairs = list(pairwise(samples))
    gaps = [at for at, (a, b) in enumerate(pairs) if b.boot_seconds - a.boot_seconds > longest_gap_seconds]
    if gaps or not earlier:
        # What was drawn in a hole is not known, and what GPUs drew in it must not be taken from the rest.
        first = samples[gaps[-1] + 1] if gaps else samples[0]
        begin = _at(first.boot_seconds, now)
        cursor = _anew(cursor, reading, begin)
        pairs = pairs[gaps[-1] + 1 :] if gaps else pairs
    joules = sum((a.power_watts + b.power_watts) / 2 * (b.boot_seconds - a.boot_seconds) for a, b in pairs)
    length = sum(b.boot_seconds - a.boot_seconds for a, b in pairs)
    after = replace(_added(cursor, reading, joules, length), last_power=samples[-1])
    return Metered(cursor=after, has_moved=length > 0)


def _at(boot_seconds: float, now: Moment) -> Moment:
    age = now.boot_seconds - boot_seconds
    return replace(now, utc_seconds=now.utc_seconds - age, boot_seconds=boot_seconds)
