"""How large a history is, and how large it will be."""

from typing import Final

from msgspec import Struct

from evenwatt.sinks.history.reader import HistoryReader
from evenwatt.sinks.history.schema import LEVELS, TABLES
from evenwatt.units import SECONDS_PER_DAY, SECONDS_PER_HOUR

__all__ = ["HistorySize", "history_size"]

_YEAR_DAYS: Final = 365
_SECONDS: Final = {level: seconds for level, seconds in LEVELS if seconds is not None}
_EXTENT: Final = (
    "SELECT (SELECT min(day) FROM day_host),"
    " (SELECT min(minute) FROM minute_host), (SELECT max(minute) FROM minute_host)"
)

_PAGE_FILLING: Final = 1.15
"""Bytes of pages for each byte of rows: pages are not full, and some of them only lead to others."""

_ROW_BYTES: Final = 10
"""What a row takes beside its columns: its time, its length, that of its header, its place in the page."""


class HistorySize(Struct, frozen=True, kw_only=True):
    """How large the file of a history is.

    Attributes:
        file_bytes: Of the database now, without what is still in its write-ahead log.
        year_bytes: About what it will be in a year, if it goes on as in the last day; None in its first hour.
    """

    file_bytes: int
    year_bytes: float | None


def history_size(reader: HistoryReader, *, keep_minutes_days: float, keep_hours_days: float) -> HistorySize:
    """Return how large a history is and will be.

    Rows are counted and measured over the last day; each level is taken for as long as it is kept.

    Args:
        reader: Of the history.
        keep_minutes_days: Days after which minutes are forgotten.
        keep_hours_days: Likewise hours.

    Raises:
        HistoryError: It cannot be read.
    """
    ((pages,),), ((page_bytes,),) = reader.read("PRAGMA page_count"), reader.read("PRAGMA page_size")
    ((first_day, first, last),) = reader.read(_EXTENT)
    if last is None or last - first < SECONDS_PER_HOUR:
        return HistorySize(file_bytes=pages * page_bytes, year_bytes=None)
    age_days = (last - first_day) / SECONDS_PER_DAY + _YEAR_DAYS
    kept_days = {
        "minute": min(keep_minutes_days + 1, age_days),
        "hour": min(keep_hours_days + 1, age_days),
        "day": 2 * age_days,  # of UTC, and of the site's calendar
    }
    since = max(first, last - SECONDS_PER_DAY)
    year_bytes = sum(days * _bytes_a_day(reader, level, since, last) for level, days in kept_days.items())
    return HistorySize(file_bytes=pages * page_bytes, year_bytes=year_bytes)


def _bytes_a_day(reader: HistoryReader, level: str, since: int, last: int) -> float:
    """Return what the rows of a level take for a day, by those since a moment."""
    span = _SECONDS[level]
    begin = since // span * span
    sizes = [
        size
        for table in TABLES
        for (size,) in reader.read(
            f"SELECT total({_row_bytes(table)}) FROM {level}_{table} WHERE {level} >= ?",  # noqa: S608 -- our own names only
            (begin,),
        )
    ]
    spans = (last - begin) // span + 1
    content = float(sum(sizes))
    return content * _PAGE_FILLING / spans * SECONDS_PER_DAY / span


def _row_bytes(table: str) -> str:
    """Return what a row takes, as SQL; whole numbers are kept as short as they are, of REAL columns too."""
    owner, columns = TABLES[table]
    parts = (
        f"CASE WHEN {name} IS NULL OR {name} IN (0, 1) THEN 1"
        f" WHEN {name} <> CAST({name} AS INTEGER) THEN 9 WHEN abs({name}) < 128 THEN 2"
        f" WHEN abs({name}) < 32768 THEN 3 WHEN abs({name}) < 8388608 THEN 4 ELSE 6 END"
        for name in columns
    )
    names = (f"length({name}) + 1" for name in owner)
    return " + ".join((str(_ROW_BYTES), *names, *parts))
