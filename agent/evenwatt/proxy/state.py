"""The state folder of one proxy: database, the lock that keeps others out, and the secret for API keys."""

import fcntl
import os
import secrets
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from evenwatt.clock import utc_seconds
from evenwatt.database import opened_or_set_aside
from evenwatt.errors import EvenwattError

__all__ = ["StateFolder"]

_DATABASE, _LOCK, _SECRET = "totals.db", "lock", "client-keys.secret"
_VERSION: Final = 1
_SECRET_BYTES = 32
_LOCKED_SECONDS = 5.0

_TABLES = (
    """CREATE TABLE total (
        model TEXT NOT NULL,
        client TEXT NOT NULL,
        place TEXT NOT NULL,
        outcome TEXT NOT NULL,
        counted TEXT NOT NULL,
        requests INTEGER NOT NULL,
        input_tokens INTEGER,
        cached_input_tokens INTEGER,
        output_tokens INTEGER,
        reasoning_tokens INTEGER,
        PRIMARY KEY (model, client, place, outcome, counted)
    ) STRICT, WITHOUT ROWID""",
    "CREATE TABLE beginning (counting_since_utc_seconds REAL NOT NULL) STRICT",
)


class StateFolder:
    """Opens a folder, or begins it.

    Attributes:
        path: Of the database.
        counting_since_utc_seconds: When it was begun.
        secret: What API keys are hashed with; made once.
        set_aside: Where a corrupt database was moved to; None where there was none.

    Raises:
        EvenwattError: It is in use, cannot be written, or was written by a newer evenwatt.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / _DATABASE
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._lock = _locked(folder / _LOCK)
            self.secret = _secret(folder / _SECRET)
        except OSError as error:
            raise EvenwattError(
                f"{folder}: cannot be used for the totals of a proxy ({error.strerror}); give it a folder of "
                "its own that it can write, with --state or the key state"
            ) from error
        try:
            self._connection, self.set_aside = self._opened()
        except sqlite3.Error as error:
            self._lock.close()
            raise EvenwattError(
                f"{self.path}: cannot be opened ({error}); see that its disk has room and that it may be "
                "written, or give it a folder of its own, with --state or the key state"
            ) from error
        except BaseException:
            self._lock.close()
            raise
        row = self._connection.execute("SELECT counting_since_utc_seconds FROM beginning").fetchone()
        self.counting_since_utc_seconds: float = row[0]

    def rows(self) -> list[tuple[Any, ...]]:
        """Return all totals."""
        return self._connection.execute("SELECT * FROM total").fetchall()

    def write(self, statement: str, rows: Sequence[Sequence[Any]]) -> None:
        """Run a statement for each row, as one transaction that is on the disk when this returns.

        Raises:
            sqlite3.Error: Nothing of it was written.
        """
        connection = self._connection
        if len(rows) == 1:  # a transaction by itself, and one call instead of three
            connection.execute(statement, rows[0])
            return
        connection.execute("BEGIN IMMEDIATE")
        try:
            connection.executemany(statement, rows)
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise

    def close(self) -> None:
        """Close the database and let others in."""
        self._connection.close()
        self._lock.close()

    def _opened(self) -> tuple[sqlite3.Connection, Path | None]:
        connection, aside = opened_or_set_aside(
            self.path,
            locked_seconds=_LOCKED_SECONDS,
            # A total that was shown must not fall, not even after a power cut: each commit is flushed.
            pragmas=("synchronous = FULL",),
            prepare=lambda found: _begin(found, self.path),
            check_same_thread=False,
        )
        if connection is None:
            raise EvenwattError(f"{self.path}: what is written there does not come back; check the disk")
        return connection, aside


def _begin(connection: sqlite3.Connection, path: Path) -> None:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > _VERSION:
        raise EvenwattError(f"{path} was written by a newer evenwatt; install that version again")
    if version == _VERSION:
        return
    connection.execute("BEGIN IMMEDIATE")
    for table in _TABLES:
        connection.execute(table)
    connection.execute("INSERT INTO beginning VALUES (?)", (utc_seconds(),))
    connection.execute(f"PRAGMA user_version = {_VERSION}")
    connection.execute("COMMIT")


def _locked(path: Path) -> Any:
    file = path.open("a+", encoding="ascii")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.seek(0)
        pid = file.read().strip()
        file.close()
        raise EvenwattError(
            f"{path.parent}: in use by another proxy{f', PID {pid}' if pid.isdigit() else ''}; two on one "
            "state would count twice. Stop that one, or give this one a folder of its own"
        ) from None
    file.seek(0)
    file.truncate()
    file.write(f"{os.getpid()}\n")
    file.flush()
    return file


def _secret(path: Path) -> bytes:
    try:
        found = path.read_bytes()
    except FileNotFoundError:
        found = b""
    if len(found) >= _SECRET_BYTES:
        return found
    made = secrets.token_bytes(_SECRET_BYTES)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(made)
    return made
