"""The section that says where the power of the machine itself is read."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal, get_args

from evenwatt.config.credentials import ApiKey
from evenwatt.config.parsers import number, one_of
from evenwatt.config.refusals import KeyPath
from evenwatt.config.section import Section
from evenwatt.config.urls import MeterUrl
from evenwatt.config.values import AbsolutePath, Flag, Label, OneLine

__all__ = ["HostPower"]

_HostPowerSource = Literal["auto", "rapl", "hwmon", "ipmi", "http", "prometheus", "fixed", "none"]
_HostMeterKind = Literal["shelly", "tasmota", "homeassistant", "json"]
_HostCoverage = Literal["wall", "board", "cpu", "rest"]
_PowerUnit = Literal["mW", "W", "kW"]
_EnergyUnit = Literal["J", "kJ", "MJ", "Wmin", "mWh", "Wh", "kWh", "MWh"]

HostPowerSource = Annotated[_HostPowerSource, one_of(*get_args(_HostPowerSource))]
HostMeterKind = Annotated[_HostMeterKind, one_of(*get_args(_HostMeterKind))]
HostCoverage = Annotated[_HostCoverage, one_of(*get_args(_HostCoverage))]
PowerUnit = Annotated[_PowerUnit, one_of(*get_args(_PowerUnit))]
EnergyUnit = Annotated[_EnergyUnit, one_of(*get_args(_EnergyUnit))]
MeterUnit = Annotated[_PowerUnit | _EnergyUnit, one_of(*get_args(_PowerUnit), *get_args(_EnergyUnit))]

_EVERYWHERE = frozenset({"source", "supply_efficiency", "apply_calibration"})
_WEB = frozenset({"url", "token", "user", "password", "covers"})
_KEYS_OF_SOURCE = {
    "auto": frozenset({"rest_watts", "sysfs_path"}),
    "rapl": frozenset({"rest_watts", "sysfs_path"}),
    "hwmon": frozenset({"sysfs_path", "hwmon_chip", "covers"}),
    "ipmi": frozenset({"covers"}),
    "http": _WEB | {"kind", "channel", "entity", "power_path", "power_unit", "energy_path", "energy_unit"},
    "prometheus": _WEB | {"query", "unit"},
    "fixed": frozenset({"watts"}),
    "none": frozenset[str](),
}
_KEYS_OF_KIND = {
    "shelly": frozenset({"channel"}),
    "tasmota": frozenset({"channel"}),
    "homeassistant": frozenset({"entity"}),
    "json": frozenset({"power_path", "power_unit", "energy_path", "energy_unit"}),
}
_NEEDED = {"http": ("url", "kind"), "prometheus": ("url", "query"), "fixed": ("watts",)}


class HostPower(Section, frozen=True, kw_only=True):
    """What the machine draws beside its GPUs, and who tells.

    Attributes:
        source: `auto`, `rapl`, `hwmon`, `ipmi`, `http`, `prometheus`, `fixed`, or `none` for GPUs only.
        kind: For `http`, and needed there: `shelly` (all generations), `tasmota`, `homeassistant`, or
            `json` for anything else.
        url (URL): Of the meter, of Home Assistant, or of the Prometheus server; of the document for `json`.
        token (secret): Sent as a bearer token; Home Assistant's long-lived access token.
        user: Where the meter asks for one, with `password`: basic authentication, with later Shelly devices
            a SHA-256 digest.
        password (secret): With `user`; Tasmota's web password.
        channel (number): Which channel of a device this machine is on, from 0. None: the first; of Tasmota
            all.
        entity: Sensor of Home Assistant, in W, kW, Wh or kWh.
        power_path (path): Where power is in the document of kind `json`.
        power_unit: Its unit: `mW`, `W` or `kW`.
        energy_path (path): Where a counter of energy is; preferred over power.
        energy_unit: Its unit, needed with `energy_path`: `J`, `kJ`, `MJ`, `Wmin`, `mWh`, `Wh`, `kWh` or
            `MWh`.
        query (PromQL): For `prometheus`, and needed there: one value, of power or of a counter of energy.
        unit: What the query gives, in one of the units above.
        watts (W): For `fixed`, and needed there: what the machine draws without its GPUs.
        covers: What is behind the meter: `wall` (GPUs and the losses of the supply), `board` (GPUs), `cpu`
            (neither), `rest` (all but the GPUs); `wall` for `http` and `prometheus`, `board` for `hwmon`
            and `ipmi`. None: by source.
        supply_efficiency (ratio): Of the power supply, 0.5 to 1: what is measured behind it is divided by
            this; not for `wall`.
        rest_watts (W): What RAPL does not see: board, fans, disks.
        apply_calibration (yes or no): Whether the factor of the latest `evenwatt meter calibrate` counts
            where no meter contains the GPUs.
        hwmon_chip: Name of a chip that measures the whole machine. None: the ACPI power meter.
        sysfs_path (folder): Where the kernel's `/sys` is, as a container sees it.
    """

    source: HostPowerSource = "auto"
    kind: HostMeterKind | None = None
    url: MeterUrl | None = None
    token: ApiKey | None = None
    user: Label | None = None
    password: ApiKey | None = None
    channel: Annotated[float, number(at_least=0, at_most=63)] | None = None
    entity: Label | None = None
    power_path: OneLine | None = None
    power_unit: PowerUnit = "W"
    energy_path: OneLine | None = None
    energy_unit: EnergyUnit | None = None
    query: OneLine | None = None
    unit: MeterUnit = "W"
    watts: Annotated[float, number(at_least=0, at_most=20_000)] | None = None
    covers: HostCoverage | None = None
    supply_efficiency: Annotated[float, number(at_least=0.5, at_most=1)] = 1.0
    rest_watts: Annotated[float, number(at_least=0, at_most=20_000)] = 0.0
    apply_calibration: Flag = False
    hwmon_chip: Label | None = None
    sysfs_path: AbsolutePath = Path("/sys")

    def _faults(self) -> Iterator[tuple[KeyPath, str]]:
        taken = _KEYS_OF_SOURCE[self.source]
        for key in sorted(self.written - _EVERYWHERE - taken):
            yield (key,), f"source {self.source} has none; remove it, or set another source"
        for key in _NEEDED.get(self.source, ()):
            if getattr(self, key) is None:
                yield (key,), f"missing; source {self.source} needs it"
        if self.source == "http" and self.kind is not None:
            yield from self._faults_of_kind(self.kind)
        if self.supply_efficiency < 1 and self._covers == "wall":
            yield ("supply_efficiency",), "a meter at the wall contains the losses already; remove it"
        is_pair_broken = (self.user is None) != (self.password is None) and self.kind != "tasmota"
        if "password" in taken and is_pair_broken:
            yield ("password",), "user and password come together; write both"

    def _faults_of_kind(self, kind: str) -> Iterator[tuple[KeyPath, str]]:
        others = frozenset[str]().union(*_KEYS_OF_KIND.values()) - _KEYS_OF_KIND[kind]
        for key in sorted(self.written & others):
            yield (key,), f"kind {kind} has none; remove it, or set another kind"
        if kind == "homeassistant":
            for key in ("entity", "token"):
                if getattr(self, key) is None:
                    yield (key,), "missing; Home Assistant needs it"
        if kind == "json":
            if self.power_path is None and self.energy_path is None:
                yield ("energy_path",), "missing; write energy_path, power_path or both"
            if (self.energy_path is None) != (self.energy_unit is None):
                yield ("energy_unit",), "energy_path and energy_unit come together; write both"

    @property
    def _covers(self) -> str | None:
        usual = "wall" if self.source in {"http", "prometheus"} else None
        return self.covers or usual
