"""The signature picture: cost per million tokens against load, what was observed, and each API's price.

The vertical axis is logarithmic. An idle machine's tokens cost a hundred times those of a busy one; on an
even axis either would be all that is seen.
"""

import math
from collections.abc import Iterator, Sequence

from msgspec import Struct
from msgspec.structs import replace

from evenwatt.sinks.curve.axes import Axis, linear_axis, log_axis

__all__ = ["Curve", "CurvePoint", "PriceLine", "curve_of"]

_POINTS = 80
_ABOVE, _BELOW = 1.5, 1.4
"""Free space above and below what is drawn, as factors."""
_MIDDLE = 50.0
_NEAR = 9.0
_MOST_WRITTEN = 5
"""With more prices, loads are not written beside their marks: the table has them."""
_MOST_SPAN = 2_000.0
"""Dearest over cheapest that is drawn; the curve of a very idle machine leaves the plot at its top."""


class CurvePoint(Struct, frozen=True, kw_only=True):
    """A cost per million tokens at a load, and where it stands: percent from the left and the bottom."""

    load: float
    cost: float
    x: float
    y: float


class PriceLine(Struct, frozen=True, kw_only=True):
    """An API's price as a horizontal line.

    Attributes:
        number: Of the reference, from 0, for its colour.
        y: Where the line stands, in percent from the bottom.
        label_y: Where its label stands, so that no two labels overlap.
        is_label_left: At the beginning of the line, where the curve is not; else at its end.
        mark: Where our own cost crosses it, None where it never does or is not known.
        is_never: Whether it is known that it never does.
        has_room: Whether its load can be written beside the mark: few lines, and not at the observed point.
    """

    name: str
    number: int
    price: float
    y: float
    label_y: float
    is_label_left: bool
    mark: CurvePoint | None
    is_never: bool
    has_room: bool = True


class Curve(Struct, frozen=True, kw_only=True):
    """What is drawn.

    Attributes:
        points: Of our own cost, from low to high load.
        observed: The load and cost of the window.
        observed_label_y: Where its label stands, so that it does not overlap one of a price.
    """

    loads: Axis
    costs: Axis
    points: tuple[CurvePoint, ...]
    observed: CurvePoint | None
    observed_label_y: float
    prices: tuple[PriceLine, ...]


def curve_of(
    *,
    fixed_cost_per_hour: float,
    load_cost_per_hour: float,
    mtok_per_hour: float,
    observed: tuple[float, float] | None,
    prices: Sequence[tuple[str, float, float | None]],
    label_distance: float,
) -> Curve | None:
    """Return the picture; None where at full load nothing is served or costs anything.

    Args:
        fixed_cost_per_hour: F, at no load.
        load_cost_per_hour: V, on top at full load.
        mtok_per_hour: T, at full load. A million tokens cost (F + V L) / (T L).
        observed: Load and cost of the window.
        prices: Name, price and break-even load of each API; `math.inf` is never, None is not known.
        label_distance: The least distance of two labels, in percent of the height.
    """
    machine = _Machine(fixed=fixed_cost_per_hour, load=load_cost_per_hour, mtok=mtok_per_hour)
    if mtok_per_hour <= 0 or fixed_cost_per_hour <= 0:
        return None
    known = [(name, price, load) for name, price, load in prices if price > 0]
    plot = _Plot(
        loads=linear_axis(max(1.0, observed[0] if observed else 0.0), ticks=5),
        costs=_cost_axis(machine.cost_at(1.0), observed, [price for _, price, _ in known]),
    )
    seen = plot.point(*observed) if observed and observed[1] > 0 else None
    lines = _with_labels(
        [_price_line(plot, machine, number, *told) for number, told in enumerate(known)], label_distance
    )
    few = len(lines) <= _MOST_WRITTEN
    return Curve(
        loads=plot.loads,
        costs=plot.costs,
        points=tuple(_points(plot, machine)),
        observed=seen,
        observed_label_y=0.0 if seen is None else _free_above(seen, lines, label_distance),
        prices=tuple(replace(line, has_room=few and _has_room(line.mark, seen)) for line in lines),
    )


