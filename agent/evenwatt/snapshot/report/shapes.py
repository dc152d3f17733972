"""The shape of traffic over a window: steady, by day and night, or bursty, judged by stated measures.

With x the tokens of an hour, over n hours: mean m = sum x / n, variance v = sum x^2 / n - m^2, coefficient of
variation sqrt(v) / m. The share of v that the hour of the day explains is the variance of the 24 hourly
means, each weighed by its hours, over v.
"""

import math
from collections.abc import Callable, Mapping

from evenwatt.snapshot.report.calendar import HoursOfWeek
from evenwatt.snapshot.report.hours import CellTokens, ModelHours
from evenwatt.snapshot.report.traffic import ModelShape, Shape, TrafficShape
from evenwatt.units import SECONDS_PER_HOUR

__all__ = ["machine_cells", "model_shapes", "traffic_shape"]

LEAST_HOURS = 48
"""Two days: a shape of less would be that of one night."""

STEADY_VARIATION = 0.5
DAY_NIGHT_EXPLAINED = 0.5
BATCH_IDLE_HOURS = 0.05
"""A model that works round the clock has hardly more idle hours than these."""

WHOLE_HOUR = 0.99
NIGHT = frozenset({22, 23, 0, 1, 2, 3, 4, 5})
WEEKEND = frozenset({5, 6})

Cells = Mapping[int, CellTokens]
"""By hour of the week, 0 to 167."""


def machine_cells(hours: HoursOfWeek) -> tuple[dict[int, CellTokens], dict[int, int]]:
    """Return what the machine served by hour of the week, and how many whole hours of each there were.

    Hours cut by the ends of the span, or by the beginning of the history, are left out.
    """
    least = WHOLE_HOUR * SECONDS_PER_HOUR
    served = {
        number: [row.total_tokens for row in rows if (row.seconds or 0.0) >= least]
        for number, rows in hours.items()
    }
    cells = {
        number: CellTokens(
            hours=sum(1 for value in tokens if value),
            tokens=sum(tokens),
            squares=float(sum(value * value for value in tokens)),
        )
        for number, tokens in served.items()
    }
    return cells, {number: len(tokens) for number, tokens in served.items()}


def traffic_shape(cells: Cells, passed: Mapping[int, int]) -> TrafficShape:
    """Return the shape of some tokens.

    Args:
        cells: What was served by hour of the week.
        passed: How many hours of each there were; in those that no cell has, nothing was served.
    """
    hours = sum(passed.values())
    tokens = sum(cell.tokens for cell in cells.values())
    if not hours:
        return TrafficShape(shape=None, hours=0)
    idle = max(1 - sum(cell.hours for cell in cells.values()) / hours, 0.0)
    if hours < LEAST_HOURS or not tokens:
        return TrafficShape(shape=None, hours=hours, idle_hours_ratio=idle)
    mean = tokens / hours
    variance = max(sum(cell.squares for cell in cells.values()) / hours - mean**2, 0.0)
    variation = math.sqrt(variance) / mean
    explained = _explained_by_hour(cells, passed, mean, variance)
    return TrafficShape(
        shape=_shape(variation, explained),
        hours=hours,
        variation_ratio=variation,
        explained_by_hour_ratio=explained,
        idle_hours_ratio=idle,
        night_ratio=_share(cells, tokens, lambda number: number % 24 in NIGHT),
        weekend_ratio=_share(cells, tokens, lambda number: number // 24 in WEEKEND),
    )


def model_shapes(
    by_model: ModelHours, passed: Mapping[int, int], tokens: Mapping[tuple[str, str], float]
) -> tuple[ModelShape, ...]:
    """Return the shape of each model that served any token, the most tokens first.

    Args:
        by_model: What each served by hour of the week.
        passed: How many hours of each there were.
        tokens: Of each, over the whole window.
    """
    total = sum(tokens.values())
    shapes = []
    for (engine, model), own in tokens.items():
        if own:
            shape = traffic_shape(by_model.get((engine, model), {}), passed)
            shapes.append(
                ModelShape(
                    engine=engine,
                    model=model,
                    traffic=shape,
                    token_share=own / total,
                    is_batch_like=(
                        shape.shape is Shape.STEADY and (shape.idle_hours_ratio or 0.0) <= BATCH_IDLE_HOURS
                    ),
                )
            )
    return tuple(sorted(shapes, key=lambda shape: (-shape.token_share, shape.engine, shape.model)))


def _shape(variation: float, explained: float) -> Shape:
    if variation <= STEADY_VARIATION:
        return Shape.STEADY
    return Shape.DAY_NIGHT if explained >= DAY_NIGHT_EXPLAINED else Shape.BURSTY


def _explained_by_hour(cells: Cells, passed: Mapping[int, int], mean: float, variance: float) -> float:
    if not variance:
        return 0.0
    between = 0.0
    for hour in range(24):
        numbers = range(hour, 168, 24)
        count = sum(passed.get(number, 0) for number in numbers)
        tokens = sum(cells[number].tokens for number in numbers if number in cells)
        between += count * (tokens / count - mean) ** 2 if count else 0.0
    return min(between / sum(passed.values()) / variance, 1.0)


def _share(cells: Cells, tokens: float, is_in: Callable[[int], bool]) -> float:
    return sum(cell.tokens for number, cell in cells.items() if is_in(number)) / tokens
