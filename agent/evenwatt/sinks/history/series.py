"""A stretch of the history as a few hundred points, each a sum over one of many equal spans of UTC."""

from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from evenwatt.sinks.history.machine_hours import MACHINE_VALUES
from evenwatt.sinks.history.queries import history_extent
from evenwatt.sinks.history.reader import HistoryReader
from evenwatt.snapshot.report.hours import HourRow
from evenwatt.units import SECONDS_PER_DAY, SECONDS_PER_HOUR

__all__ = ["Series", "history_series"]

_MINUTE_WIDTHS: Final = (60, 120, 300, 600, 900, 1_800)
_HOUR_WIDTHS: Final = (3_600, 7_200, 10_800, 21_600, 43_200)
_DAY_WIDTHS: Final = (86_400, 7 * 86_400, 28 * 86_400)

_MOST_BY_MINUTES: Final = 36 * SECONDS_PER_HOUR
_MOST_BY_HOURS: Final = 100 * SECONDS_PER_DAY
"""Longer stretches are read from the coarser level: what is read, and so the wait for it, is bounded."""


_HOSTS: Final = """
    SELECT {0} / ? * ?, sum(seconds), sum(down_seconds), sum(estimated_seconds)
    FROM {0}_host WHERE {0} >= ? AND {0} < ? GROUP BY 1 ORDER BY 1
"""
_USED: Final = """
    SELECT {0} / ? * ?, {1} FROM {2} GROUP BY 1
"""
"""What was used, as the rest of an `HourRow`."""

_SUMS: Final = ", ".join(map("sum({})".format, MACHINE_VALUES))
_EACH: Final = "(SELECT {0}, {1} FROM {0}_usage WHERE {0} >= ? AND {0} < ? GROUP BY {0})"
"""Added up for each row of the level first, in the order of the key: rows of usage are not sorted then."""

_VALUES: Final = ", ".join(f"{value} AS {name}" for name, value in MACHINE_VALUES.items())
_SOURCES: Final[Mapping[str, str]] = {
    "minute": _EACH.format("minute", _VALUES),
    "hour": "(SELECT * FROM machine_hour WHERE hour >= ? AND hour < ?)",
    "day": _EACH.format("day", _VALUES),
}


class Series(Struct, frozen=True, kw_only=True):
    """Points of a stretch, oldest first; those that the history holds nothing of are not there.

    Attributes:
        start_utc_seconds: Of the first point's span.
        end_utc_seconds: Of the last one's.
        width_seconds: Of each span, which begins at a multiple of it.
        first_utc_seconds: Where the history begins.
        last_utc_seconds: Where it ends.
    """

    start_utc_seconds: int
    end_utc_seconds: int
    width_seconds: int
    first_utc_seconds: int
    last_utc_seconds: int
    rows: tuple[HourRow, ...]


def history_series(
    reader: HistoryReader, start: float | None, end: float | None, *, most_points: int
) -> Series | None:
    """Return a stretch of the history in at most so many points; None where the history is empty.

    Args:
        reader: Of the history.
        start: In UTC seconds; None: a day before the end.
        end: None: the end of the history.
        most_points: Wider spans are taken where the stretch has more minutes.

    Raises:
        HistoryError: It cannot be read.
    """
    extent = history_extent(reader)
    if extent is None:
        return None
    first, last = extent
    until = min(max(float(last) if end is None else end, first + 1.0), float(last))
    since = max(until - SECONDS_PER_DAY if start is None else start, float(first))
    since = min(since, until - 1.0)
    level, width = _level(reader, since, until, most_points)
    begin, stop = int(since // width) * width, -int(-until // width) * width
    return Series(
        start_utc_seconds=begin,
        end_utc_seconds=stop,
        width_seconds=width,
        first_utc_seconds=first,
        last_utc_seconds=last,
        rows=tuple(_rows(reader, level, begin, stop, width)),
    )


def _level(reader: HistoryReader, since: float, until: float, most_points: int) -> tuple[str, int]:
    seconds = until - since
    if seconds <= _MOST_BY_MINUTES:
        ((first,),) = reader.read("SELECT min(minute) FROM minute_host")
        width = _width(_MINUTE_WIDTHS, seconds, most_points)
        if width is not None and first is not None and first <= since + SECONDS_PER_HOUR:
            return "minute", width
    if seconds <= _MOST_BY_HOURS:
        width = _width(_HOUR_WIDTHS, seconds, most_points)
        ((first,),) = reader.read("SELECT min(hour) FROM hour_host")
        if width is not None and first is not None and first <= since + SECONDS_PER_DAY:
            return "hour", width
    return "day", _width(_DAY_WIDTHS, seconds, most_points) or _DAY_WIDTHS[-1]


def _width(widths: tuple[int, ...], seconds: float, most_points: int) -> int | None:
    return next((width for width in widths if seconds / width <= most_points), None)


def _rows(reader: HistoryReader, level: str, start: int, end: int, width: int) -> list[HourRow]:
    asked = (width, width, start, end)
    rows = reader.read(_USED.format(level, _SUMS, _SOURCES[level]), asked)
    used = {begun: values for begun, *values in rows}
    nothing = [None] * len(MACHINE_VALUES)
    return [
        HourRow(begun, *host, *used.get(begun, nothing))
        for begun, *host in reader.read(_HOSTS.format(level), asked)
    ]
