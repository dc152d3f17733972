"""Whether a process has been at work, told by the kernel without asking the process.

llama.cpp's server computes in its first thread and answers HTTP in others, so that the first one's time says
whether any request was worked on. While idle it wakes about once a second for some microseconds.
"""

from pathlib import Path

import psutil

from evenwatt.clock import boot_seconds

__all__ = ["ThreadWork"]

_PROC = Path("/proc")
_IDLE_WAKES_PER_SECOND = 1.0
_IDLE_NANOSECONDS_PER_SECOND = 200_000.0
_MORE_WAKES = 3.0
_MORE_NANOSECONDS = 1_000_000.0
"""What an idle thread may take beyond that. A request of a few tokens wakes it six times or more."""


class ThreadWork:
    """Follows the first thread of a process."""

    def __init__(self) -> None:
        self._pid: int | None = None
        self._run_nanoseconds = 0
        self._wakes = 0
        self._since = 0.0

    def mark(self, pid: int | None) -> None:
        """Begin to watch from now."""
        found = None if pid is None else _schedule(pid)
        self._pid = None if found is None else pid
        if found is not None:
            self._run_nanoseconds, self._wakes = found
            self._since = boot_seconds()

    def has_worked(self, pid: int | None) -> bool | None:
        """Return whether the thread did more than idle since it was marked; None where nobody tells."""
        if pid is None or pid != self._pid:
            return None
        found = _schedule(pid)
        if found is None:
            return None
        seconds = boot_seconds() - self._since
        nanoseconds, wakes = found[0] - self._run_nanoseconds, found[1] - self._wakes
        return (
            nanoseconds > _MORE_NANOSECONDS + _IDLE_NANOSECONDS_PER_SECOND * seconds
            or wakes > _MORE_WAKES + _IDLE_WAKES_PER_SECOND * seconds
        )


def _schedule(pid: int) -> tuple[int, int] | None:
    """Return for how long the first thread of a process ran, and how often it had gone to sleep by itself.

    Not in how many slices it ran: other programs cut them, so that an idle thread of a busy machine has many.
    """
    try:
        run, _waited, _slices = (_PROC / str(pid) / "schedstat").read_text(encoding="ascii").split()
        return int(run), psutil.Process(pid).num_ctx_switches().voluntary
    except (OSError, ValueError, psutil.Error):
        return None
