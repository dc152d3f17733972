"""A straight line through points by ordinary least squares, and how good it is."""

import math
from collections.abc import Sequence
from statistics import fmean

from msgspec import Struct

__all__ = ["FittedLine", "fitted_line"]


class FittedLine(Struct, frozen=True, kw_only=True):
    """y = `intercept` + `slope` x.

    Attributes:
        slope_error: One standard error of `slope`.
        intercept_error: One standard error of `intercept`.
        r_squared: The share of the variance of y that the line explains; None where y never varied.
    """

    slope: float
    intercept: float
    slope_error: float
    intercept_error: float
    r_squared: float | None


def fitted_line(points: Sequence[tuple[float, float]]) -> FittedLine:
    """Return the line through three points (x, y) or more, of which not all have the same x.

    Slope: sum((x - mean x)(y - mean y)) / sum((x - mean x)^2); intercept: mean y - slope x mean x. With n
    points and the residual variance s^2 = sum(residual^2) / (n - 2), the squared standard errors are
    s^2 / sxx for the slope and s^2 (1 / n + (mean x)^2 / sxx) for the intercept.
    """
    mean_x, mean_y = fmean(x for x, _ in points), fmean(y for _, y in points)
    square_x = math.fsum((x - mean_x) ** 2 for x, _ in points)
    square_y = math.fsum((y - mean_y) ** 2 for _, y in points)
    slope = math.fsum((x - mean_x) * (y - mean_y) for x, y in points) / square_x
    intercept = mean_y - slope * mean_x
    residual = math.fsum((y - intercept - slope * x) ** 2 for x, y in points)
    variance = residual / (len(points) - 2)
    return FittedLine(
        slope=slope,
        intercept=intercept,
        slope_error=math.sqrt(variance / square_x),
        intercept_error=math.sqrt(variance * (1 / len(points) + mean_x**2 / square_x)),
        r_squared=1 - residual / square_y if square_y else None,
    )
