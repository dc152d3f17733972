"""What is held against a meter: that it stands still, says less than its GPUs draw, or has them unread."""

from collections.abc import Mapping, Sequence

from msgspec import Struct, field
from msgspec.structs import replace

from evenwatt.ledger.energy import EnergyPart
from evenwatt.ledger.host_cursor import HostCursor, MeterCheck, Owner, SteadyPower
from evenwatt.ledger.meters import Metered
from evenwatt.ledger.spans import span_between
from evenwatt.model import HostReading

__all__ = ["TickUse", "checked", "compared", "watched"]

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


class TickUse(Struct, frozen=True, kw_only=True):
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


def watched(cursor: HostCursor, reading: HostReading, tick: TickUse, found: Metered) -> HostCursor:
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


def compared(cursor: HostCursor) -> MeterCheck:
    """Return the comparison of meter and GPUs with what is pending taken in."""
    check = cursor.check
    return replace(
        check,
        meter_joules=check.meter_joules + cursor.meter_joules,
        gpu_joules=check.gpu_joules + cursor.gpu_joules,
        seconds=check.seconds + cursor.measured_seconds,
    )


def checked(cursor: HostCursor) -> HostCursor:
    """Return the cursor with meter and GPUs compared, once there is enough to compare."""
    window = compared(cursor)
    if not cursor.covers.contains_gpus or cursor.has_caught_up or cursor.has_unknown_gpus:
        return replace(cursor, check=MeterCheck(is_parted=cursor.check.is_parted))
    if window.seconds < _CHECK_SECONDS:
        return replace(cursor, check=window)
    is_parted = window.meter_joules < max(window.gpu_joules, _LEAST_WATTS * window.seconds)
    # What a meter of another unit or scope seems to owe would swallow host energy for ever.
    debt = 0.0 if is_parted else cursor.debt_joules
    return replace(cursor, check=MeterCheck(is_parted=is_parted), debt_joules=debt)
