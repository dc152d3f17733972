"""Days, the week and its peaks, added up from the hours of a history; every mean is a sum over a sum."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from evenwatt.economics.cost import Costs
from evenwatt.economics.effective import cost_per_mtok
from evenwatt.economics.sums import known_sum
from evenwatt.economics.tokens import Tokens
from evenwatt.snapshot.report.hours import HourRow
from evenwatt.snapshot.report.localtime import LocalTime, date_of, hour_of_week
from evenwatt.snapshot.report.traffic import HourOfDay, HourOfWeek, PeakToTrough, ReportDay, WeekMap
from evenwatt.units import JOULES_PER_KWH, SECONDS_PER_HOUR

__all__ = ["HoursOfWeek", "by_hour_of_week", "days_of", "hours_sum", "row_costs", "row_tokens", "week_of"]

HoursOfWeek = Mapping[int, Sequence[HourRow]]
"""Single hours by their local hour of the week, 0 to 167; Monday 0 h first."""

WHOLE_HOUR = 0.99
"""The share of an hour that has to be accounted for; less was cut by an end of the span."""

Load = Callable[[HourRow], float | None]
"""The machine's token load over a row's accounted time."""


def hours_sum(hours: Iterable[HourRow]) -> HourRow:
    """Return several hours as one row, which begins with the first; unknown only where no part is known."""
    rows = list(hours)
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(HourRow._fields)
    begun, *values = columns
    sums: Iterable[Any] = (known_sum(column) for column in values)
    return HourRow(begun[0] if begun else 0, *sums)


def row_costs(row: HourRow) -> Costs:
    """Return the costs of a row; hardware and energy only where their prices were known for all of it."""
    return Costs(
        hardware=None if row.unpriced_seconds else row.hardware_cost,
        energy=None if row.unpriced_joules else row.energy_cost,
        labour=row.labour_cost,
        other=row.other_cost,
    )


def row_tokens(row: HourRow) -> Tokens:
    """Return the tokens of a row."""
    return Tokens(
        input_tokens=row.input_tokens or 0,
        cached_input_tokens=row.cached_input_tokens,
        output_tokens=row.output_tokens or 0,
    )


def days_of(hours: Sequence[HourRow], local: LocalTime) -> tuple[ReportDay, ...]:
    """Return every local day of the span, those before the history began with nothing accounted."""
    by_day: dict[int, list[HourRow]] = {}
    for number, row in _numbered(hours, local):
        by_day.setdefault(number // 24, []).append(row)
    return tuple(
        _day(number, start, seconds, hours_sum(by_day.get(number, ())))
        for number, start, seconds in local.days()
    )


def _day(number: int, start: int, seconds: int, row: HourRow) -> ReportDay:
    costs, tokens = row_costs(row), row_tokens(row)
    return ReportDay(
        date=date_of(number),
        start_utc_seconds=float(start),
        seconds=float(seconds),
        accounted_seconds=row.seconds or 0.0,
        estimated_seconds=row.estimated_seconds or 0.0,
        tokens=tokens,
        kwh=None if row.joules is None else row.joules / JOULES_PER_KWH,
        costs=costs,
        idle_cost=None if costs.full is None else row.idle_cost or 0.0,
        cost_per_mtok=cost_per_mtok(costs, tokens),
    )


def by_hour_of_week(hours: Sequence[HourRow], local: LocalTime) -> HoursOfWeek:
    """Return hours, oldest first, by the local hour of the week that they are."""
    cells: dict[int, list[HourRow]] = {}
    for number, row in _numbered(hours, local):
        cells.setdefault(hour_of_week(number), []).append(row)
    return cells


def _numbered(hours: Sequence[HourRow], local: LocalTime) -> Iterator[tuple[int, HourRow]]:
    """Yield each hour with its local number."""
    return zip(local.hour_numbers([row.utc_seconds for row in hours]), hours, strict=True)


def week_of(cells: HoursOfWeek, *, load: Load, is_approximate: bool) -> WeekMap:
    """Return the week of the site over a span.

    Args:
        cells: The hours of the span.
        load: The token load of a row.
        is_approximate: As `WeekMap` says.
    """
    hours = [row for rows in cells.values() for row in rows]
    sums = {number: hours_sum(rows) for number, rows in cells.items()}
    by_hour = tuple(_hour_of_day(hour, sums) for hour in range(24))
    total = hours_sum(sums.values())
    return WeekMap(
        cells=tuple(_cell(number, sums.get(number), load) for number in range(168)),
        hours_of_day=by_hour,
        peak=_peak_to_trough(hours, total, by_hour),
        is_approximate=is_approximate,
    )


def _cell(number: int, row: HourRow | None, load: Load) -> HourOfWeek:
    weekday, hour = divmod(number, 24)
    if row is None or not row.seconds:
        return HourOfWeek(weekday=weekday, hour=hour, hours=0.0)
    passed = row.seconds / SECONDS_PER_HOUR
    up_seconds = row.seconds - (row.down_seconds or 0.0)
    return HourOfWeek(
        weekday=weekday,
        hour=hour,
        hours=passed,
        tokens_per_hour=row.total_tokens / passed,
        load_ratio=load(row),
        cost_per_mtok=cost_per_mtok(row_costs(row), row_tokens(row)),
        watts=None if row.joules is None or up_seconds <= 0 else row.joules / up_seconds,
    )


def _hour_of_day(hour: int, sums: Mapping[int, HourRow]) -> HourOfDay:
    rows = [sums[number] for number in range(hour, 168, 24) if number in sums]
    passed = sum(row.seconds or 0.0 for row in rows) / SECONDS_PER_HOUR
    tokens = sum(row.total_tokens for row in rows)
    return HourOfDay(hour=hour, hours=passed, tokens_per_hour=tokens / passed if passed else None)


def _peak_to_trough(
    hours: Iterable[HourRow], total: HourRow, by_hour: Sequence[HourOfDay]
) -> PeakToTrough | None:
    tokens, passed = total.total_tokens, (total.seconds or 0.0) / SECONDS_PER_HOUR
    means = [(item.tokens_per_hour, item.hour) for item in by_hour if item.tokens_per_hour is not None]
    if not tokens or not passed or len(means) < len(by_hour):
        return None
    trough, trough_hour = min(means)
    peak, peak_hour = max(means, key=lambda mean: (mean[0], -mean[1]))
    whole = [row for row in hours if (row.seconds or 0.0) >= WHOLE_HOUR * SECONDS_PER_HOUR]
    busiest = max(whole, key=lambda row: (row.total_tokens, -row.utc_seconds), default=None)
    return PeakToTrough(
        peak_hour=peak_hour,
        peak_tokens_per_hour=peak,
        trough_hour=trough_hour,
        trough_tokens_per_hour=trough,
        ratio=peak / trough if trough else math.inf,
        busiest_utc_seconds=None if busiest is None else float(busiest.utc_seconds),
        busiest_tokens=None if busiest is None else float(busiest.total_tokens),
        busiest_over_mean=None if busiest is None else busiest.total_tokens / (tokens / passed),
    )
