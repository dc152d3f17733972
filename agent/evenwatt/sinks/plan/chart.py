"""The signature picture in a terminal: cost per Mtok against load, and a line for each API price.

Drawn here because plotting libraries for terminals take about as long to start as the whole command may. The
cost axis is logarithmic: the curve is one of 1 / load, and prices of different APIs lie far apart.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

__all__ = ["ASCII", "UNICODE", "Chart", "Glyphs", "Mark", "drawn"]

_LEFT = 9
"""Columns of the cost axis with its numbers."""
_ROOM = 1.25
"""How far the axis goes beyond what has to be seen on it."""
_LEAST_PICTURED_LOAD = 0.02
"""Left of it the curve runs off the top, or it would press all prices together at the bottom."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Glyphs:
    """What the picture is drawn with."""

    curve: str
    price: str
    even: str
    planned: str
    side: str
    corner: str
    floor: str


UNICODE = Glyphs(curve="●", price="─", even="◆", planned="▲", side="│", corner="└", floor="─")
ASCII = Glyphs(curve="*", price="-", even="X", planned="O", side="|", corner="+", floor="-")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A price of an API.

    Attributes:
        letter: Stands at the end of its line.
        even_load: Where the curve meets it; `math.inf` where it never does.
    """

    letter: str
    price: float
    even_load: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """What is to be drawn.

    Attributes:
        curve: Pairs of load and cost, by rising load.
        planned: Load and cost of the demand, where there is one.
    """

    curve: Sequence[tuple[float, float]]
    marks: Sequence[Mark]
    planned: tuple[float, float] | None = None


def drawn(chart: Chart, *, width: int, height: int, is_unicode: bool) -> list[str]:
    """Return the lines of the picture; none where there is nothing above 0 to draw.

    Args:
        chart: What is to be drawn.
        width: Of the whole picture.
        height: Of the area that the curve is in.
        is_unicode: Whether more than ASCII can be shown.
    """
    # What is free has no place on a logarithmic axis.
    chart = replace(chart, marks=tuple(mark for mark in chart.marks if mark.price > 0))
    scale = _scale(chart)
    if scale is None:
        return []
    columns = width - _LEFT - 2
    glyphs = UNICODE if is_unicode else ASCII
    cells = [[" "] * columns for _ in range(height)]
    for mark in chart.marks:
        row = scale.row(mark.price, height)
        for column in range(columns):
            cells[row][column] = glyphs.price
    _draw_curve(cells, chart, scale, glyphs.curve)
    for mark in chart.marks:
        if math.isfinite(mark.even_load) and mark.even_load > 0:
            cells[scale.row(mark.price, height)][_column(mark.even_load, columns)] = glyphs.even
    if chart.planned is not None:
        load, cost = chart.planned
        cells[scale.row(cost, height)][_column(load, columns)] = glyphs.planned
    return [*_framed(cells, chart, scale, glyphs), *_floor(columns, glyphs)]


@dataclass(frozen=True, slots=True)
class _Scale:
    low: float
    high: float

    def row(self, cost: float, height: int) -> int:
        """Return the row of a cost, the highest cost in row 0."""
        share = math.log(cost / self.low) / math.log(self.high / self.low)
        return min(max(round((1 - share) * (height - 1)), 0), height - 1)

    def cost(self, row: int, height: int) -> float:
        return float(self.low * (self.high / self.low) ** (1 - row / (height - 1)))


def _scale(chart: Chart) -> _Scale | None:
    costs = [cost for load, cost in chart.curve if load >= _LEAST_PICTURED_LOAD and cost > 0]
    seen = costs + [mark.price for mark in chart.marks]
    if not costs:
        return None
    return _Scale(min(seen) / _ROOM, max(seen) * _ROOM)


def _draw_curve(cells: list[list[str]], chart: Chart, scale: _Scale, glyph: str) -> None:
    height, columns = len(cells), len(cells[0])
    before: int | None = None
    for load, cost in chart.curve:
        if cost <= 0 or cost > scale.high:
            continue
        row, column = scale.row(cost, height), _column(load, columns)
        # Where the curve is steep it is drawn through all rows that it passes.
        top = row if before is None else min(row, before + 1)
        for passed in range(top, row + 1):
            cells[passed][column] = glyph
        before = row


def _framed(cells: list[list[str]], chart: Chart, scale: _Scale, glyphs: Glyphs) -> list[str]:
    height = len(cells)
    letters: dict[int, str] = {}
    for mark in chart.marks:
        row = scale.row(mark.price, height)
        letters[row] = letters.get(row, "") + mark.letter
    numbered = {0, height - 1, *range(0, height, 4)}
    lines = []
    for row, content in enumerate(cells):
        number = _axis_number(scale.cost(row, height)) if row in numbered else ""
        lines.append(f"{number:>{_LEFT - 1}} {glyphs.side}{''.join(content)}{letters.get(row, '')}".rstrip())
    return lines


def _floor(columns: int, glyphs: Glyphs) -> list[str]:
    ends = f"{'load 0%':<{columns // 2 - 1}}{'50%':<{columns - columns // 2 - 3}}100%"
    return [f"{'':>{_LEFT}}{glyphs.corner}{glyphs.floor * columns}", f"{'':>{_LEFT + 1}}{ends}"]


def _column(load: float, columns: int) -> int:
    return min(max(math.ceil(load * columns) - 1, 0), columns - 1)


def _axis_number(cost: float) -> str:
    return f"{cost:,.0f}" if cost >= 100 else f"{cost:.3g}"  # noqa: PLR2004 -- three digits are enough on an axis
