"""Whether two readings of an engine come from one process that counts on, and since when it has counted.

Nothing here looks at a counter: it goes by what the page and the kernel say of the process.
"""

from collections.abc import Mapping

from msgspec.structs import replace

from evenwatt.model import EngineReading, Moment

__all__ = [
    "counting_began",
    "is_known_process",
    "is_later",
    "is_older",
    "is_one_process",
    "is_same_epoch",
    "process_pid",
]

_START_RESOLUTION_SECONDS = 0.01
"""The kernel tells a start rounded down to its clock tick; no engine has served a token by the next one."""

_OLDER_SECONDS = 1.0
_OLDER_ELSEWHERE_SECONDS = 60.0
"""By how much a process must be older than the last reading to be no restart; clocks of hosts differ."""

_PAGE_SIGNALS = ("start_time", "header", "created", "store")
_PROCESS_SIGNALS = ("start_time", "header", "process")
_KERNEL_SIGNALS = ("process", "listener", "boot")


def process_pid(signals: Mapping[str, str]) -> int | None:
    """Return the PID of the process that listens, where the kernel tells it."""
    words = signals.get("process", "").split(":")
    return int(words[1]) if len(words) > 1 and words[1].isdecimal() else None


def is_known_process(before: Mapping[str, str], after: Mapping[str, str], *, also_by_kernel: bool) -> bool:
    """Return whether two readings surely come from one process, by evidence that both have.

    Under one name the page's word is enough, as a listener may be a proxy; under two names the kernel must
    not contradict it.
    """
    page = [name for name in _PAGE_SIGNALS if name in before and name in after]
    kernel = ["process"] if "process" in before and "process" in after else []
    names = [*page, *kernel] if also_by_kernel else page or kernel
    return bool(names) and all(before[name] == after[name] for name in names)


def is_one_process(before: Mapping[str, str], after: Mapping[str, str]) -> bool:
    """Return whether a process made its counters anew while it lived on."""
    return any(name in before and before[name] == after.get(name) for name in _PROCESS_SIGNALS)


def is_older(reading: EngineReading, than: Moment) -> bool:
    """Return whether the process surely began before a moment, so that it is no restart since then."""
    started, start_time = reading.epoch.started_boot_seconds, reading.epoch.signals.get("start_time")
    if started is not None:
        is_this_boot = reading.moment.boot_id == than.boot_id
        return is_this_boot and started + _OLDER_SECONDS < than.boot_seconds
    return start_time is not None and float(start_time) + _OLDER_ELSEWHERE_SECONDS < than.utc_seconds


def is_same_epoch(before: Mapping[str, str], after: Mapping[str, str]) -> bool:
    """Return whether two readings come from one process counting on.

    What the page says about its own process is the stronger evidence: a listener may be a proxy that restarts
    while the engine behind it counts on. The kernel's word decides where the page is silent; where both are,
    only a falling value tells.
    """
    for signals in (_PAGE_SIGNALS, _KERNEL_SIGNALS):
        shared = [name for name in signals if name in before and name in after]
        if shared:
            return all(before[name] == after[name] for name in shared)
    return True


def counting_began(reading: EngineReading, watching_since: Moment) -> Moment | None:
    """Return when the counters began, if that was after the history did; else None."""
    started = reading.epoch.started_boot_seconds
    if started is None:
        return None
    now = reading.moment
    age = max(now.boot_seconds - started, 0.0)
    began = Moment(utc_seconds=now.utc_seconds - age, boot_seconds=started, boot_id=now.boot_id)
    at_latest = replace(began, boot_seconds=started + _START_RESOLUTION_SECONDS)
    return began if is_later(at_latest, watching_since) else None


def is_later(moment: Moment, than: Moment) -> bool:
    """Return whether a moment of the present boot is later than one noted before, however clocks were set."""
    return moment.boot_id != than.boot_id or moment.boot_seconds >= than.boot_seconds
