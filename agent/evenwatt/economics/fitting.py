"""The power that a machine draws without load, fitted from hours that it spent under several loads.

Ordinary least squares of mean power over the rate of computed tokens: watts = idle_watts + joules_per_token
x tokens per second. A fit is an estimate: it carries its quality, and where the rate hardly varied there is
none, because a line through one point can have any slope.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from evenwatt.economics.breakeven import WindowSums

__all__ = ["FitRefused", "PowerFit", "PowerPoint", "fitted_power", "with_fitted_idle"]

LEAST_POINTS = 24
"""A day of hours; fewer tell more of chance than of the machine."""

LEAST_VARIATION = 0.1
"""Standard deviation of the rate over its mean; below it the intercept is far from all that was seen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerPoint:
    """What a machine did over some time, an hour as a rule.

    Attributes:
        tokens_per_second: Computed input and output; cached input costs next to no power.
        watts: Mean power over the time that it was up.
    """

    tokens_per_second: float
    watts: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerFit:
    """A line through power against token rate, and how good it is.

    Attributes:
        idle_watts: Where the line meets no load.
        joules_per_token: Its slope: what a computed token adds.
        idle_watts_error: One standard error of `idle_watts`.
        joules_per_token_error: One standard error of `joules_per_token`.
        r_squared: The share of the variance of power that the line explains; None where power never varied.
        points: That it was fitted from.
    """

    idle_watts: float
    joules_per_token: float
    idle_watts_error: float
    joules_per_token_error: float
    r_squared: float | None
    points: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FitRefused:
    """Why there is no fit, in words."""

    reason: str


def fitted_power(points: Sequence[PowerPoint]) -> PowerFit | FitRefused:
    """Return the least-squares line through power against token rate, or why there can be none.

    Slope: sum((x - mean x)(y - mean y)) / sum((x - mean x)^2); intercept: mean y - slope x mean x. With n
    points and the residual variance s^2 = sum(residual^2) / (n - 2), the squared standard errors are
    s^2 / sxx for the slope and s^2 (1 / n + (mean x)^2 / sxx) for the intercept.
    """
    count = len(points)
    if count < LEAST_POINTS:
        return FitRefused(reason=f"only {count} whole hours were watched; {LEAST_POINTS} are needed")
    mean_rate = sum(point.tokens_per_second for point in points) / count
    mean_watts = sum(point.watts for point in points) / count
    rate_square = sum((point.tokens_per_second - mean_rate) ** 2 for point in points)
    if mean_rate <= 0:
        return FitRefused(reason="no token was served")
    if math.sqrt(rate_square / count) < LEAST_VARIATION * mean_rate:
        return FitRefused(reason="the load hardly varied, so that power without load cannot be inferred")
    slope = (
        sum((point.tokens_per_second - mean_rate) * (point.watts - mean_watts) for point in points)
        / rate_square
    )
    intercept = mean_watts - slope * mean_rate
    if slope < 0 or intercept < 0:
        return FitRefused(reason="power does not rise with load in these hours: something else drives it")
    return _with_quality(points, slope, intercept, mean_rate, mean_watts, rate_square)


def with_fitted_idle(sums: WindowSums, fit: PowerFit) -> WindowSums:
    """Return sums in which power without load is the fitted one: as if all up time had been idle at it.

    For a window in which the machine was never seen idle. `cost_line` takes idle power from the idle joules
    over the idle time, and the energy cost at no load from that power over all of the time.
    """
    up_seconds = sums.seconds - sums.down_seconds
    return replace(sums, idle_seconds=sums.seconds, idle_joules=fit.idle_watts * up_seconds)


def _with_quality(
    points: Sequence[PowerPoint],
    slope: float,
    intercept: float,
    mean_rate: float,
    mean_watts: float,
    rate_square: float,
) -> PowerFit:
    count = len(points)
    residual = sum((point.watts - intercept - slope * point.tokens_per_second) ** 2 for point in points)
    spread = sum((point.watts - mean_watts) ** 2 for point in points)
    variance = residual / (count - 2)
    return PowerFit(
        idle_watts=intercept,
        joules_per_token=slope,
        idle_watts_error=math.sqrt(variance * (1 / count + mean_rate**2 / rate_square)),
        joules_per_token_error=math.sqrt(variance / rate_square),
        r_squared=1 - residual / spread if spread else None,
        points=count,
    )
