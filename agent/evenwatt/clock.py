"""The only caller of the clocks.

Lengths come from CLOCK_BOOTTIME, which runs on through suspend and is never stepped; places in the calendar
come from UTC. A `Moment` holds both, with the identity of the boot that the first one belongs to.
"""

import time
from pathlib import Path

from evenwatt.model import Moment

__all__ = ["boot_id", "boot_seconds", "machine_id", "now", "sleep", "utc_seconds"]

_MACHINE_ID_FILE = Path("/etc/machine-id")
_BOOT_ID_FILE = Path("/proc/sys/kernel/random/boot_id")


def _read_boot_id() -> str:
    try:
        return _BOOT_ID_FILE.read_text(encoding="ascii").strip()
    except OSError:
        # Without it every start of the agent counts as a new boot: lengths across it come from UTC.
        return f"unknown-{time.time_ns()}"


_boot_id = _read_boot_id()


def boot_id() -> str:
    """Return the kernel's random identity of this boot."""
    return _boot_id


def machine_id() -> str | None:
    """Return the identity that systemd gives this machine; None where there is none, as in containers."""
    try:
        return _MACHINE_ID_FILE.read_text(encoding="ascii").strip() or None
    except (OSError, ValueError):
        return None


def boot_seconds() -> float:
    """Return seconds since boot, suspend included."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def utc_seconds() -> float:
    """Return seconds since 1970-01-01 UTC."""
    return time.time()


def now() -> Moment:
    """Return the present moment on both clocks."""
    return Moment(utc_seconds=time.time(), boot_seconds=boot_seconds(), boot_id=_boot_id)


def sleep(seconds: float) -> None:
    """Wait; for commands that ask again, never for the agent's own loop."""
    time.sleep(seconds)
