"""Where host power comes from: what the configuration names, or the best that this machine has."""

import logging
import queue
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from evenwatt.config import Settings
from evenwatt.config.host import HostPower
from evenwatt.errors import SourceError
from evenwatt.ledger import HostRules
from evenwatt.ledger.host_cursor import HostCursor
from evenwatt.model import Assumption, Coverage, HostReading, Reading
from evenwatt.readings.host.fixed import FixedMeter
from evenwatt.readings.host.hwmon import HwmonMeter
from evenwatt.readings.host.ipmi import IpmiMeter
from evenwatt.readings.host.meter import Meter
from evenwatt.readings.host.rapl import RaplMeter
from evenwatt.readings.host.source import HostSource
from evenwatt.readings.source import Source
from evenwatt.service.host.assumptions import host_assumptions
from evenwatt.service.workers import Crew
from evenwatt.sinks.history import CalibrationRow
from evenwatt.snapshot import CalibrationView, HostView

__all__ = ["GPU_POWER", "HostKeeper", "host_meters", "own_meters"]

_log = logging.getLogger("evenwatt")

GPU_POWER = "gpu_power"
"""The kind under which calibrations of the GPU sensors are kept."""


def host_meters(written: HostPower) -> tuple[Meter, ...]:
    """Return the meters that a configuration names, or that a machine may have, best first."""
    covers = None if written.covers is None else Coverage(written.covers)
    sysfs = written.sysfs_path
    match written.source:
        case "auto":
            return own_meters(sysfs)
        case "rapl":
            return (RaplMeter(sysfs),)
        case "hwmon":
            return (HwmonMeter(sysfs, written.hwmon_chip, covers or Coverage.BOARD),)
        case "ipmi":
            return (IpmiMeter(covers or Coverage.BOARD),)
        case "fixed":
            return (FixedMeter(written.watts or 0.0),)
        case "http" | "prometheus":
            return (_web_meter(written, covers or Coverage.WALL),)
        case "none":
            return ()


def own_meters(sysfs: Path) -> tuple[Meter, ...]:
    """Return the meters that a machine may have by itself, best first."""
    return IpmiMeter(), HwmonMeter(sysfs), RaplMeter(sysfs)


def _web_meter(written: HostPower, covers: Coverage) -> Meter:
    # Imported here because few machines have one, and the agent's memory is budgeted.
    from evenwatt.readings.host.homeassistant import HomeAssistantMeter  # noqa: PLC0415
    from evenwatt.readings.host.jsonmeter import JsonMeter, Place  # noqa: PLC0415
    from evenwatt.readings.host.prometheus import PrometheusMeter  # noqa: PLC0415
    from evenwatt.readings.host.shelly import ShellyMeter  # noqa: PLC0415
    from evenwatt.readings.host.tasmota import TasmotaMeter  # noqa: PLC0415
    from evenwatt.readings.host.web import Login  # noqa: PLC0415

    login = Login(
        user=written.user,
        password=None if written.password is None else written.password.get_secret_value(),
        token=None if written.token is None else written.token.get_secret_value(),
    )
    url, channel = written.url or "", None if written.channel is None else int(written.channel)
    if written.source == "prometheus":
        return PrometheusMeter(url, query=written.query or "", unit=written.unit, covers=covers, login=login)
    match written.kind:
        case "shelly":
            return ShellyMeter(url, channel=channel or 0, covers=covers, login=login)
        case "tasmota":
            return TasmotaMeter(url, channel=channel, covers=covers, login=login)
        case "homeassistant":
            return HomeAssistantMeter(url, entity=written.entity or "", covers=covers, login=login)
        case _:
            energy_unit = written.energy_unit or ""
            return JsonMeter(
                url,
                power=Place(path=written.power_path, unit=written.power_unit) if written.power_path else None,
                energy=Place(path=written.energy_path, unit=energy_unit) if written.energy_path else None,
                covers=covers,
                login=login,
            )


class _Search:
    """Looks for a meter that works, in a thread of its own, until there is one."""

    def __init__(self, make: Callable[[], HostSource], every_seconds: float) -> None:
        self._make = make
        self._every_seconds = every_seconds
        self._found: queue.SimpleQueue[HostSource] = queue.SimpleQueue()
        self._closing = threading.Event()
        self.reason = "not looked for yet"
        threading.Thread(target=self._run, name="host power search", daemon=True).start()

    def found(self) -> HostSource | None:
        """Return the source that was found, once."""
        with suppress(queue.Empty):
            return self._found.get_nowait()
        return None

    def close(self) -> None:
        """Stop looking."""
        self._closing.set()

    def _run(self) -> None:
        while not self._closing.is_set():
            source = self._make()
            try:
                source.read()
            except SourceError as error:
                self.reason = str(error)
            except Exception:  # noqa: BLE001 -- a fault of ours here must not end the search
                _log.exception("internal fault while looking for host power; please report it")
            else:
                self._found.put(source)
                return
            source.close()
            self._closing.wait(self._every_seconds)


