"""What the commands about meters do: each possible source once, and GPU sensors against a wall meter."""

from collections.abc import Iterator
from datetime import UTC, datetime

from msgspec import Struct, to_builtins

from evenwatt import clock
from evenwatt.config import Settings
from evenwatt.economics.sensor_fit import SensorFit, sensor_fit
from evenwatt.errors import EvenwattError, SourceError
from evenwatt.ledger.meters import first_reading, metered
from evenwatt.readings.host.meter import Meter
from evenwatt.readings.host.source import HostSource
from evenwatt.service.host.keeper import GPU_POWER, host_meters, own_meters
from evenwatt.sinks.history import CalibrationRow, history_beside

__all__ = ["Calibration", "MeterLine", "NotCalibrated", "calibrate_gpu_sensors", "read_meters"]

_LOOK_SECONDS = 1.0
_LONGEST_GAP_SECONDS = 30.0
_LEAST_R_SQUARED = 0.8
_METERS_WITH_GPUS = ("http", "prometheus", "ipmi", "hwmon", "simulated")
"""Sources that usually have the GPUs behind them, the more exact first."""


class NotCalibrated(EvenwattError):
    """A calibration tells nothing; the message says why, and what to do."""


class MeterLine(Struct, frozen=True, kw_only=True):
    """One possible source of host power, and what it says now.

    Attributes:
        watts: Over a second, as the ledger would count it; None where nothing was counted.
        fault: Why it does not work.
    """

    source: str
    meter: str
    covers: str
    watts: float | None = None
    fault: str | None = None


class Calibration(Struct, frozen=True, kw_only=True):
    """A line that was found, and of what."""

    source: str
    fit: SensorFit
    start_utc_seconds: float
    end_utc_seconds: float


def read_meters(settings: Settings) -> Iterator[MeterLine]:
    """Yield what each source says that is configured, or that this machine may have."""
    written = settings.host_power
    named = () if written.source in {"auto", "none"} else host_meters(written)
    own = own_meters(written.sysfs_path)
    for meter in (*named, *(meter for meter in own if meter.source not in {m.source for m in named})):
        yield _looked_at(meter, settings.sampling.deadline_seconds)


def _looked_at(meter: Meter, deadline_seconds: float) -> MeterLine:
    source = HostSource((meter,), deadline_seconds=deadline_seconds)
    line = MeterLine(source=meter.source, meter=meter.address, covers=meter.covers.value)
    try:
        first = source.read()
        if first.power_watts is not None:
            return _with_watts(line, first.power_watts)
        clock.sleep(_LOOK_SECONDS)
        found = metered(
            first_reading(first), source.read(), longest_power_gap_seconds=_LONGEST_GAP_SECONDS
        ).cursor
    except SourceError as error:
        return MeterLine(source=line.source, meter=line.meter, covers=line.covers, fault=str(error))
    finally:
        source.close()
    watts = found.meter_joules / found.measured_seconds if found.measured_seconds else None
    return _with_watts(line, watts)


def _with_watts(line: MeterLine, watts: float | None) -> MeterLine:
    return MeterLine(source=line.source, meter=line.meter, covers=line.covers, watts=watts)


def calibrate_gpu_sensors(settings: Settings, *, last_seconds: float) -> Calibration:
    """Compare GPU sensors with the meter that had them behind it, over a stretch of the history; keep it.

    Args:
        settings: Whose history, and which meter.
        last_seconds: How far back.

    Raises:
        NotCalibrated: There is no such meter, or it tells nothing.
        HistoryError: The history cannot be read or written.
    """
    now = clock.utc_seconds()
    written = settings.host_power
    if written.covers in {"cpu", "rest"}:
        raise NotCalibrated(
            f"host_power.covers is {written.covers}: a meter without the GPUs behind it cannot tell of them"
        )
    with history_beside(settings.history.path, may_write=True) as history:
        minutes = {
            source: history.power_minutes(source, since_utc_seconds=now - last_seconds)
            for source in _METERS_WITH_GPUS
        }
        source = next((source for source in _METERS_WITH_GPUS if minutes[source]), None)
        if source is None:
            raise NotCalibrated(
                "the history has no minute in which a meter had the GPUs behind it; set host_power to a wall "
                "meter (source: http), let the agent run with the GPUs idle and at work, and try again"
            )
        fit = sensor_fit([(minute.gpu_watts, minute.wall_watts) for minute in minutes[source]])
        if isinstance(fit, str):
            raise NotCalibrated(f"{source} meter: {fit}")
        if fit.r_squared < _LEAST_R_SQUARED or fit.factor <= 0:
            raise NotCalibrated(
                f"{source} meter: wall power does not follow GPU power (r² {fit.r_squared:.2f}, expected at "
                f"least {_LEAST_R_SQUARED}); something else on this machine draws much of it"
            )
        found = Calibration(
            source=source,
            fit=fit,
            start_utc_seconds=float(minutes[source][0].minute),
            end_utc_seconds=float(minutes[source][-1].minute + 60),
        )
        history.add_calibration(_row(found, now))
    return found


def _row(found: Calibration, now: float) -> CalibrationRow:
    stretch = (found.start_utc_seconds, found.end_utc_seconds)
    start, end = (datetime.fromtimestamp(at, UTC).isoformat() for at in stretch)
    return CalibrationRow(
        utc_seconds=now,
        kind=GPU_POWER,
        subject=found.source,
        result=to_builtins(found.fit),
        settings={"start": start, "end": end, "minutes": found.fit.points},
    )
