"""What coarser rows are: the sums of finer ones, worked out anew from those that are kept.

Ticks keep all levels in step by adding to each of them. Here they are recomputed, after rows were changed
that are there already, or a level was added. Minutes are forgotten first and hours later: of each hour either
its minutes are kept, and it is their sum, or it is the finest that there is; so with the hours of a day.
"""

import sqlite3
from collections.abc import Iterable, Sequence

from evenwatt.sinks.history.local_days import LocalDays
from evenwatt.sinks.history.machine_hours import add_up_machine_hours
from evenwatt.sinks.history.pieces import Piece, kept, rows_in
from evenwatt.sinks.history.schema import LOCAL_DAY, TABLES
from evenwatt.sinks.history.statements import sums_of
from evenwatt.units import SECONDS_PER_DAY, SECONDS_PER_HOUR

__all__ = [
    "add_up_days",
    "add_up_hours",
    "add_up_local_days",
    "add_up_totals",
    "fill_local_days",
    "first_whole_day",
]


def add_up_hours(connection: sqlite3.Connection, start: int, end: int, tables: Iterable[str]) -> None:
    """Make whole hours what their minutes add up to."""
    for hour in range(start, end, SECONDS_PER_HOUR):
        minutes = Piece("minute", hour, hour + SECONDS_PER_HOUR)
        _add_up(connection, "hour", hour, [minutes], tables)
    add_up_machine_hours(connection, start, end)


def add_up_days(connection: sqlite3.Connection, start: int, end: int, tables: Iterable[str]) -> None:
    """Make the days of UTC that a span touches what their hours add up to."""
    for day in range(start // SECONDS_PER_DAY * SECONDS_PER_DAY, end, SECONDS_PER_DAY):
        _add_up(connection, "day", day, [Piece("hour", day, day + SECONDS_PER_DAY)], tables)


def add_up_local_days(
    connection: sqlite3.Connection, days: LocalDays, start: int, end: int, tables: Iterable[str]
) -> None:
    """Make the days of the site's calendar that a span touches what the finest kept rows add up to.

    Where a day begins within an hour of UTC whose minutes are not kept, that hour is of the day in which it
    begins.
    """
    minutes_from = kept(connection).minutes_from
    for day, begin, until in days.between(start, end):
        _add_up(connection, LOCAL_DAY, day, _local_parts(begin, until, minutes_from), tables)


def add_up_totals(connection: sqlite3.Connection, tables: Iterable[str]) -> None:
    """Make the totals what all days of UTC add up to, none of which is ever forgotten."""
    for table in tables:
        owner, columns = TABLES[table]
        connection.execute(f"DELETE FROM total_{table}")  # noqa: S608 -- our own names only
        connection.execute(
            f"INSERT INTO total_{table} ({', '.join((*owner, *columns))})"  # noqa: S608 -- our own names only
            f" SELECT {', '.join((*owner, *sums_of(columns)))} FROM day_{table} GROUP BY {', '.join(owner)}"
        )


def fill_local_days(connection: sqlite3.Connection, days: LocalDays) -> None:
    """Work out all days of the site's calendar whose hours are kept; older ones stay as they are."""
    ((last,),) = connection.execute("SELECT max(hour) FROM hour_host")
    if last is not None:
        start = first_whole_day(connection, days)
        add_up_local_days(connection, days, start, last + SECONDS_PER_HOUR, TABLES)


def first_whole_day(connection: sqlite3.Connection, days: LocalDays) -> int:
    """Return when the first day of the site's calendar begins that is kept by its hours; 0 where none is."""
    ((first,),) = connection.execute("SELECT min(hour) FROM hour_host")
    if first is None:
        return 0
    hours_from = kept(connection).hours_from
    if not hours_from:
        return int(first)
    ((_, begin, end),) = days.between(hours_from, hours_from + 1)
    return begin if begin == hours_from else end


def _local_parts(begin: int, until: int, minutes_from: int) -> list[Piece]:
    """Return the rows of a day: its whole hours, and minutes where it begins or ends within one."""
    first_hour = -(-begin // SECONDS_PER_HOUR) * SECONDS_PER_HOUR
    last_hour = until // SECONDS_PER_HOUR * SECONDS_PER_HOUR
    parts = [Piece("hour", first_hour, last_hour)]
    if begin < first_hour and begin >= minutes_from:
        parts.append(Piece("minute", begin, first_hour))
    if last_hour < until:
        is_by_minutes = last_hour >= minutes_from
        parts.append(
            Piece("minute", last_hour, until)
            if is_by_minutes
            else Piece("hour", last_hour, last_hour + SECONDS_PER_HOUR)
        )
    return parts


def _add_up(
    connection: sqlite3.Connection, level: str, key: int, pieces: Sequence[Piece], tables: Iterable[str]
) -> None:
    """Write the rows of one key of a level anew: what the rows of pieces add up to."""
    for table in tables:
        owner, columns = TABLES[table]
        names = ", ".join((*owner, *columns))
        source, bounds = rows_in(pieces, table)
        group = f"GROUP BY {', '.join(owner)}" if owner else "HAVING count(*)"
        connection.execute(f"DELETE FROM {level}_{table} WHERE {level} = ?", (key,))  # noqa: S608 -- our own names only
        connection.execute(
            f"INSERT INTO {level}_{table} ({level}, {names})"  # noqa: S608 -- our own names only
            f" SELECT ?, {', '.join((*owner, *sums_of(columns)))} FROM {source} {group}",
            (key, *bounds),
        )
