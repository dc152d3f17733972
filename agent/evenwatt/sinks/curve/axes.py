"""Axes of pictures: where a value stands, in percent of the plot, and which values are written beside it."""

import math

from msgspec import Struct

__all__ = ["Axis", "Tick", "linear_axis", "log_axis"]

_STEPS = (1, 2, 2.5, 5, 10)
_LOG_STEPS = ((1, 2, 5), (1, 3), (1,))
_MOST_LOG_TICKS = 8


class Tick(Struct, frozen=True, kw_only=True):
    """A value that is written beside an axis.

    Attributes:
        position: Where it stands, in percent of the axis from its beginning.
    """

    value: float
    position: float


class Axis(Struct, frozen=True, kw_only=True):
    """The values from `least` to `most`, evenly or by their logarithm."""

    least: float
    most: float
    ticks: tuple[Tick, ...] = ()
    is_log: bool = False

    def position(self, value: float) -> float:
        """Return where a value stands, in percent from the beginning; values outside stand at the ends."""
        if self.is_log:
            least, most, at = (math.log(number) for number in (self.least, self.most, max(value, self.least)))
        else:
            least, most, at = self.least, self.most, value
        return min(max((at - least) / (most - least), 0.0), 1.0) * 100.0


def linear_axis(most: float, *, ticks: int = 4) -> Axis:
    """Return an axis from zero to a round number that is not less than `most`."""
    most = most if most > 0 and math.isfinite(most) else 1.0
    rough = most / ticks
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(step * power for step in _STEPS if step * power >= rough * (1 - 1e-9))
    count = math.ceil(most / step - 1e-9)
    axis = Axis(least=0.0, most=count * step)
    return _with_ticks(axis, [number * step for number in range(count + 1)])


def log_axis(least: float, most: float) -> Axis:
    """Return an axis by logarithm that has both values, and the most of 1-2-5, 1-3 and 1 that is legible."""
    axis = Axis(least=least, most=most, is_log=True)
    decades = range(math.floor(math.log10(least)), math.ceil(math.log10(most)) + 1)
    values: list[float] = []
    for steps in _LOG_STEPS:
        values = [step * 10.0**decade for decade in decades for step in steps]
        values = [value for value in values if least <= value * (1 + 1e-9) and value <= most * (1 + 1e-9)]
        if len(values) <= _MOST_LOG_TICKS:
            break
    return _with_ticks(axis, values)


def _with_ticks(axis: Axis, values: list[float]) -> Axis:
    ticks = tuple(Tick(value=value, position=axis.position(value)) for value in values)
    return Axis(least=axis.least, most=axis.most, ticks=ticks, is_log=axis.is_log)
