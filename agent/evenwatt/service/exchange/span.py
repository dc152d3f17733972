"""Which span of a history is exported: by days of the site's calendar, or by moments."""

import re
from contextlib import suppress
from datetime import date, datetime, time, timedelta, tzinfo
from typing import Final

from msgspec import Struct

from evenwatt.errors import ExchangeError, OptionError
from evenwatt.sinks.history import HistoryReader
from evenwatt.sinks.history.queries import history_extent
from evenwatt.units import SECONDS_PER_MINUTE

__all__ = ["Span", "exported_span"]

_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_MOMENT: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(:[0-9]{2})?(Z|[+-][0-9]{2}:[0-9]{2})?"
)
_YEARS: Final = range(1970, 9_999)


class Span(Struct, frozen=True):
    """From one whole minute to another, in seconds since 1970-01-01 UTC."""

    start: int
    end: int


def exported_span(reader: HistoryReader, first: str | None, last: str | None, zone: tzinfo) -> Span:
    """Return the span that was asked for, as far as the history reaches.

    Args:
        reader: Of the history.
        first: A day, or a moment as 2026-10-01T12:00, in the site's zone unless it says another; None:
            where the history begins.
        last: A day, which belongs to the span, or a moment, which does not; None: where the history ends.
        zone: Of the site.

    Raises:
        OptionError: They mean nothing.
        ExchangeError: The history holds nothing of it.
        HistoryError: It cannot be read.
    """
    start = None if first is None else _moment("--from", first, zone, is_end=False)
    end = None if last is None else _moment("--to", last, zone, is_end=True)
    if start is not None and end is not None and end <= start:
        raise OptionError(f"--to: got {last}, expected what is after --from ({first})")
    extent = history_extent(reader)
    if extent is None:
        raise ExchangeError(f"{reader.path}: the history is empty; leave the agent running for some minutes")
    span = Span(
        max(extent[0], extent[0] if start is None else start),
        min(extent[1], extent[1] if end is None else end),
    )
    if span.start >= span.end:
        begins, ends = (datetime.fromtimestamp(at, zone).strftime("%Y-%m-%d %H:%M %Z") for at in extent)
        raise ExchangeError(f"{reader.path}: holds nothing of that time; it reaches from {begins} to {ends}")
    return span


def _moment(option: str, text: str, zone: tzinfo, *, is_end: bool) -> int:
    found = None
    with suppress(ValueError):
        if _DAY.fullmatch(text):
            day = date.fromisoformat(text)
            found = datetime.combine(day + timedelta(days=is_end), time(), tzinfo=zone)
        elif _MOMENT.fullmatch(text):
            found = datetime.fromisoformat(text)
            found = found if found.tzinfo else found.replace(tzinfo=zone)
    if found is None or found.year not in _YEARS:
        raise OptionError(
            f"{option}: got {text!r}, expected a day such as 2026-10-01, or a moment such as 2026-10-01T12:00"
        )
    return int(found.timestamp()) // SECONDS_PER_MINUTE * SECONDS_PER_MINUTE
