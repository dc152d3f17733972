"""The signature curve in a terminal, in braille dots."""

import math

from evenwatt.sinks.curve.axes import Axis
from evenwatt.sinks.curve.geometry import Curve
from evenwatt.sinks.words import per_mtok, percent, shortened

__all__ = ["LABEL_DISTANCE", "curve_lines"]

_HEIGHT = 14
LABEL_DISTANCE = 100 / _HEIGHT
"""What two labels have to be apart: a line of text, in percent of the height."""
_LABEL_WIDTH = 9
_MOST_NAME = 28
_OBSERVED, _MARK = "◆", "●"


def curve_lines(
    curve: Curve, *, currency: str, observed: str, encoding: str, width: int
) -> tuple[list[str], list[str]]:
    """Return the curve with its axes, and sentences that may be broken.

    Both are empty where the terminal has no such characters: behind the picture stands its table.

    Args:
        curve: Laid out with `LABEL_DISTANCE`.
        currency: Of its costs.
        observed: What its point is called: `this window`.
        encoding: Of the terminal.
        width: Of the picture.
    """
    if not encoding.lower().startswith("utf"):
        return [], []
    columns = width - _LABEL_WIDTH - 2
    lines = _plot(curve, columns)
    labels = _cost_labels(curve.costs)
    head = f"{currency} per Mtok, logarithmic, against load"
    drawn = [f"{labels.get(row, ''):>{_LABEL_WIDTH}} │{line}".rstrip() for row, line in enumerate(lines)]
    foot = f"{'':{_LABEL_WIDTH}} └{'─' * columns}"
    return [head, *drawn, foot, _load_labels(curve.loads, columns)], _legend(curve, observed)


def _plot(curve: Curve, columns: int) -> list[str]:
    # Imported when it is drawn: only a terminal needs it.
    from plotille import Canvas  # noqa: PLC0415

    canvas = Canvas(columns, _HEIGHT, xmin=0, ymin=0, xmax=100, ymax=100)
    for before, after in zip(curve.points, curve.points[1:], strict=False):
        canvas.line(before.x, before.y, after.x, after.y)
    column = 100.0 / columns
    for price in curve.prices:
        for number in range(0, columns, 2):
            canvas.line((number + 0.1) * column, price.y, (number + 0.8) * column, price.y)
    for price in curve.prices:
        name = f"{shortened(price.name, _MOST_NAME)} {per_mtok(price.price)}"
        left = 1.0 if price.is_label_left else max(99.0 - len(name) * 100 / columns, 0.0)
        canvas.text(left, _inside(price.label_y, _HEIGHT), name)
        if price.mark is not None:
            canvas.text(_inside(price.mark.x, columns), _inside(price.mark.y, _HEIGHT), _MARK)
    if curve.observed is not None:
        canvas.text(_inside(curve.observed.x, columns), _inside(curve.observed.y, _HEIGHT), _OBSERVED)
    return [line.replace("⠀", " ") for line in canvas.plot().splitlines()]


def _inside(percent: float, characters: int) -> float:
    """Return the nearest place on a side of so many characters: the canvas has none at its far edge."""
    return min(max(percent, 0.0), 100.0 - 50.0 / characters)


def _cost_labels(costs: Axis) -> dict[int, str]:
    labels: dict[int, str] = {}
    for tick in costs.ticks:
        row = _HEIGHT - 1 - min(int(tick.position / 100 * _HEIGHT), _HEIGHT - 1)
        labels[row] = f"{tick.value:,.6g}"
    return labels


def _load_labels(loads: Axis, columns: int) -> str:
    cells = [" "] * columns
    for tick in loads.ticks:
        words = f"{tick.value:.0%}"
        middle = math.floor(tick.position / 100 * columns)
        start = max(min(middle - len(words) // 2, columns - len(words)), 0)
        cells[start : start + len(words)] = words
    return f"{'':{_LABEL_WIDTH}}  {''.join(cells).rstrip()}"


def _legend(curve: Curve, observed: str) -> list[str]:
    lines = []
    if curve.observed is not None:
        lines.append(
            f"{_OBSERVED} {observed}: {percent(curve.observed.load)}, "
            f"{per_mtok(curve.observed.cost)} per Mtok"
        )
    marks = [
        f"{shortened(price.name, _MOST_NAME)} {percent(price.mark.load)}"
        for price in curve.prices
        if price.mark is not None
    ]
    if marks:
        lines.append(f"{_MARK} even with: {', '.join(marks)}")
    never = [shortened(price.name, _MOST_NAME) for price in curve.prices if price.is_never]
    if never:
        lines.append(f"never cheaper than {', '.join(never)}")
    return lines
