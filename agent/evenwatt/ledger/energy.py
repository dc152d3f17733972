"""From two readings of a GPU to the energy between them: the only place where its counter is subtracted.

The driver's counter is preferred; a GPU without one has its power integrated by the trapezoid rule. The two
are never mixed for one GPU.
"""

from itertools import pairwise

from msgspec import Struct
from msgspec.structs import replace

from evenwatt.ledger.cursors import CrossCheck, GpuCursor
from evenwatt.ledger.spans import Span, span_between
from evenwatt.model import GpuReading, Moment, PowerSample

__all__ = ["EnergyIncrease", "EnergyPart", "cross_checked", "energy_increase"]

_PLAUSIBLE_LIMIT_FACTOR = 1.5
_PLAUSIBLE_SLACK_JOULES = 2_000.0
_UNKNOWN_LIMIT_WATTS = 2_000.0
"""No single card draws more; used where the driver tells no limit."""

_UNCOVERED_RATIO = 0.2
"""Where samples miss more of an increase than this, or belong to another one, the two are not compared."""


class EnergyPart(Struct, frozen=True, kw_only=True):
    """Energy that was drawn over one span."""

    span: Span
    energy_joules: float


class EnergyIncrease(Struct, frozen=True, kw_only=True):
    """What a GPU drew since its last reading.

    Attributes:
        parts: Nothing at a first sight and where the energy is unknown.
        source_changed: It comes from integrated power and came from the counter before, or the other way.
        counter_was_reset: The driver was reloaded or the GPU reset; the new value is counted from there.
        refused_joules: A jump that the card cannot have drawn; it is not counted.
        power_integral_joules: The sampled power over `power_seconds`, to check the counter against.
    """

    parts: tuple[EnergyPart, ...]
    cursor: GpuCursor
    source_changed: bool = False
    counter_was_reset: bool = False
    refused_joules: float | None = None
    power_integral_joules: float = 0.0
    power_seconds: float = 0.0


def energy_increase(
    cursor: GpuCursor | None, reading: GpuReading, *, watching_since: Moment, longest_power_gap_seconds: float
) -> EnergyIncrease:
    """Return what a GPU drew between its last reading and this one.

    Args:
        cursor: Its last reading; None at first sight.
        reading: This reading.
        watching_since: The first moment of the history: a counter that began with a later boot counts from
            zero, an older one is only a baseline.
        longest_power_gap_seconds: How far apart two power samples may lie and still be joined by a line.
    """
    lines = _trapezoids(_earlier_sample(cursor, reading), reading, longest_power_gap_seconds)
    after = _advanced(cursor, reading)
    if not reading.has_energy_counter:
        # What is integrated now must not be counted again should the counter come to be known later.
        increase = EnergyIncrease(
            parts=tuple(lines), cursor=replace(after, moment=reading.moment, energy_joules=None)
        )
    elif reading.energy_joules is None:
        return EnergyIncrease(parts=(), cursor=after)
    else:
        after = replace(after, moment=reading.moment, energy_joules=reading.energy_joules, is_doubted=False)
        increase = _counted(cursor, reading, reading.energy_joules, watching_since, after)
    is_first = cursor is None or cursor.moment is None
    was_counted = cursor is not None and cursor.energy_joules is not None
    return replace(
        increase,
        source_changed=not is_first and was_counted != reading.has_energy_counter,
        power_integral_joules=sum(line.energy_joules for line in lines),
        power_seconds=sum(line.span.length_seconds for line in lines),
    )


def _counted(
    cursor: GpuCursor | None,
    reading: GpuReading,
    energy_joules: float,
    watching_since: Moment,
    after: GpuCursor,
) -> EnergyIncrease:
    now = reading.moment
    booted = Moment(utc_seconds=now.utc_seconds - now.boot_seconds, boot_seconds=0.0, boot_id=now.boot_id)
    before, since, was_reset = 0.0, booted, False
    if cursor is None or cursor.moment is None:
        if now.boot_id == watching_since.boot_id:
            return EnergyIncrease(parts=(), cursor=after)
    elif cursor.moment.boot_id != now.boot_id:
        # A counter of an earlier boot is gone; this one began with this boot, or with the driver later on.
        was_reset = cursor.energy_joules is not None
        since = max(booted, cursor.moment, key=lambda moment: moment.utc_seconds)
    elif cursor.energy_joules is None:
        return EnergyIncrease(parts=(), cursor=after)
    elif energy_joules < cursor.energy_joules:
        was_reset, since = True, cursor.moment
    else:
        before, since = cursor.energy_joules, cursor.moment
    span = span_between(since, now)
    joules = energy_joules - before
    is_refused = joules > _plausible_joules(reading, span)
    if (was_reset or is_refused) and cursor is not None and _is_doubtful(cursor, reading):
        # One value that does not fit may be a glitch, and a cursor moved onto it would take the next for one.
        held = replace(after, moment=cursor.moment, energy_joules=cursor.energy_joules, is_doubted=True)
        return EnergyIncrease(parts=(), cursor=held)
    if is_refused:
        return EnergyIncrease(parts=(), cursor=after, refused_joules=joules)
    part = EnergyPart(span=span, energy_joules=joules)
    return EnergyIncrease(parts=(part,), cursor=after, counter_was_reset=was_reset)


