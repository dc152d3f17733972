"""A SQLite file that this process writes: opened, checked, and set aside where it is corrupt."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

__all__ = ["PRIMARY_CODE", "damage", "is_damage", "opened_or_set_aside", "told_as_damage"]

PRIMARY_CODE: Final = 0xFF
"""The bits of an extended error code that hold the plain one."""

_CORRUPT: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})


def opened_or_set_aside(
    path: Path,
    *,
    locked_seconds: float,
    pragmas: tuple[str, ...],
    prepare: Callable[[sqlite3.Connection], None],
    check_same_thread: bool = True,
) -> tuple[sqlite3.Connection | None, Path | None]:
    """Open a database, or move a corrupt one aside and begin another.

    Args:
        path: Of the database; its folder is there.
        locked_seconds: How long it waits for another program that holds it.
        pragmas: Beside the write-ahead log, and before it, such as `synchronous = FULL`.
        prepare: Brings a sound database to the present schema.
        check_same_thread: Whether only this thread may use it.

    Returns:
        The database, None where not even a new one reads back; where a corrupt one is now, if there was one.

    Raises:
        sqlite3.Error: It cannot be opened.
    """

    def sound() -> sqlite3.Connection | None:
        connection = sqlite3.connect(
            path, timeout=locked_seconds, isolation_level=None, check_same_thread=check_same_thread
        )
        try:
            with told_as_damage():
                for pragma in (*pragmas, "journal_mode = WAL"):
                    connection.execute(f"PRAGMA {pragma}")
                if connection.execute("PRAGMA quick_check(1)").fetchone() == ("ok",):
                    prepare(connection)
                    return connection
        except sqlite3.DatabaseError as error:
            connection.close()
            if not is_damage(error):
                raise
            return None
        except BaseException:
            connection.close()
            raise
        connection.close()
        return None

    connection = sound()
    if connection is not None:
        return connection, None
    aside = _moved_aside(path)
    return sound(), aside


@contextmanager
def told_as_damage() -> Iterator[None]:
    """Raise the error of a damaged database where Python cannot decode what SQLite says of the damage.

    It quotes the names of tables, and where those are damaged they are no UTF-8.
    """
    try:
        yield
    except UnicodeDecodeError as error:
        raise damage() from error


def damage() -> sqlite3.DatabaseError:
    """Return the error of a damaged database, for damage that SQLite does not see."""
    error = sqlite3.DatabaseError("database disk image is malformed")
    error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
    return error


def is_damage(error: BaseException | None) -> bool:
    """Return whether an error says that a database is damaged, or is none."""
    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and code & PRIMARY_CODE in _CORRUPT


def _moved_aside(path: Path) -> Path:
    """Move a database and its write-ahead files out of the way; the name says when it was last written."""
    last = datetime.fromtimestamp(path.stat().st_mtime, UTC).strftime("%Y%m%dT%H%M%SZ")
    aside, number = path.with_name(f"{path.name}.corrupt-{last}"), 1
    while aside.exists():
        number += 1
        aside = path.with_name(f"{path.name}.corrupt-{last}-{number}")
    for suffix in ("", "-wal", "-shm"):
        part = path.with_name(path.name + suffix)
        if part.exists():
            part.rename(aside.with_name(aside.name + suffix))
    return aside
