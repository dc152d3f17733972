"""A copy of a history that is being written: SQLite's own online backup, checked before it is called one."""

import os
import sqlite3
import stat
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from evenwatt.database import told_as_damage
from evenwatt.errors import HistoryError
from evenwatt.sinks.history.beside import connection_beside
from evenwatt.sinks.history.schema import STEPS, bring_up_to_date, missing_steps

__all__ = ["copy_history", "up_to_date_copy"]

_PAGES_AT_ONCE = 1_024
"""4 MiB: often enough for a progress bar."""


def copy_history(path: Path, into: Path, *, advance: Callable[[float], None]) -> None:
    """Copy a history as it is at one moment, whatever an agent writes to it meanwhile.

    It is read in one transaction, so that what others write neither changes the copy nor begins it anew. The
    copy is one file, without a write-ahead log beside it, that only its owner and those who may read the
    history may read.

    Args:
        path: Of the history.
        into: A path at which nothing is.
        advance: Is told how much of it is copied, from 0 to 1.

    Raises:
        HistoryError: There is none, it could not be copied, or it is damaged.
        OSError: Nothing can be written there.
    """
    with connection_beside(path, may_write=False) as source:
        _copy(source, path, into, advance)


@contextmanager
def up_to_date_copy(path: Path) -> Iterator[Path]:
    """Lend a history that this release can read: itself, or a copy that is brought up to date and then gone.

    What an older release has written somewhere stays as it is.

    Raises:
        HistoryError: It is no history, a newer release has written it, or it could not be copied.
    """
    try:
        with (
            closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as source,
            told_as_damage(),
        ):
            missing = missing_steps(source, path)
            if missing == STEPS:
                raise HistoryError(f"{path}: is a database, but no history of evenwatt; name another file")
            if not missing:
                yield path
                return
            with TemporaryDirectory(prefix="evenwatt-import-") as folder:
                copy = Path(folder) / path.name
                with closing(sqlite3.connect(copy, isolation_level=None)) as into:
                    source.backup(into)
                    bring_up_to_date(into, copy)
                yield copy
    except sqlite3.Error as error:
        raise HistoryError(f"{path}: cannot be read: {error}") from error


def _copy(source: sqlite3.Connection, path: Path, into: Path, advance: Callable[[float], None]) -> None:
    mode = stat.S_IMODE(path.stat().st_mode)
    os.close(os.open(into, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode))
    try:
        with closing(sqlite3.connect(into, isolation_level=None)) as copy, told_as_damage():
            # A copy that is cut off is thrown away: it needs no journal, which would be left beside it.
            copy.execute("PRAGMA journal_mode = OFF")
            source.backup(
                copy,
                pages=_PAGES_AT_ONCE,
                progress=lambda _, left, pages: advance(1 - left / pages if pages else 1.0),
            )
            copy.execute("PRAGMA journal_mode = DELETE")
            ((found,),) = copy.execute("PRAGMA quick_check(1)")
    except sqlite3.Error as error:
        raise HistoryError(
            f"{path}: cannot be copied: {error}; see that the disk of {into.parent} has room"
        ) from error
    if found != "ok":
        raise HistoryError(
            f"{path}: is damaged, and so is a copy of it ({found}); keep an older backup, and restart the "
            "agent, which sets it aside and begins anew"
        )
