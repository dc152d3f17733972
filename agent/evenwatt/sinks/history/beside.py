"""The history beside the agent that writes it: what commands read, and the little that they add.

SQLite lets one process write while others read, so a command neither waits for the agent nor holds it up.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from evenwatt.database import PRIMARY_CODE, told_as_damage
from evenwatt.errors import HistoryError
from evenwatt.sinks.history.files import is_there
from evenwatt.sinks.history.reader import HistoryReader
from evenwatt.sinks.history.schema import missing_steps

__all__ = ["connection_beside", "history_beside"]

_LOCKED_SECONDS = 10.0
"""How long a command waits for the agent's tick to be written; far longer than one takes."""


_CLOSED_FOLDER: Final = frozenset({sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN})


@contextmanager
def history_beside(path: Path, *, may_write: bool = False) -> Iterator[HistoryReader]:
    """Open a history that an agent may be writing, without its lock.

    Args:
        path: Of the database.
        may_write: Whether small things may be added to it, each in a transaction of its own; what the agent
            counts is the agent's alone.

    Raises:
        HistoryError: There is none, it is of another release, or it cannot be read.
    """
    with connection_beside(path, may_write=may_write) as connection:
        yield HistoryReader(path, connection)


@contextmanager
def connection_beside(path: Path, *, may_write: bool) -> Iterator[sqlite3.Connection]:
    """Open the database of a history as `history_beside` does."""
    if not is_there(path):
        raise HistoryError(
            f"{path}: there is no history yet; start the agent (evenwatt run), or see --config"
        )
    try:
        connection = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode={'rw' if may_write else 'ro'}",
            uri=True,
            timeout=_LOCKED_SECONDS,
            isolation_level=None,
        )
    except sqlite3.Error as error:
        raise HistoryError(f"{path}: cannot be opened: {error}") from error
    try:
        try:
            with told_as_damage():
                if not may_write:
                    # One transaction, so that all that is read is of one moment, whatever the agent writes.
                    connection.execute("BEGIN")
                missing = missing_steps(connection, path)
        except sqlite3.Error as error:
            raise HistoryError(f"{path}: cannot be read: {error}{_advice(error)}") from error
        if missing:
            raise HistoryError(
                f"{path}: was written by an older evenwatt; start the agent once, which brings it up to date"
            )
        yield connection
    finally:
        connection.close()


def _advice(error: sqlite3.Error) -> str:
    """Return what to do where SQLite may not make the files that it reads by, and no agent has."""
    if getattr(error, "sqlite_errorcode", 0) & PRIMARY_CODE not in _CLOSED_FOLDER:
        return ""
    return (
        "; while no agent writes it, reading it takes the right to write in its folder: try again as the "
        "user that the agent runs as, with sudo, or on a copy in a folder of yours"
    )
