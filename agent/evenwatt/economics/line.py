"""A straight line through points by ordinary least squares, and how good it is."""

import math
from collections.abc import Iterable, Sequence
from operator import mul

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
    xs, ys = zip(*points, strict=True)
    mean_x, mean_y = math.fsum(xs) / len(xs), math.fsum(ys) / len(ys)
    from_mean_x, from_mean_y = [x - mean_x for x in xs], [y - mean_y for y in ys]
    square_x, square_y = _product_sum(from_mean_x, from_mean_x), _product_sum(from_mean_y, from_mean_y)
    slope = _product_sum(from_mean_x, from_mean_y) / square_x
    intercept = mean_y - slope * mean_x
    residuals = [y - slope * x for x, y in zip(from_mean_x, from_mean_y, strict=True)]
    variance = _product_sum(residuals, residuals) / (len(points) - 2)
    return FittedLine(
        slope=slope,
        intercept=intercept,
        slope_error=math.sqrt(variance / square_x),
        intercept_error=math.sqrt(variance * (1 / len(points) + mean_x**2 / square_x)),
        r_squared=1 - variance * (len(points) - 2) / square_y if square_y else None,
    )


def _product_sum(these: Iterable[float], those: Iterable[float]) -> float:
    return math.fsum(map(mul, these, those))