class HostKeeper:
    """Keeps the crew's source of host power in step with the configuration and with what is found.

    A machine that has no meter by itself has no source: that is no fault, and is told where people look.
    """

    def __init__(self, crew: Crew, settings: Settings, *, fixed: Source | None, is_simulated: bool) -> None:
        """Take the source on, or begin to look for one.

        Args:
            crew: To which it is added.
            settings: Which one.
            fixed: A simulated or replayed one, which stands for all others.
            is_simulated: Whether readings are made up: then nothing real is looked for.
        """
        self._crew = crew
        self._settings = settings
        self._is_simulated = is_simulated
        self._name: str | None = None
        self._search: _Search | None = None
        self._reading: HostReading | None = None
        self._calibration: CalibrationRow | None = None
        if fixed is not None:
            self._take_on(fixed)
        elif not is_simulated:
            self._begin()

    def _begin(self) -> None:
        written, sampling = self._settings.host_power, self._settings.sampling

        def source() -> HostSource:
            return HostSource(host_meters(written), deadline_seconds=sampling.deadline_seconds)

        if written.source == "auto":
            self._search = _Search(source, sampling.discovery_seconds)
        elif written.source != "none":
            self._take_on(source())

    def _take_on(self, source: Source) -> None:
        self._name = source.name
        self._crew.add(source)

    def adopt(self, settings: Settings) -> None:
        """Go on with other settings; a source that did not change is not touched."""
        before, self._settings = self._settings, settings
        is_same = before.host_power == settings.host_power and (
            before.sampling.deadline_seconds == settings.sampling.deadline_seconds
        )
        if self._is_simulated or is_same:
            return
        self.close()
        if self._name is not None:
            self._crew.remove(self._name)
        self._name = self._reading = self._search = None
        self._begin()

    def follow(self) -> None:
        """Take on what was found since."""
        found = None if self._search is None else self._search.found()
        if found is not None:
            self._search = None
            self._take_on(found)

    def close(self) -> None:
        """Stop looking."""
        if self._search is not None:
            self._search.close()

    # --- what it comes to ----------------------------------------------------------------------------------

    def note(self, readings: Sequence[Reading]) -> None:
        """Keep what was said in this tick; what was not said is not shown as live."""
        self._reading = next((reading for reading in readings if isinstance(reading, HostReading)), None)

    def calibrate(self, calibrations: Sequence[CalibrationRow]) -> None:
        """Go by the newest calibration of the GPU sensors."""
        self._calibration = calibrations[0] if calibrations else None

    @property
    def rules(self) -> HostRules:
        """How host energy follows from what is measured."""
        written = self._settings.host_power
        is_applied = written.apply_calibration and self._calibration is not None
        return HostRules(
            supply_efficiency=written.supply_efficiency,
            rest_watts=written.rest_watts,
            gpu_factor=self._calibration.result["factor"] if is_applied and self._calibration else None,
        )

    def view(self, cursor: HostCursor | None) -> HostView:
        """Return host power as it was last read.

        Args:
            cursor: Of the ledger.
        """
        calibration = self._calibration_view()
        reading = self._reading
        if reading is None:
            reason = self._search.reason if self._search is not None else self._without_search
            return HostView(reason=reason, calibration=calibration)
        return HostView(
            source=reading.source,
            meter=reading.meter,
            covers=reading.covers.value,
            reason=reading.reason,
            meter_watts=reading.power_watts,
            host_watts=None if cursor is None or cursor.source != reading.source else cursor.mean_watts,
            calibration=calibration,
        )

    @property
    def assumptions(self) -> tuple[Assumption, ...]:
        """What is left out of the energy because nobody wrote where it is measured."""
        is_silent = self._reading is None and self._search is None
        if self._is_simulated or is_silent:
            return ()
        return host_assumptions(
            self._settings.host_power, None if self._reading is None else self._reading.covers
        )

    @property
    def _without_search(self) -> str:
        if self._name is not None:
            return "the source does not answer"
        return "not read: host_power.source is none" if not self._is_simulated else "none in these readings"

    def _calibration_view(self) -> CalibrationView | None:
        row = self._calibration
        if row is None:
            return None
        covers = None if self._reading is None else self._reading.covers
        is_contained = covers is not None and covers.contains_gpus
        return CalibrationView(
            utc_seconds=row.utc_seconds,
            factor=row.result["factor"],
            standard_error=row.result["standard_error"],
            r_squared=row.result["r_squared"],
            is_applied=self._settings.host_power.apply_calibration and not is_contained,
        )
