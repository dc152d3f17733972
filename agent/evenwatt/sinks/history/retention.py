"""What a history forgets: minutes first, hours later, days of UTC and of the site's calendar never.

A little at a time, the oldest first, so that no tick waits for it; what is forgotten is in the coarser levels
since it was written.
"""

import sqlite3
from collections.abc import Mapping

from evenwatt.sinks.history.schema import TABLES
from evenwatt.units import SECONDS_PER_DAY, SECONDS_PER_HOUR

__all__ = ["forget_some", "give_back_room"]

_LEVELS = (("minute", SECONDS_PER_HOUR), ("hour", SECONDS_PER_DAY))
"""Each level that is forgotten, and how much of it at a time."""

_PAGES = 256
"""How many free pages are given back at a time: more than a step of forgetting leaves."""


def forget_some(connection: sqlite3.Connection, before: Mapping[str, int]) -> bool:
    """Forget the oldest hour of minutes, and the oldest day of hours, within a transaction of the caller's.

    Args:
        connection: Of the history.
        before: By level, the midnight of UTC from which on all is kept.

    Returns:
        Whether anything was forgotten; else there is nothing left to forget.
    """
    forgot = False
    for level, step in _LEVELS:
        ((oldest,),) = connection.execute(f"SELECT min({level}) FROM {level}_host")  # noqa: S608 -- our own names only
        if oldest is None or oldest >= before[level]:
            continue
        until = min(oldest // step * step + step, before[level])
        for table in TABLES:
            connection.execute(f"DELETE FROM {level}_{table} WHERE {level} < ?", (until,))  # noqa: S608 -- our own names only
        if level == "hour":
            connection.execute("DELETE FROM machine_hour WHERE hour < ?", (until,))
        # A clock that was set back has written into what is forgotten already: that stays forgotten.
        connection.execute(
            "INSERT INTO setting VALUES (?1, ?2) ON CONFLICT DO UPDATE SET"
            " value = max(CAST(value AS INTEGER), ?2)",
            (f"{level}s_from", until),
        )
        forgot = True
    return forgot


def give_back_room(connection: sqlite3.Connection) -> None:
    """Give some free pages of the file back to the disk."""
    connection.execute(f"PRAGMA incremental_vacuum({_PAGES})").fetchall()
