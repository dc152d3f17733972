"""RAPL: the energy counters of processors and their memory, as the kernel's powercap tree shows them.

Intel and AMD alike. A package contains its cores; memory is a zone of its own below it. `psys` is the whole
platform and contains both, and on a laptop its GPU too: it is taken only where there is no package. The
memory-mapped twin (`intel-rapl-mmio`) repeats the packages and is left alone.
"""

from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

from evenwatt.errors import SourceContractError, SourceUnavailable
from evenwatt.model import Coverage, EnergyCounter
from evenwatt.readings.host.meter import Measurement

__all__ = ["RaplMeter"]

_TREE = "class/powercap"
_JOULES_PER_MICROJOULE = 1e-6
_WATTS_PER_MICROWATT = 1e-6
_BURST_FACTOR = 2.0
"""Turbo limits are below twice the sustained limit that a zone tells."""
_MOST_WATTS = {"package": 1_000.0, "dram": 200.0, "psys": 2_000.0}
_ADVICE = (
    "let the agent's group read it at each boot, with the line "
    "'z /sys/class/powercap/*/energy_uj 0440 root evenwatt' in /etc/tmpfiles.d/evenwatt.conf (and "
    "systemd-tmpfiles --create now), or give the service CAP_DAC_READ_SEARCH"
)


class _Zone(Struct, frozen=True, kw_only=True):
    """One zone of the tree.

    Attributes:
        label: Unique among them: `package-0`, `package-0 dram`.
    """

    path: Path
    label: str
    most_watts: float
    range_joules: float | None


class RaplMeter:
    """Processors and memory of this machine.

    Args:
        sysfs: Where the kernel's tree is mounted.
    """

    source = "rapl"
    covers = Coverage.CPU
    is_of_boot = True
    sample_seconds: float | None = None

    def __init__(self, sysfs: Path = Path("/sys")) -> None:
        self._tree = sysfs / _TREE
        self.address = str(self._tree)
        self._zones: tuple[_Zone, ...] = ()

    def measure(self, deadline_seconds: float) -> Measurement:  # noqa: ARG002 -- files answer at once
        """Return all counters as they stand."""
        if not self._zones or not all(zone.path.is_dir() for zone in self._zones):
            self._zones = tuple(_zones(self._tree))
        if not self._zones:
            raise SourceUnavailable(
                f"{self._tree}: no RAPL zone for a processor; virtual machines have none, elsewhere load "
                "the module intel_rapl_msr"
            )
        counters = tuple(_counter(zone) for zone in self._zones)
        if not any(counter.energy_joules for counter in counters):
            raise SourceContractError(
                f"{self._tree}: all RAPL counters are 0; this machine does not fill them"
            )
        return Measurement(counters=counters)

    def close(self) -> None:
        """Do nothing: files are opened for each reading."""


def _zones(tree: Path) -> Iterator[_Zone]:
    """Yield the zones that add up to the machine's processors and memory, none of them twice."""
    tops = [path for path in sorted(tree.glob("intel-rapl:*")) if path.name.count(":") == 1]
    named = {path: _text(path / "name") for path in tops}
    packages = {path: name for path, name in named.items() if name.startswith("package")}
    if not packages:
        yield from (_zone(path, name, name) for path, name in named.items() if name == "psys")
    for path, name in packages.items():
        yield _zone(path, name, "package")
        for below in sorted(tree.glob(f"{path.name}:*")):
            if _text(below / "name") == "dram":
                yield _zone(below, f"{name} dram", "dram")


def _zone(path: Path, label: str, kind: str) -> _Zone:
    limits = [
        _whole(path / file)
        for file in ("constraint_0_max_power_uw", "constraint_0_power_limit_uw")
        if (path / file).exists()
    ]
    sustained = max((limit for limit in limits if limit), default=None)
    told = None if sustained is None else _BURST_FACTOR * sustained * _WATTS_PER_MICROWATT
    most = _MOST_WATTS[kind]
    counted = _whole(path / "max_energy_range_uj")
    return _Zone(
        path=path,
        label=label,
        most_watts=most if told is None else min(told, most),
        range_joules=None if not counted else counted * _JOULES_PER_MICROJOULE,
    )


def _counter(zone: _Zone) -> EnergyCounter:
    path = zone.path / "energy_uj"
    text = _text(path)
    if not text.isdecimal():
        raise SourceContractError(f"{path}: found {text!r:.40}, expected microjoules")
    return EnergyCounter(
        name=zone.label,
        energy_joules=int(text) * _JOULES_PER_MICROJOULE,
        range_joules=zone.range_joules,
        most_watts=zone.most_watts,
    )


def _whole(path: Path) -> int | None:
    """Return what a file of the kernel says, where it is there and a number."""
    try:
        return int(path.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace").strip()
    except PermissionError as error:
        raise SourceUnavailable(f"{path}: may not be read ({error.strerror}); {_ADVICE}") from error
    except OSError as error:
        raise SourceUnavailable(f"{path}: cannot be read ({error.strerror})") from error
