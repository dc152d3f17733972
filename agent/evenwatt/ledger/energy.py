"""From two readings of a GPU to the energy between them: the only place where its counter is subtracted.

The driver's counter is preferred; a GPU without one has its power integrated by the trapezoid rule. The two
are never mixed for one GPU.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise

from evenwatt.ledger.cursors import GpuCursor
from evenwatt.ledger.spans import Span, span_between
from evenwatt.model import GpuReading, Moment, PowerSample

__all__ = ["CrossCheck", "EnergyIncrease", "EnergyPart", "energy_increase"]

_PLAUSIBLE_LIMIT_FACTOR = 1.5
_PLAUSIBLE_SLACK_JOULES = 2_000.0
_UNKNOWN_LIMIT_WATTS = 2_000.0
"""No single card draws more; used where the driver tells no limit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EnergyPart:
    """Energy that was drawn over one span."""

    span: Span
    energy_joules: float


@dataclass(frozen=True, slots=True, kw_only=True)
class EnergyIncrease:
    """What a GPU drew since its last reading.

    Attributes:
        parts: Nothing at a first sight and where the energy is unknown.
        counter_was_reset: The driver was reloaded or the GPU reset; the new value is counted from there.
        refused_joules: A jump that the card cannot have drawn; it is not counted.
        power_integral_joules: The sampled power over `power_seconds`, to check the counter against.
    """

    parts: tuple[EnergyPart, ...]
    cursor: GpuCursor
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
    lines = _trapezoids(cursor, reading, longest_power_gap_seconds)
    integral = sum(line.energy_joules for line in lines)
    seconds = sum(line.span.length_seconds for line in lines)
    after = _advanced(cursor, reading)
    if not reading.has_energy_counter:
        return EnergyIncrease(
            parts=tuple(lines), cursor=after, power_integral_joules=integral, power_seconds=seconds
        )
    if reading.energy_joules is None:
        return EnergyIncrease(parts=(), cursor=after)
    counted = _counted(cursor, reading, reading.energy_joules, watching_since)
    return replace(
        counted,
        cursor=replace(after, moment=reading.moment, energy_joules=reading.energy_joules),
        power_integral_joules=integral,
        power_seconds=seconds,
    )


def _counted(
    cursor: GpuCursor | None, reading: GpuReading, energy_joules: float, watching_since: Moment
) -> EnergyIncrease:
    now = reading.moment
    booted = Moment(utc_seconds=now.utc_seconds - now.boot_seconds, boot_seconds=0.0, boot_id=now.boot_id)
    before, since, was_reset = 0.0, booted, False
    if cursor is None or cursor.moment is None or cursor.energy_joules is None:
        if booted.boot_id == watching_since.boot_id:
            return EnergyIncrease(parts=(), cursor=_advanced(cursor, reading))
    elif cursor.moment.boot_id != now.boot_id:
        # A counter of an earlier boot is gone; this one began with this boot, or with the driver later on.
        was_reset = True
        if cursor.moment.utc_seconds > booted.utc_seconds:
            since = cursor.moment
    elif energy_joules < cursor.energy_joules:
        was_reset, since = True, cursor.moment
    else:
        before, since = cursor.energy_joules, cursor.moment
    span = span_between(since, now)
    joules = energy_joules - before
    if joules > _plausible_joules(reading, span):
        return EnergyIncrease(parts=(), cursor=_advanced(cursor, reading), refused_joules=joules)
    return EnergyIncrease(
        parts=(EnergyPart(span=span, energy_joules=joules),),
        cursor=_advanced(cursor, reading),
        counter_was_reset=was_reset,
    )


def _plausible_joules(reading: GpuReading, span: Span) -> float:
    limit = reading.power_limit_watts or _UNKNOWN_LIMIT_WATTS
    return _PLAUSIBLE_LIMIT_FACTOR * limit * span.length_seconds + _PLAUSIBLE_SLACK_JOULES


def _trapezoids(
    cursor: GpuCursor | None, reading: GpuReading, longest_gap_seconds: float
) -> list[EnergyPart]:
    samples = list(reading.power_samples)
    if cursor is not None and cursor.last_power and cursor.last_power_boot_id == reading.moment.boot_id:
        samples.insert(0, cursor.last_power)
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
    newest = reading.power_samples[-1] if reading.power_samples else None
    if cursor is None:
        cursor = GpuCursor(
            uuid=reading.uuid,
            index=reading.index,
            name=reading.name,
            has_energy_counter=reading.has_energy_counter,
        )
    return replace(
        cursor,
        index=reading.index,
        name=reading.name,
        has_energy_counter=reading.has_energy_counter,
        last_power=newest or cursor.last_power,
        last_power_boot_id=reading.moment.boot_id if newest else cursor.last_power_boot_id,
    )


class CrossCheck:
    """Compares each GPU's energy counter with its integrated power while it is busy.

    On an idle GPU the two are known to part without a fault (up to 1.7 times), so only busy time is compared.
    """

    def __init__(self, *, over_seconds: float, tolerance_ratio: float, busy_ratio: float) -> None:
        self._over_seconds = over_seconds
        self._tolerance_ratio = tolerance_ratio
        self._busy_ratio = busy_ratio
        self._sums: dict[str, tuple[float, float, float]] = {}
        self._ratios: dict[str, float] = {}
        self._parted: set[str] = set()

    @property
    def ratios(self) -> Mapping[str, float]:
        """Counter over integrated power by GPU UUID, of the last finished comparison."""
        return dict(self._ratios)

    def changed(self, reading: GpuReading, increase: EnergyIncrease) -> bool | None:
        """Take one increase in; return True where the two part from now on, False where they agree again."""
        counted = sum(part.energy_joules for part in increase.parts)
        busy = (reading.utilization_ratio or 0.0) >= self._busy_ratio
        if not reading.has_energy_counter or not busy or not counted or not increase.power_seconds:
            return None
        length = sum(part.span.length_seconds for part in increase.parts)
        # Samples that were missed would make the integral too small; only compare what both cover.
        covered = counted * min(1.0, increase.power_seconds / length) if length else counted
        by_counter, by_power, seconds = self._sums.get(reading.uuid, (0.0, 0.0, 0.0))
        by_counter += covered
        by_power += increase.power_integral_joules
        seconds += increase.power_seconds
        if seconds < self._over_seconds or by_power <= 0:
            self._sums[reading.uuid] = (by_counter, by_power, seconds)
            return None
        self._sums.pop(reading.uuid, None)
        ratio = self._ratios[reading.uuid] = by_counter / by_power
        parted = abs(ratio - 1.0) > self._tolerance_ratio
        if parted == (reading.uuid in self._parted):
            return None
        (self._parted.add if parted else self._parted.discard)(reading.uuid)
        return parted