def _is_doubtful(cursor: GpuCursor, reading: GpuReading) -> bool:
    """Return whether a value that does not fit has to be seen twice: nothing else speaks of a new counter."""
    is_this_boot = cursor.moment is not None and cursor.moment.boot_id == reading.moment.boot_id
    return is_this_boot and not cursor.is_doubted


def _plausible_joules(reading: GpuReading, span: Span) -> float:
    limit = reading.power_limit_watts or _UNKNOWN_LIMIT_WATTS
    return _PLAUSIBLE_LIMIT_FACTOR * limit * span.length_seconds + _PLAUSIBLE_SLACK_JOULES


def _earlier_sample(cursor: GpuCursor | None, reading: GpuReading) -> PowerSample | None:
    """Return the sample that the trapezoid goes on from: of this boot, and not within what was counted."""
    if cursor is None or cursor.last_power_boot_id != reading.moment.boot_id:
        return None
    was_counted = cursor.energy_joules is not None
    return None if was_counted and not reading.has_energy_counter else cursor.last_power


def _trapezoids(
    earlier: PowerSample | None, reading: GpuReading, longest_gap_seconds: float
) -> list[EnergyPart]:
    samples = reading.power_samples if earlier is None else (earlier, *reading.power_samples)
    parts = []
    for before, after in pairwise(samples):
        length = after.boot_seconds - before.boot_seconds
        if 0.0 < length <= longest_gap_seconds:
            span = span_between(_at(before, reading.moment), _at(after, reading.moment))
            mean = (before.power_watts + after.power_watts) / 2
            parts.append(EnergyPart(span=span, energy_joules=mean * length))
    return parts


def _at(sample: PowerSample, now: Moment) -> Moment:
    age = now.boot_seconds - sample.boot_seconds
    return Moment(utc_seconds=now.utc_seconds - age, boot_seconds=sample.boot_seconds, boot_id=now.boot_id)


def _advanced(cursor: GpuCursor | None, reading: GpuReading) -> GpuCursor:
    """Return the cursor with what this reading tells beside the energy counter."""
    cursor = cursor or GpuCursor(uuid=reading.uuid, index=reading.index, name=reading.name)
    newest = reading.power_samples[-1] if reading.power_samples else cursor.last_power
    boot_id = reading.moment.boot_id if reading.power_samples else cursor.last_power_boot_id
    return replace(
        cursor,
        index=reading.index,
        name=reading.name,
        fault=reading.fault,
        last_power=newest,
        last_power_boot_id=boot_id,
    )


def cross_checked(
    check: CrossCheck,
    reading: GpuReading,
    increase: EnergyIncrease,
    *,
    over_seconds: float,
    tolerance_ratio: float,
    busy_ratio: float,
) -> CrossCheck:
    """Return the comparison of energy counter and integrated power with one increase taken in.

    On an idle GPU the two are known to part without a fault (up to 1.7 times), so only busy time is compared.

    Args:
        check: As it stood.
        reading: What the GPU said.
        increase: What it drew by that.
        over_seconds: Busy time that makes a comparison.
        tolerance_ratio: How far from 1 the ratio may lie.
        busy_ratio: The utilization from which a GPU counts as busy.
    """
    is_busy = (reading.utilization_ratio or 0.0) >= busy_ratio
    length = sum(part.span.length_seconds for part in increase.parts)
    uncovered = abs(increase.power_seconds - length)
    if not reading.has_energy_counter or not is_busy or uncovered >= _UNCOVERED_RATIO * length:
        return check
    counted = sum(part.energy_joules for part in increase.parts) * increase.power_seconds / length
    counted += check.counter_joules
    integrated = check.power_joules + increase.power_integral_joules
    seconds = check.seconds + increase.power_seconds
    if seconds < over_seconds or not integrated:
        return replace(check, counter_joules=counted, power_joules=integrated, seconds=seconds)
    ratio = counted / integrated
    return CrossCheck(ratio=ratio, is_parted=abs(ratio - 1.0) > tolerance_ratio)
