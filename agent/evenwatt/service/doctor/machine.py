"""What the machine lets the agent see and keep: clock, processes, the folder of the history."""

import ctypes
import os
import shutil
from pathlib import Path

import psutil

from evenwatt.errors import HistoryError
from evenwatt.sinks.history import history_beside, is_there, writer_pid
from evenwatt.snapshot.checks import Finding, Health

__all__ = ["clock_finding", "history_finding", "process_finding"]

_TIME_ERROR = 5
"""Of adjtimex(2): the clock is not synchronised."""
_TIMEX_BYTES = 512
"""More than struct timex has on any machine; all zero, which asks for nothing but to be told."""
_LEAST_FREE_BYTES = 512 * 2**20


def clock_finding() -> Finding:
    """Return whether the kernel holds the clock for synchronised; minutes and tariffs are placed by it."""
    state = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES))
    if 0 <= state < _TIME_ERROR:
        return Finding(link="clock", health=Health.GOOD, text="it is synchronised")
    if state < 0:
        return Finding(
            link="clock",
            health=Health.WEAK,
            text="whether it is synchronised cannot be told: the kernel does not answer (adjtimex)",
            mend="look on the host, with timedatectl or chronyc tracking",
        )
    return Finding(
        link="clock",
        health=Health.WEAK,
        text="the kernel does not hold it for synchronised; minutes and tariffs are placed by it",
        mend="start a time service (systemd-timesyncd, chrony), in a container that of its host",
    )


def process_finding() -> Finding:
    """Return whether the processes behind listening ports can be told: engines are found by them."""
    listening = [entry for entry in psutil.net_connections(kind="tcp") if entry.status == psutil.CONN_LISTEN]
    unseen = sorted({entry.laddr.port for entry in listening if entry.pid is None and entry.laddr})
    if not unseen:
        text = f"the processes behind all {len(listening)} listening sockets can be seen"
        return Finding(link="processes", health=Health.GOOD, text=text)
    ports = ", ".join(map(str, unseen[:8])) + (", ..." if len(unseen) > 8 else "")  # noqa: PLR2004
    return Finding(
        link="processes",
        health=Health.WEAK,
        text=f"this user cannot see the process that listens at port {ports}; an "
        "engine there is known by its page alone, and its GPUs are found only where it is the only engine",
        mend="write `engines:` with their `gpus:`; or let the service see them by its drop-in "
        "see-processes.conf (CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH), or run the agent as root",
    )


def history_finding(path: Path) -> Finding:
    """Return whether the history can be written, and whether there is room for it."""
    try:
        is_begun = is_there(path)
    except HistoryError as error:
        return Finding(link="history", health=Health.BROKEN, text=str(error))
    folder = next((parent for parent in (path, *path.parents) if parent.exists()), path)
    if not os.access(folder, os.W_OK):
        return Finding(
            link="history",
            health=Health.BROKEN,
            text=f"{folder} may not be written by this user",
            mend="set history.path to a folder of the agent's own, or give it the right to write there",
        )
    free_bytes = shutil.disk_usage(folder).free
    pid = writer_pid(path)
    who = "no agent writes it" if pid is None else f"written by PID {pid}"
    if not is_begun:
        return Finding(link="history", health=Health.GOOD, text=f"{path} is begun when the agent starts")
    try:
        with history_beside(path) as history:
            history.source_totals()
    except HistoryError as error:
        return Finding(link="history", health=Health.BROKEN, text=str(error))
    text = f"{path}: {path.stat().st_size / 2**20:.1f} MiB, {who}, {free_bytes / 2**30:.1f} GiB free"
    if free_bytes < _LEAST_FREE_BYTES:
        return Finding(link="history", health=Health.WEAK, text=text, mend="free space on that disk")
    return Finding(link="history", health=Health.GOOD, text=text)
