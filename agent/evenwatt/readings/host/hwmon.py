"""hwmon: power sensors of the whole machine, as the kernel shows them (ACPI power meter, board controllers).

Its numbers change from boot to boot, so a chip is known by its name. Sensors of a part (a GPU, a disk, one
rail) are not the machine and are left out.
"""

from collections.abc import Iterator
from pathlib import Path

from evenwatt.errors import SourceContractError, SourceUnavailable
from evenwatt.model import Coverage
from evenwatt.readings.host.meter import Measurement, measured, power_watts

__all__ = ["HwmonMeter"]

_TREE = "class/hwmon"
_CHIPS = ("power_meter",)
"""Drivers that measure a whole machine: the ACPI power meter, which is fed by the board's controller."""
_FILES = ("power1_average", "power1_input")
_WATTS_PER_MICROWATT = 1e-6


class HwmonMeter:
    """The board's own power sensor.

    Args:
        sysfs: Where the kernel's tree is mounted.
        chip: The name of another chip that measures the whole machine; None: those known to.
        covers: `Coverage.WALL` where it measures before the power supply.
    """

    source = "hwmon"
    is_of_boot = False
    sample_seconds: float | None = 1.0

    def __init__(
        self, sysfs: Path = Path("/sys"), chip: str | None = None, covers: Coverage = Coverage.BOARD
    ) -> None:
        self.covers = covers
        self._tree = sysfs / _TREE
        self._chips = _CHIPS if chip is None else (chip,)
        self.address = f"{self._tree} ({', '.join(self._chips)})"

    def measure(self, deadline_seconds: float) -> Measurement:  # noqa: ARG002 -- files answer at once
        """Return the power of now."""
        found = next(self._files(), None)
        if found is None:
            raise SourceUnavailable(
                f"{self._tree}: no power sensor of the whole machine ({', '.join(self._chips)}); where the "
                "board has one, load the module acpi_power_meter"
            )
        return measured(None, _watts(found))

    def close(self) -> None:
        """Do nothing: files are opened for each reading."""

    def _files(self) -> Iterator[Path]:
        for chip in sorted(self._tree.glob("hwmon*")):
            try:
                name = (chip / "name").read_text(encoding="ascii", errors="replace").strip()
            except OSError:
                continue
            if name in self._chips:
                # Some drivers hang their files below `device`.
                paths = (folder / file for folder in (chip, chip / "device") for file in _FILES)
                yield from (path for path in paths if path.exists())


def _watts(path: Path) -> float:
    try:
        text = path.read_text(encoding="ascii", errors="replace").strip()
    except PermissionError as error:
        raise SourceUnavailable(
            f"{path}: may not be read ({error.strerror}); let the agent's user read it"
        ) from error
    except OSError as error:
        # The ACPI power meter answers ENODATA or EIO while the controller is busy.
        raise SourceUnavailable(f"{path}: gives no value now ({error.strerror})") from error
    if not text.lstrip("-").isdecimal():
        raise SourceContractError(f"{path}: found {text!r:.40}, expected microwatts")
    watts = power_watts(int(text) * _WATTS_PER_MICROWATT, "W", str(path))
    if not watts:
        raise SourceUnavailable(f"{path}: says 0 W, which no running machine draws; it is not fed")
    return watts
