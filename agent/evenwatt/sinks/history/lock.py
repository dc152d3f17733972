"""One writer for one history: an advisory lock that the kernel takes back when its holder dies."""

import fcntl
import os
from contextlib import suppress
from pathlib import Path

from evenwatt.errors import HistoryError, HistoryInUse

__all__ = ["WriterLock", "lock_path", "writer_pid"]


class WriterLock:
    """Holds `<history>.lock`, which says the PID of its holder.

    The file stays when the lock is let go: removing it would let two agents lock two files of one name.
    """

    def __init__(self, history: Path) -> None:
        path = lock_path(history)
        try:
            self._file = path.open("a+", encoding="ascii")
        except OSError as error:
            raise HistoryError(
                f"{path}: cannot be opened for writing ({error.strerror}); the agent needs a folder "
                "of its own for its history: set history.path, or give it the right to write there"
            ) from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            pid = _stated_pid(path)
            self._file.close()
            who = "another agent" if pid is None else f"another agent, PID {pid}"
            raise HistoryInUse(
                f"{history}: in use by {who}; two agents on one history would count twice. Stop that one, or "
                "give this one a history.path of its own",
                pid,
            ) from None
        # The lock holds without it: on a full disk it is the history that says what is wrong.
        with suppress(OSError):
            os.ftruncate(self._file.fileno(), 0)
            os.write(self._file.fileno(), f"{os.getpid()}\n".encode("ascii"))

    def close(self) -> None:
        """Let go."""
        self._file.close()


def writer_pid(history: Path) -> int | None:
    """Return the PID of the agent that writes a history now; None where there is none."""
    path = lock_path(history)
    try:
        with path.open("r", encoding="ascii") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except OSError:
                return _stated_pid(path)
    except OSError:
        return None
    return None


def lock_path(history: Path) -> Path:
    """Return the file that the writer of a history locks."""
    return history.with_name(history.name + ".lock")


def _stated_pid(path: Path) -> int | None:
    try:
        return int(path.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None
