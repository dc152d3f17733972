"""How GPU sensors compare with a meter at the wall: a straight line through wall power over GPU power.

What rises with the GPUs' power at the wall is what they draw more, the losses of the power supply on it,
fans, and the processors that feed them; the slope holds all of that, the intercept what is drawn without.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

__all__ = ["LEAST_POINTS", "LEAST_SPREAD_WATTS", "SensorFit", "sensor_fit"]

LEAST_POINTS = 10
LEAST_SPREAD_WATTS = 30.0
"""GPU power that varies by less than this tells nothing of a slope."""

_TAIL_RATIO = 0.05
"""One minute that stands out at either end is no variation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SensorFit:
    """Wall power = `base_watts` + `factor` x GPU power.

    Attributes:
        standard_error: Of the factor.
        r2: Share of the variation of wall power that the line explains.
        spread_watts: Over how much of GPU power it was measured.
    """

    factor: float
    standard_error: float
    base_watts: float
    r2: float
    points: int
    spread_watts: float


def sensor_fit(points: Sequence[tuple[float, float]]) -> SensorFit | str:
    """Return the line through (GPU watts, wall watts) by least squares, or a sentence why there is none."""
    if len(points) < LEAST_POINTS:
        return f"{len(points)} whole minutes with both are too few; at least {LEAST_POINTS} are needed"
    spread = _spread(sorted(x for x, _ in points))
    if spread < LEAST_SPREAD_WATTS:
        return (
            f"the GPUs' power varied by {spread:,.0f} W only; a slope needs {LEAST_SPREAD_WATTS:,.0f} W at "
            "least. Let them idle for some minutes and work for some"
        )
    mean_x, mean_y = fmean(x for x, _ in points), fmean(y for _, y in points)
    square_x = math.fsum((x - mean_x) ** 2 for x, _ in points)
    square_y = math.fsum((y - mean_y) ** 2 for _, y in points)
    factor = math.fsum((x - mean_x) * (y - mean_y) for x, y in points) / square_x
    base = mean_y - factor * mean_x
    missed = math.fsum((y - base - factor * x) ** 2 for x, y in points)
    return SensorFit(
        factor=factor,
        standard_error=math.sqrt(missed / (len(points) - 2) / square_x),
        base_watts=base,
        r2=1.0 - missed / square_y if square_y else 0.0,
        points=len(points),
        spread_watts=spread,
    )


def _spread(values: Sequence[float]) -> float:
    cut = int(len(values) * _TAIL_RATIO)
    return values[len(values) - 1 - cut] - values[cut]
