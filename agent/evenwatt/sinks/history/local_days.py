"""Days of a site's calendar, as rows of the history are told apart by them."""

import calendar
import sqlite3
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from zoneinfo import ZoneInfo

from evenwatt.units import SECONDS_PER_DAY

__all__ = ["LocalDays", "define_local_day", "local_day_of", "noons_from", "stored_zone", "zone_name"]

_NOON = SECONDS_PER_DAY // 2
"""A day of UTC of which no hours are kept is of the local day in which its noon is."""

_NAMELESS = "of a file"
"""Stands for a zone that is known by its rules alone."""


class LocalDays:
    """Tells which day of a site's calendar a moment is in.

    A day begins when its clocks first show 0:00, or pass it by; what is told apart is the date that they
    show, so that a day has the 23 or 25 hours that it has.
    """

    def __init__(self, zone: tzinfo) -> None:
        self.zone = zone
        self._day = self._start = self._end = 0

    def __call__(self, utc_seconds: float) -> int:
        """Return the key of the day that a moment is in: its date, as the moment of its midnight in UTC."""
        if not self._start <= utc_seconds < self._end:
            day = datetime.fromtimestamp(utc_seconds, self.zone).date()
            self._day, self._start, self._end = _key(day), self._midnight(day), self._midnight(_after(day))
        return self._day

    def between(self, start: int, end: int) -> Iterator[tuple[int, int, int]]:
        """Yield key, beginning and end of each day that a span touches, oldest first."""
        moment = start
        while moment < end:
            day = self(moment)
            yield day, self._start, self._end
            moment = self._end

    def _midnight(self, day: date) -> int:
        # Where the clocks go from 0:00 to 1:00 there is no such moment; this is the one at which they do.
        return int(datetime.combine(day, time(), tzinfo=self.zone).timestamp())


def define_local_day(connection: sqlite3.Connection, days: LocalDays) -> None:
    """Let statements ask for the local day of a moment, as `local_day_of` does."""
    connection.create_function("local_day", 1, days, deterministic=True)


def local_day_of(begin: str, level: str) -> str:
    """Return the local day of a row of UTC, as SQL.

    Args:
        begin: When the row begins, as SQL.
        level: Of the row.
    """
    return f"local_day({begin} + {_NOON if level == 'day' else 0})"


def noons_from(utc_seconds: int) -> int:
    """Return the first day of UTC whose noon is not before a moment.

    Where days alone are kept, a span from one local midnight to another so has the days that are its own.
    """
    return -(-(utc_seconds - _NOON) // SECONDS_PER_DAY) * SECONDS_PER_DAY


def _key(day: date) -> int:
    return calendar.timegm(day.timetuple())


def _after(day: date) -> date:
    return day + timedelta(days=1)


def zone_name(zone: tzinfo) -> str:
    """Return what a zone is written down as."""
    return str(getattr(zone, "key", None) or ("UTC" if zone is UTC else _NAMELESS))


def stored_zone(connection: sqlite3.Connection) -> tzinfo | None:
    """Return the zone by whose calendar a history keeps its days; None where its name says nothing here."""
    row = connection.execute("SELECT value FROM setting WHERE name = 'timezone'").fetchone()
    try:
        return None if row is None else ZoneInfo(row[0])
    except (LookupError, OSError, ValueError):
        return None
