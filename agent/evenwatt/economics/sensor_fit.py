"""How GPU sensors compare with a meter at the wall: a straight line through wall power over GPU power.

What rises with the GPUs' power at the wall is what they draw more, the losses of the power supply on it,
fans, and the processors that feed them; the slope holds all of that, the intercept what is drawn without.
"""

from collections.abc import Sequence

from msgspec import Struct

from evenwatt.economics.line import fitted_line

__all__ = ["SensorFit", "sensor_fit"]

LEAST_POINTS = 10
LEAST_SPREAD_WATTS = 30.0
"""GPU power that varies by less than this tells nothing of a slope."""

_TAIL_RATIO = 0.05
"""One minute that stands out at either end is no variation."""


class SensorFit(Struct, frozen=True, kw_only=True):
    """Wall power = `base_watts` + `factor` x GPU power.

    Attributes:
        standard_error: Of the factor.
        r_squared: Share of the variation of wall power that the line explains.
        spread_watts: Over how much of GPU power it was measured.
    """

    factor: float
    standard_error: float
    base_watts: float
    r_squared: float
    points: int
    spread_watts: float


def sensor_fit(points: Sequence[tuple[float, float]]) -> SensorFit | str:
    """Return the line through (GPU watts, wall watts), or a sentence why there is none."""
    if len(points) < LEAST_POINTS:
        return f"{len(points)} whole minutes with both are too few; at least {LEAST_POINTS} are needed"
    spread = _spread(sorted(x for x, _ in points))
    if spread < LEAST_SPREAD_WATTS:
        return (
            f"the GPUs' power varied by {spread:,.0f} W only; a slope needs {LEAST_SPREAD_WATTS:,.0f} W at "
            "least. Let them idle for some minutes and work for some"
        )
    line = fitted_line(points)
    return SensorFit(
        factor=line.slope,
        standard_error=line.slope_error,
        base_watts=line.intercept,
        r_squared=line.r_squared or 0.0,
        points=len(points),
        spread_watts=spread,
    )


def _spread(values: Sequence[float]) -> float:
    cut = int(len(values) * _TAIL_RATIO)
    return values[len(values) - 1 - cut] - values[cut]
