"""Days, spans of days and moments of a report, in the site's time zone and without ambiguity."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from msgspec import Struct

from evenwatt.economics.cost import Costs
from evenwatt.economics.sums import known_sum, whole_sum
from evenwatt.economics.tokens import Tokens
from evenwatt.snapshot.report.traffic import ReportDay
from evenwatt.snapshot.report.values import ReportWindow

__all__ = ["WEEKDAYS", "DaySpan", "day_spans", "day_words", "moment_words", "span_words", "window_words"]

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MOST_DAYS = 62
"""More are drawn and listed by week: a bar needs some width on a phone."""
_MOST_WEEKS = 62
"""More of these by month."""


class DaySpan(Struct, frozen=True, kw_only=True):
    """A day, a week or a month of the report, as far as it lies in the window.

    Attributes:
        costs: A component is None where it is of one of the days.
        idle_cost: Likewise.
        accounted_seconds: That the history holds of it.
    """

    first: date
    last: date
    seconds: float
    accounted_seconds: float
    tokens: Tokens
    costs: Costs
    idle_cost: float | None


def day_spans(days: Sequence[ReportDay]) -> tuple[str, tuple[DaySpan, ...]]:
    """Return what one span is called (`day`, `week`, `month`) and the spans, oldest first."""
    if len(days) <= _MOST_DAYS:
        return "day", tuple(_span([day]) for day in days)
    weeks = _grouped(days, [day.date - timedelta(days=day.date.weekday()) for day in days])
    if len(weeks) <= _MOST_WEEKS:
        return "week", tuple(_span(group) for group in weeks)
    months = _grouped(days, [day.date.replace(day=1) for day in days])
    return "month", tuple(_span(group) for group in months)


def day_words(day: date, *, year: bool = True) -> str:
    """Return a date that no reader mistakes for another: `7 Oct 2026`."""
    return f"{day.day} {_MONTHS[day.month - 1]}{f' {day.year}' if year else ''}"


def span_words(first: date, last: date) -> str:
    """Return a span of days."""
    if first == last:
        return day_words(first)
    if (first.year, first.month) == (last.year, last.month):
        return f"{first.day} to {day_words(last)}"
    return f"{day_words(first, year=first.year != last.year)} to {day_words(last)}"


def moment_words(utc_seconds: float, zone_name: str) -> str:
    """Return a moment by the site's clock, with its offset from UTC."""
    local = datetime.fromtimestamp(utc_seconds, _zone(zone_name))
    return f"{day_words(local.date())}, {local:%H:%M} {local:%Z}"


def window_words(window: ReportWindow) -> str:
    """Return the span of a window: whole days as days, else moments."""
    zone = _zone(window.zone_name)
    start = datetime.fromtimestamp(window.start_utc_seconds, zone)
    end = datetime.fromtimestamp(window.end_utc_seconds, zone)
    if _is_midnight(start) and _is_midnight(end) and start < end:
        return span_words(start.date(), end.date() - timedelta(days=1))
    if start.date() == end.date():
        return f"{day_words(start.date())}, {start:%H:%M} to {end:%H:%M}"
    return f"{day_words(start.date())}, {start:%H:%M} to {day_words(end.date())}, {end:%H:%M}"


def _is_midnight(moment: datetime) -> bool:
    return (moment.hour, moment.minute, moment.second) == (0, 0, 0)


def _zone(name: str) -> tzinfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        return UTC


def _grouped(days: Sequence[ReportDay], keys: Sequence[date]) -> list[list[ReportDay]]:
    groups: dict[date, list[ReportDay]] = {}
    for key, day in zip(keys, days, strict=True):
        groups.setdefault(key, []).append(day)
    return list(groups.values())


def _span(days: Sequence[ReportDay]) -> DaySpan:
    return DaySpan(
        first=days[0].date,
        last=days[-1].date,
        seconds=sum(day.seconds for day in days),
        accounted_seconds=sum(day.accounted_seconds for day in days),
        tokens=Tokens(
            input_tokens=sum(day.tokens.input_tokens for day in days),
            cached_input_tokens=known_sum(day.tokens.cached_input_tokens for day in days),
            output_tokens=sum(day.tokens.output_tokens for day in days),
        ),
        costs=Costs(
            hardware=whole_sum([day.costs.hardware for day in days]),
            energy=whole_sum([day.costs.energy for day in days]),
            labour=whole_sum([day.costs.labour for day in days]),
            other=whole_sum([day.costs.other for day in days]),
        ),
        idle_cost=whole_sum([day.idle_cost for day in days]),
    )
