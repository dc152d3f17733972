"""The power that a machine draws without load, fitted from hours that it spent under several loads.

A line through mean power over the rate of computed tokens: watts = idle_watts + joules_per_token
x tokens per second. A fit is an estimate: it carries its quality, and where the rate hardly varied there is
none, because a line through one point can have any slope.
"""

from collections.abc import Sequence
from math import fsum, sqrt

from msgspec import Struct
from msgspec.structs import replace

from evenwatt.economics.breakeven import WindowSums
from evenwatt.economics.line import fitted_line

__all__ = ["FitRefused", "PowerFit", "PowerPoint", "fitted_power", "with_fitted_idle"]

LEAST_POINTS = 24
"""A day of hours; fewer tell more of chance than of the machine."""

LEAST_VARIATION = 0.1
"""Standard deviation of the rate over its mean; below it the intercept is far from all that was seen."""


class PowerPoint(Struct, frozen=True, kw_only=True):
    """What a machine did over some time, an hour as a rule.

    Attributes:
        tokens_per_second: Computed input and output; cached input costs next to no power.
        watts: Mean power over the time that it was up.
    """

    tokens_per_second: float
    watts: float


class PowerFit(Struct, frozen=True, kw_only=True):
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


class FitRefused(Struct, frozen=True, kw_only=True):
    """Why there is no fit, in words."""

    reason: str


def fitted_power(points: Sequence[PowerPoint]) -> PowerFit | FitRefused:
    """Return the least-squares line through power against token rate, or why there can be none."""
    count = len(points)
    if count < LEAST_POINTS:
        return FitRefused(reason=f"only {count} whole hours were watched; {LEAST_POINTS} are needed")
    rates = [point.tokens_per_second for point in points]
    if not any(rates):
        return FitRefused(reason="no token was served")
    mean = fsum(rates) / count
    deviation = sqrt(fsum((rate - mean) ** 2 for rate in rates) / count)
    if deviation < LEAST_VARIATION * mean:
        return FitRefused(reason="the load hardly varied, so that power without load cannot be inferred")
    line = fitted_line([(point.tokens_per_second, point.watts) for point in points])
    if line.slope < 0 or line.intercept < 0:
        return FitRefused(reason="power does not rise with load in these hours: something else drives it")
    return PowerFit(
        idle_watts=line.intercept,
        joules_per_token=line.slope,
        idle_watts_error=line.intercept_error,
        joules_per_token_error=line.slope_error,
        r_squared=line.r_squared,
        points=count,
    )


def with_fitted_idle(sums: WindowSums, fit: PowerFit) -> WindowSums:
    """Return sums in which power without load is the fitted one: as if all up time had been idle at it.

    For a window in which the machine was never seen idle. `cost_line` takes idle power from the idle joules
    over the idle time, and the energy cost at no load from that power over all of the time.
    """
    up_seconds = sums.seconds - sums.down_seconds
    return replace(sums, idle_seconds=sums.seconds, idle_joules=fit.idle_watts * up_seconds)
