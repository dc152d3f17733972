"""The file of the history: opened, checked, and set aside where it is corrupt."""

import sqlite3
from pathlib import Path
from typing import Final

from evenwatt.errors import HistoryError
from evenwatt.sinks.history.schema import bring_up_to_date

__all__ = ["PRIMARY_CODE", "connected", "file_identity", "is_there", "moved_aside"]

_LOCKED_SECONDS = 1.0
"""How long a tick waits for another program that holds the database; then it is written with the next one."""

_CORRUPT: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
PRIMARY_CODE = 0xFF
"""The bits of an extended error code that hold the plain one."""


def connected(path: Path) -> sqlite3.Connection | None:
    """Open a database and bring it to the present schema; None where it is corrupt.

    Raises:
        HistoryError: A newer evenwatt has written it, or it could not be brought up to date.
        sqlite3.DatabaseError: It cannot be opened.
    """
    connection = sqlite3.connect(path, timeout=_LOCKED_SECONDS, isolation_level=None)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA cache_size = -1024")
        if connection.execute("PRAGMA quick_check(1)").fetchone() == ("ok",):
            bring_up_to_date(connection, path)
            return connection
    except sqlite3.DatabaseError as error:
        connection.close()
        if error.sqlite_errorcode & PRIMARY_CODE not in _CORRUPT:
            raise
        return None
    except BaseException:
        connection.close()
        raise
    connection.close()
    return None


def file_identity(path: Path) -> tuple[int, int] | None:
    """Return device and inode of what a path leads to; None where that is nothing."""
    try:
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return found.st_dev, found.st_ino


def is_there(path: Path) -> bool:
    """Return whether there is a history.

    Raises:
        HistoryError: This user may not look, or the path can be none.
    """
    try:
        return path.is_file()
    except OSError as error:
        advice = "see history.path"
        if isinstance(error, PermissionError):
            advice = "it is for the user that the agent runs as: try again as that user, or with sudo"
        raise HistoryError(f"{path}: cannot be looked up ({error.strerror}); {advice}") from error


def moved_aside(path: Path) -> Path:
    """Move a database and its write-ahead files out of the way, under a name that is free."""
    number = 1
    while (aside := path.with_name(f"{path.name}.corrupt-{number}")).exists():
        number += 1
    for suffix in ("", "-wal", "-shm"):
        part = path.with_name(path.name + suffix)
        if part.exists():
            part.rename(aside.with_name(aside.name + suffix))
    return aside
