"""Days of another history taken into this one, without counting anything twice.

What decides is time, as a history is of one machine: a time that this history accounts for already stays as
it is, and one that it lacks is taken as a whole, with everything in it. So it can be done again, in part,
and after it was interrupted: what was taken is there the next time.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import tzinfo
from functools import cache
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from evenwatt.database import told_as_damage
from evenwatt.model import Event
from evenwatt.sinks.history.beside import connection_beside
from evenwatt.sinks.history.files import is_there
from evenwatt.sinks.history.local_days import LocalDays, define_local_day, local_day_of, stored_zone
from evenwatt.sinks.history.machine_hours import add_up_machine_hours
from evenwatt.sinks.history.pieces import kept
from evenwatt.sinks.history.reader import HistoryReader
from evenwatt.sinks.history.schema import LEVEL_SECONDS, LEVELS, LOCAL_DAY, TABLES
from evenwatt.sinks.history.statements import LEAST_SECONDS, Row, adding, sums_of
from evenwatt.units import SECONDS_PER_DAY, SECONDS_PER_HOUR, SECONDS_PER_MINUTE

__all__ = ["DayRows", "Merged", "MergingHistory", "is_begun", "merging_history"]

DayRows = Mapping[tuple[str, str], Sequence[Row]]
"""By (level, table): rows led by when they begin. A time is in the rows of one level alone."""

_BEGIN: Final = "begins"
_LONGEST_STEP: Final = SECONDS_PER_HOUR
"""What was not watched for long is booked in steps, each within the minute that it begins with."""


class Merged(Struct, frozen=True, kw_only=True):
    """What became of rows.

    Attributes:
        taken_seconds: Of the machine's time, that this history had not.
        known_seconds: That it had.
    """

    taken_seconds: float = 0.0
    known_seconds: float = 0.0

    def __add__(self, other: "Merged") -> "Merged":
        """Return both together."""
        return Merged(
            taken_seconds=self.taken_seconds + other.taken_seconds,
            known_seconds=self.known_seconds + other.known_seconds,
        )


class MergingHistory(HistoryReader):
    """A history beside the agent that writes it, to take in another one; all methods raise `HistoryError`."""

    def merge_day(self, day: int, rows: DayRows, zone: tzinfo) -> Merged:
        """Take what this history lacks of a day of UTC, with all that it adds up to, all or nothing.

        Args:
            day: When it begins.
            rows: Of the day.
            zone: Of the site, for a history that does not tell the zone of its days.
        """
        with self._writing():
            known = _known_minutes(self._connection, day)
            is_taken = {
                (level, begin): known.isdisjoint(_minutes(begin, length))
                for level, begin, length in _units(rows)
            }
            define_local_day(self._connection, LocalDays(stored_zone(self._connection) or zone))
            held = kept(self._connection)
            since = {"minute": held.minutes_from, "hour": held.hours_from}
            merged = Merged()
            for (level, table), found in rows.items():
                taken = [row for row in found if is_taken[level, row[0]]]
                self._add(level, table, taken, since)
                if table == "host":
                    seconds = _total_seconds(taken)
                    merged += Merged(taken_seconds=seconds, known_seconds=_total_seconds(found) - seconds)
            add_up_machine_hours(self._connection, day, day + SECONDS_PER_DAY)
            for level in ("hour", "day"):
                coarse = [begin for (at, begin), taken in is_taken.items() if taken and at == level]
                if coarse:
                    self._forget_finer(level, max(coarse) + LEVEL_SECONDS[level])
            return merged

    def merge_beside(
        self, rows: Mapping[str, tuple[Sequence[str], Sequence[Row]]], events: Iterable[Event] = ()
    ) -> None:
        """Take what another history keeps beside its days, but for what is here, all or nothing.

        Args:
            rows: By table, its columns and rows.
            events: About all this.
        """
        with self._writing():
            for table, (columns, found) in rows.items():
                _add_beside(self._connection, table, columns, self._missing(table, columns, found))
            self._add_events(events)

    def _missing(self, table: str, columns: Sequence[str], rows: Iterable[Row]) -> list[Row]:
        """Return the rows that are not here, and may be: what an API costs here is decided here."""
        if table == "price":
            known = {name for (name,) in self._read("SELECT reference FROM price")}
            return [row for row in rows if row[columns.index("reference")] not in known]
        same = " AND ".join(f"{column} IS ?" for column in columns)
        return [row for row in rows if not self._read(f"SELECT 1 FROM {table} WHERE {same}", row)]  # noqa: S608 -- our own names only

    def _add(self, finest: str, table: str, rows: list[Row], since: Mapping[str, int]) -> None:
        """Add rows to their level and to all coarser ones, but to none that is forgotten of that time.

        SQLite adds up what a coarser row has of them, so that each is touched once.
        """
        owner, columns = TABLES[table]
        names = (_BEGIN, *owner, *columns)
        self._connection.execute(f"CREATE TEMP TABLE incoming ({', '.join(names)})")
        try:
            self._connection.executemany(
                f"INSERT INTO incoming VALUES ({', '.join('?' * len(names))})",  # noqa: S608 -- our own names only
                rows,
            )
            levels = [name for name, _ in LEVELS]
            for level in (*levels[levels.index(finest) :], LOCAL_DAY):
                self._connection.execute(_adding_up(level, table, finest), (since.get(level, 0),))
        finally:
            self._connection.execute("DROP TABLE incoming")

    def _forget_finer(self, level: str, until: int) -> None:
        """Forget finer rows up to the end of one that has none: from when on they are kept is one moment."""
        for finer in list(LEVEL_SECONDS)[: list(LEVEL_SECONDS).index(level)]:
            for table in TABLES:
                self._connection.execute(f"DELETE FROM {finer}_{table} WHERE {finer} < ?", (until,))  # noqa: S608 -- our own names only
            if finer == "hour":
                self._connection.execute("DELETE FROM machine_hour WHERE hour < ?", (until,))
            self._connection.execute(
                "INSERT INTO setting VALUES (?1, ?2) ON CONFLICT DO UPDATE SET"
                " value = max(CAST(value AS INTEGER), ?2)",
                (f"{finer}s_from", until),
            )


@cache
def _adding_up(level: str, table: str, finest: str) -> str:
    """Return the statement that adds what came in, from a moment on, to the rows of a level."""
    owner, columns = TABLES[table]
    key = [_key_of(level, finest)] if level != "total" else [] if owner else ["1"]
    group = ", ".join((*(key if level != "total" else []), *owner))
    source = (
        f"SELECT {', '.join((*key, *owner, *sums_of(columns)))} FROM incoming WHERE {_BEGIN} >= ?"  # noqa: S608 -- our own names only
        f" {f'GROUP BY {group}' if group else 'HAVING count(*)'}"
    )
    return adding(level, table, source)


def _key_of(level: str, finest: str) -> str:
    """Return when the row of a level begins to which one of a finer level adds."""
    if level == LOCAL_DAY:
        return local_day_of(_BEGIN, finest)
    seconds = LEVEL_SECONDS[level]
    return f"{_BEGIN} / {seconds} * {seconds}"


def is_begun(path: Path) -> bool:
    """Return whether there is a history at all; what was killed while it was begun is none yet.

    Raises:
        HistoryError: This user may not look.
    """
    if not is_there(path):
        return False
    try:
        # Not read only: what was killed may have to be rolled back first.
        uri = f"{path.absolute().as_uri()}?mode=rw"
        with closing(sqlite3.connect(uri, uri=True)) as database, told_as_damage():
            has_settings = database.execute("SELECT 1 FROM sqlite_master WHERE name = 'setting'").fetchone()
            claim = "SELECT 1 FROM setting WHERE name = 'currency'"
            return has_settings is not None and database.execute(claim).fetchone() is not None
    except sqlite3.Error:
        # Whoever opens it says what is wrong with it.
        return True


@contextmanager
def merging_history(path: Path) -> Iterator[MergingHistory]:
    """Open a history, which an agent may be writing, to take in another one.

    Raises:
        HistoryError: There is none, it is of another release, or it cannot be read.
    """
    with connection_beside(path, may_write=True) as connection:
        yield MergingHistory(path, connection)


def _add_beside(
    connection: sqlite3.Connection, table: str, columns: Sequence[str], rows: Sequence[Row]
) -> None:
    """Add rows to a table that is kept beside the levels; what has the key of one that is there is left."""
    names = columns
    numbers: Sequence[tuple[int, ...]] = [()] * len(rows)
    if table == "event":
        # The latest ones are those with the highest numbers: what happened before must not be shown as new.
        ((first, newest),) = connection.execute("SELECT min(id), max(utc_seconds) FROM event")
        if rows and first is not None and rows[-1][0] < newest:
            names = ("id", *columns)
            numbers = [(number,) for number in range(first - len(rows), first)]
    places = ", ".join("?" * len(names))
    connection.executemany(
        f"INSERT OR IGNORE INTO {table} ({', '.join(names)}) VALUES ({places})",  # noqa: S608 -- our own names only
        ((*number, *row) for number, row in zip(numbers, rows, strict=True)),
    )


def _units(rows: DayRows) -> Iterator[tuple[str, int, int]]:
    """Yield level, beginning and length of each time that rows are of; long steps are as long as they say."""
    for (level, table), found in rows.items():
        if table == "host":
            continue
        for row in found:
            yield level, row[0], LEVEL_SECONDS[level]
    # Last, as they alone know how long a step is.
    for (level, table), found in rows.items():
        if table == "host":
            for row in found:
                yield level, row[0], max(LEVEL_SECONDS[level], _step_seconds(row))


def _known_minutes(connection: sqlite3.Connection, day: int) -> set[int]:
    """Return the minutes of a day that are accounted for, and those after it that its last steps reach into.

    Where coarser rows hold more than the finer ones that are kept, it cannot be told which part of them is
    known: all of it is.
    """
    known: set[int] = set()
    bounds = (day, day + SECONDS_PER_DAY)
    columns = ", ".join(TABLES["host"][1])
    for row in connection.execute(
        f"SELECT minute, {columns} FROM minute_host WHERE minute >= ? AND minute < ?",  # noqa: S608 -- our own names only
        (day - _LONGEST_STEP, bounds[1]),
    ):
        known.update(_minutes(row[0], max(SECONDS_PER_MINUTE, _step_seconds(row))))
    for (minute,) in connection.execute(
        "SELECT DISTINCT minute FROM minute_usage WHERE minute >= ? AND minute < ?", bounds
    ):
        known.add(minute)
    for coarse, fine in (("hour", "minute"), ("day", "hour")):
        length = LEVEL_SECONDS[coarse]
        for (begin,) in connection.execute(
            f"SELECT {coarse} FROM {coarse}_host AS whole WHERE {coarse} >= ? AND {coarse} < ?"  # noqa: S608 -- our own names only
            f" AND coalesce(seconds, 0) - (SELECT total(seconds) FROM {fine}_host"
            f"  WHERE {fine} >= whole.{coarse} AND {fine} < whole.{coarse} + ?) > ?",
            (*bounds, length, LEAST_SECONDS),
        ):
            known.update(_minutes(begin, length))
    return known


def _minutes(begin: int, length: int) -> range:
    return range(begin, begin + length, SECONDS_PER_MINUTE)


_ESTIMATED: Final = 1 + TABLES["host"][1].index("estimated_seconds")
_SECONDS: Final = 1 + TABLES["host"][1].index("seconds")


def _step_seconds(row: Sequence[Any]) -> int:
    """Return how far the step of a host row reaches, in whole minutes; 0 where all of it was watched."""
    return -(-int((row[_ESTIMATED] or 0.0) - LEAST_SECONDS) // SECONDS_PER_MINUTE) * SECONDS_PER_MINUTE


def _total_seconds(rows: Iterable[Row]) -> float:
    return sum(row[_SECONDS] or 0.0 for row in rows)
