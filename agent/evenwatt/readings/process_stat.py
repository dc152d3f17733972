"""What /proc says of one process: its stat, and its command line."""

from pathlib import Path
from typing import NamedTuple

__all__ = ["ProcessStat", "command_line", "process_stat"]

_PROC = Path("/proc")


class ProcessStat(NamedTuple):
    """Its name (cut at 15 characters), its parent, and when it started, in clock ticks since boot."""

    name: str
    parent: int
    start_ticks: int


def process_stat(pid: int) -> ProcessStat | None:
    """Return what is said of the process that has a PID now; None where there is none."""
    try:
        text = (_PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    # The name may hold spaces and parentheses; nothing after it does.
    head, _, tail = text.rpartition(")")
    fields = tail.split()
    return ProcessStat(name=head.partition("(")[2], parent=int(fields[1]), start_ticks=int(fields[19]))


def command_line(pid: int) -> list[str]:
    """Return the words that a process was started with; none where they cannot be read."""
    try:
        text = (_PROC / str(pid) / "cmdline").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    return text.split("\0")[:-1]
