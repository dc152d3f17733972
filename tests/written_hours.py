"""A history of many hours, written at once and not by ticks: what months of ticks leave, in seconds."""

import sqlite3
from contextlib import closing

from evenwatt.sinks.history.machine_hours import add_up_machine_hours
from evenwatt.sinks.history.schema import LEVELS, TABLES
from evenwatt.sinks.history.statements import adding, at_level, rows_of

__all__ = ["write_hours"]

MINUTES = 60


def write_hours(path, hours, start, end, *, minutes_from):
    """Write priced hours and all that they add up to.

    Args:
        path: Of a history that holds nothing yet.
        hours: Postings with a row for each hour.
        start: Of the first hour.
        end: Of the last hour.
        minutes_from: From here on minutes are there too, each a sixtieth of its hour.
    """
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("PRAGMA synchronous = OFF")
        database.execute("BEGIN")
        for posting in hours:
            for table, rows in rows_of(posting).items():
                for level, seconds in LEVELS[1:]:
                    database.executemany(adding(level, table), at_level(rows, table, seconds))
        add_up_machine_hours(database, start, end)
        for table in TABLES:
            database.execute(_minutes_of(database, table), (minutes_from,))
        database.execute("INSERT INTO setting VALUES ('minutes_from', ?)", (minutes_from,))
        database.execute("COMMIT")
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _minutes_of(database, table):
    """Return the statement that cuts hours into minutes that add up to them."""
    columns = [name for _, name, *_ in database.execute(f"PRAGMA table_info(hour_{table})")]
    kept = {"hour", *TABLES[table][0], "estimated", "restarted"}
    values = [f"{name} / {MINUTES}" if name not in kept else name for name in columns]
    values[columns.index("hour")] = "hour + 60 * number"
    names = [name if name != "hour" else "minute" for name in columns]
    return (
        f"WITH RECURSIVE n(number) AS (SELECT 0 UNION ALL SELECT number + 1 FROM n WHERE number < 59)"
        f" INSERT INTO minute_{table} ({', '.join(names)})"
        f" SELECT {', '.join(values)} FROM hour_{table}, n WHERE hour >= ?"
    )
