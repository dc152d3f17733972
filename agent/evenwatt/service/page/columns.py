"""A stretch of the history as columns of numbers, which is what charts take; null where not known."""

from typing import Any

from evenwatt.economics.effective import cost_per_mtok
from evenwatt.sinks.history.series import Series
from evenwatt.snapshot.report.calendar import row_costs, row_tokens
from evenwatt.snapshot.report.hours import HourRow
from evenwatt.units import SECONDS_PER_HOUR

__all__ = ["columns_of"]


def columns_of(series: Series) -> dict[str, Any]:
    """Return a series; spans that the history holds nothing of have a moment, and null everywhere."""
    by_start = {row.utc_seconds: row for row in series.rows}
    starts = range(series.start_utc_seconds, series.end_utc_seconds, series.width_seconds)
    points = [_point(by_start.get(start)) for start in starts]
    return {
        "start_utc_seconds": series.start_utc_seconds,
        "end_utc_seconds": series.end_utc_seconds,
        "width_seconds": series.width_seconds,
        "first_utc_seconds": series.first_utc_seconds,
        "last_utc_seconds": series.last_utc_seconds,
        "utc_seconds": list(starts),
        **{name: [point[name] for point in points] for name in _point(None)},
    }


def _point(row: HourRow | None) -> dict[str, float | None]:
    if row is None or not row.seconds:
        return dict.fromkeys(
            (
                "power_watts",
                "input_tokens_per_second",
                "cached_input_tokens_per_second",
                "output_tokens_per_second",
                "hardware_cost_per_hour",
                "energy_cost_per_hour",
                "labour_cost_per_hour",
                "other_cost_per_hour",
                "idle_cost_per_hour",
                "cost_per_mtok",
                "estimated_ratio",
            )
        )
    seconds, hours = row.seconds, row.seconds / SECONDS_PER_HOUR
    costs, tokens = row_costs(row), row_tokens(row)
    return {
        "power_watts": _over(row.joules, seconds),
        "input_tokens_per_second": tokens.input_tokens / seconds,
        "cached_input_tokens_per_second": _over(tokens.cached_input_tokens, seconds),
        "output_tokens_per_second": tokens.output_tokens / seconds,
        "hardware_cost_per_hour": _over(costs.hardware, hours),
        "energy_cost_per_hour": _over(costs.energy, hours),
        "labour_cost_per_hour": _over(costs.labour, hours),
        "other_cost_per_hour": _over(costs.other, hours),
        "idle_cost_per_hour": None if costs.full is None else (row.idle_cost or 0.0) / hours,
        "cost_per_mtok": cost_per_mtok(costs, tokens),
        "estimated_ratio": (row.estimated_seconds or 0.0) / seconds,
    }


def _over(value: float | None, divisor: float) -> float | None:
    return None if value is None else value / divisor
