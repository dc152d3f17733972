"""Host power as views show it, and with it what the whole machine draws."""

from collections.abc import Iterable

from msgspec import Struct

from evenwatt.economics.sums import whole_sum
from evenwatt.model import GpuReading

__all__ = ["CalibrationView", "HostView", "machine_watts"]


class CalibrationView(Struct, frozen=True, kw_only=True):
    """How the GPU sensors compared with a wall meter, when that was last measured.

    Attributes:
        factor: Energy at the wall for each joule of the sensors.
        is_applied: Whether it counts now.
    """

    utc_seconds: float
    factor: float
    standard_error: float
    r_squared: float
    is_applied: bool


class HostView(Struct, frozen=True, kw_only=True):
    """What the machine draws beside its GPUs, and who tells.

    Attributes:
        source: None: nothing does.
        meter: Which one; empty where there is none.
        covers: What it measures: `wall`, `board`, `cpu`, `rest`.
        reason: Why this one and no better one, or why there is none.
        meter_watts: As it tells power itself; None where it was not read or only counts.
        host_watts: Without the GPUs, over the last stretch that was booked.
    """

    source: str | None = None
    meter: str = ""
    covers: str | None = None
    reason: str = ""
    meter_watts: float | None = None
    host_watts: float | None = None
    calibration: CalibrationView | None = None


def machine_watts(gpus: Iterable[GpuReading], host: HostView) -> float | None:
    """Return what the machine draws now: all GPUs, and what is beside them where something tells that.

    None where nothing is measured, or one of the GPUs does not tell.
    """
    watts = [gpu.power_watts for gpu in gpus]
    watts += [] if host.host_watts is None else [host.host_watts]
    return whole_sum(watts) if watts else None
