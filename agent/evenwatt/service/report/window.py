"""What span a report is asked about: by its length, by dates, or by a month of the site's calendar."""

import re
from datetime import date, datetime, time, timedelta, tzinfo

from msgspec import Struct

from evenwatt.errors import OptionError, ReportError
from evenwatt.snapshot.report.values import ReportWindow
from evenwatt.units import SECONDS_PER_DAY, SECONDS_PER_HOUR, SECONDS_PER_MINUTE

__all__ = ["AskedWindow", "in_words", "report_window"]

DEFAULT_WINDOW = "30d"

_SAID = {"month": "this month so far", "year": "this year so far", "all": "the whole history"}
_LENGTH = re.compile(r"([1-9][0-9]{0,4})([hd])")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_MONTH = re.compile(r"([0-9]{4})-(0[1-9]|1[0-2])")
_DECEMBER = 12
_YEARS = range(1970, 9_999)
"""Dates around which there is a calendar on every system."""

_WINDOWS = "hours or days such as 24h or 30d, or one of the words month (to date), year (to date) and all"


class AskedWindow(Struct, frozen=True, kw_only=True):
    """The words of a person; all None: the default.

    Attributes:
        window: `24h`, `30d`, `month`, `year`, `all`.
        first: The first day, as YYYY-MM-DD.
        last: The last day, which belongs to the window; None with `first`: until now.
        month: As YYYY-MM.
    """

    window: str | None = None
    first: str | None = None
    last: str | None = None
    month: str | None = None


def report_window(
    asked: AskedWindow, *, now_utc_seconds: float, zone: tzinfo, extent: tuple[int, int]
) -> ReportWindow:
    """Return the span in whole minutes that was asked about, up to the present at most.

    Args:
        asked: In a person's words.
        now_utc_seconds: The present.
        zone: Of the site, in whose calendar days and months are.
        extent: Where the history begins and ends.

    Raises:
        OptionError: The words mean no span.
        ReportError: The history holds nothing of it.
    """
    now = int(now_utc_seconds // SECONDS_PER_MINUTE) * SECONDS_PER_MINUTE
    label, start, end = _span(asked, now, zone, extent)
    if end >= now and extent[0] >= now:
        raise ReportError("the history has no whole minute yet; ask again in a minute")
    if start >= now:
        raise ReportError(f"{label} has not begun yet; it is {_moment(now, zone)}")
    end = min(end, now)
    if end <= extent[0]:
        raise ReportError(
            f"{label} is before the history begins ({_moment(extent[0], zone)}); ask for a later window, or "
            "for --window all"
        )
    if start >= extent[1]:
        raise ReportError(
            f"the history holds nothing of {label}: it ends at {_moment(extent[1], zone)}. Is the agent "
            "running (evenwatt status)? Ask for an earlier window, or for --window all"
        )
    return ReportWindow(
        label=label, start_utc_seconds=float(start), end_utc_seconds=float(end), zone_name=_zone_name(zone)
    )


def in_words(label: str) -> str:
    """Return the label of a window as it stands in a sentence, after "over"."""
    if _LENGTH.fullmatch(label):
        return f"the last {label}"
    return _SAID.get(label, label)


def _span(asked: AskedWindow, now: int, zone: tzinfo, extent: tuple[int, int]) -> tuple[str, int, int]:
    has_dates = asked.first is not None or asked.last is not None
    if sum((asked.window is not None, has_dates, asked.month is not None)) > 1:
        raise OptionError("--window, --month and --from/--to exclude each other; give one of them")
    if asked.month is not None:
        return _month_span(asked.month, zone)
    if has_dates:
        return _dates_span(asked, now, zone)
    return _named_span(asked.window or DEFAULT_WINDOW, now, zone, extent)


def _named_span(window: str, now: int, zone: tzinfo, extent: tuple[int, int]) -> tuple[str, int, int]:
    if window == "all":
        return window, extent[0], max(extent[1], now)
    today = datetime.fromtimestamp(now, zone).date()
    if window in {"month", "year"}:
        first = today.replace(day=1) if window == "month" else today.replace(month=1, day=1)
        return window, _midnight(first, zone), now
    match = _LENGTH.fullmatch(window)
    if match is None:
        raise OptionError(f"--window: got {window!r}, expected {_WINDOWS}")
    seconds = int(match[1]) * (SECONDS_PER_HOUR if match[2] == "h" else SECONDS_PER_DAY)
    return window, now - seconds, now


def _month_span(text: str, zone: tzinfo) -> tuple[str, int, int]:
    match = _MONTH.fullmatch(text)
    if match is None or int(match[1]) not in _YEARS:
        raise OptionError(f"--month: got {text!r}, expected a year and a month, such as 2026-10")
    year, month = int(match[1]), int(match[2])
    after = (year + 1, 1) if month == _DECEMBER else (year, month + 1)
    return text, _midnight(date(year, month, 1), zone), _midnight(date(*after, 1), zone)


def _dates_span(asked: AskedWindow, now: int, zone: tzinfo) -> tuple[str, int, int]:
    if asked.first is None:
        raise OptionError("--to needs --from: the first day of the window")
    first = _date("--from", asked.first)
    if asked.last is None:
        return f"{first} to now", _midnight(first, zone), now
    last = _date("--to", asked.last)
    if last < first:
        raise OptionError(f"--to: got {last}, expected a day that is not before --from ({first})")
    return f"{first} to {last}", _midnight(first, zone), _midnight(last + timedelta(days=1), zone)


def _date(option: str, text: str) -> date:
    try:
        found = date.fromisoformat(text) if _DAY.fullmatch(text) else None
    except ValueError:
        found = None
    if found is None or found.year not in _YEARS:
        raise OptionError(f"{option}: got {text!r}, expected a date such as 2026-10-01")
    return found


def _midnight(day: date, zone: tzinfo) -> int:
    return int(datetime.combine(day, time(), tzinfo=zone).timestamp())


def _moment(utc_seconds: int, zone: tzinfo) -> str:
    return datetime.fromtimestamp(utc_seconds, zone).strftime("%Y-%m-%d %H:%M %Z")


def _zone_name(zone: tzinfo) -> str:
    return str(getattr(zone, "key", None) or zone)