class _Machine(Struct, frozen=True, kw_only=True):
    """What an hour costs without load, what full load adds, and the million tokens that it yields."""

    fixed: float
    load: float
    mtok: float

    def cost_at(self, load: float) -> float:
        return (self.fixed / load + self.load) / self.mtok

    def load_at(self, cost: float) -> float:
        """Return the load at which a million tokens come down to a cost; infinite where they never do."""
        margin = cost * self.mtok - self.load
        return self.fixed / margin if margin > 0 else math.inf


class _Plot(Struct, frozen=True, kw_only=True):
    loads: Axis
    costs: Axis

    def point(self, load: float, cost: float) -> CurvePoint:
        return CurvePoint(load=load, cost=cost, x=self.loads.position(load), y=self.costs.position(cost))


def _points(plot: _Plot, machine: _Machine) -> Iterator[CurvePoint]:
    """Yield points from where the curve enters the plot at its top; evenly by the logarithm of the load."""
    most = plot.loads.most
    first = min(max(machine.load_at(plot.costs.most), 1e-9), most)
    growth = (most / first) ** (1 / (_POINTS - 1))
    for number in range(_POINTS):
        load = min(first * growth**number, most)
        yield plot.point(load, machine.cost_at(load))


def _price_line(
    plot: _Plot, machine: _Machine, number: int, name: str, price: float, load: float | None
) -> PriceLine:
    is_reached = load is not None and load <= plot.loads.most
    return PriceLine(
        name=name,
        number=number,
        price=price,
        y=plot.costs.position(price),
        label_y=plot.costs.position(price),
        is_label_left=plot.loads.position(machine.load_at(price)) > _MIDDLE,
        mark=plot.point(load, price) if load is not None and is_reached else None,
        is_never=load is not None and math.isinf(load),
    )


def _has_room(mark: CurvePoint | None, observed: CurvePoint | None) -> bool:
    if mark is None or observed is None:
        return True
    return abs(mark.x - observed.x) > _NEAR or abs(mark.y - observed.y) > _NEAR


def _free_above(observed: CurvePoint, lines: tuple[PriceLine, ...], distance: float) -> float:
    """Return the nearest place above the point that is free of the labels on its side."""
    place = observed.y
    for line in lines:
        on_its_side = line.is_label_left is (observed.x > _MIDDLE)
        if on_its_side and abs(line.label_y - place) < distance:
            place = line.label_y + distance
    return place


def _cost_axis(full: float, observed: tuple[float, float] | None, prices: list[float]) -> Axis:
    shown = [full, *prices, *([observed[1]] if observed and observed[1] > 0 else [])]
    least = min(shown) / _BELOW
    most = max(*shown, full * 10.0) * _ABOVE
    return log_axis(least, min(most, max(least * _MOST_SPAN, max(shown) * _ABOVE)))


def _with_labels(lines: list[PriceLine], distance: float) -> tuple[PriceLine, ...]:
    """Set labels apart that are on the same side and too near to each other; the cheapest line first."""
    ordered = sorted(lines, key=lambda line: line.y)
    placed: list[PriceLine] = []
    for is_left in (True, False):
        side = [line for line in ordered if line.is_label_left is is_left]
        places = _apart([line.y for line in side], distance)
        placed += [replace(line, label_y=place) for line, place in zip(side, places, strict=True)]
    return tuple(sorted(placed, key=lambda line: line.y))


def _apart(places: list[float], distance: float) -> list[float]:
    """Push places that are too near up, from the lowest on, and back down from the top."""
    apart: list[float] = []
    for place in places:
        apart.append(max(place, apart[-1] + distance) if apart else place)
    highest = 100.0 - distance
    for number in range(len(apart) - 1, -1, -1):
        apart[number] = min(apart[number], highest)
        highest = apart[number] - distance
    return apart
