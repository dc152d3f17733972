"""The signature curve in a terminal, in braille dots."""

import math

from evenwatt.sinks.report.axes import Axis
from evenwatt.sinks.report.curve import Curve, curve_of
from evenwatt.sinks.words import clean, per_mtok, percent, shortened
from evenwatt.snapshot.report.values import Report

__all__ = ["curve_lines"]

_HEIGHT = 14
_LABEL_WIDTH = 9
_MOST_NAME = 28
_OBSERVED, _MARK = "◆", "●"


def curve_lines(report: Report, *, width: int) -> tuple[list[str], list[str]]:
    """Return the curve with its axes, and sentences that may be broken; both empty where it is not known."""
    curve = report_curve(report, label_distance=100 / _HEIGHT)
    if curve is None:
        return [], []
    columns = width - _LABEL_WIDTH - 2
    lines = _plot(curve, columns)
    labels = _cost_labels(curve.costs)
    head = f"{report.head.currency} per Mtok, logarithmic, against load"
    drawn = [f"{labels.get(row, ''):>{_LABEL_WIDTH}} │{line}".rstrip() for row, line in enumerate(lines)]
    foot = f"{'':{_LABEL_WIDTH}} └{'─' * columns}"
    return [head, *drawn, foot, _load_labels(curve.loads, columns)], _legend(curve)


def report_curve(report: Report, *, label_distance: float) -> Curve | None:
    """Return the picture of a report's curve; None where it is not known."""
    if report.curve is None:
        return None
    line, observed = report.curve.line, report.curve.observed
    loads = {item.reference: item.break_even_load_ratio for item in report.comparisons}
    return curve_of(
        fixed_cost_per_hour=line.fixed_cost_per_hour,
        load_cost_per_hour=line.load_cost_per_hour,
        mtok_per_hour=line.mtok_per_hour,
        observed=(observed.load_ratio, observed.cost_per_mtok),
        prices=[(clean(name), price, loads.get(name)) for name, price in report.curve.api_prices.items()],
        label_distance=label_distance,
    )


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
        canvas.text(left, price.label_y, name)
        if price.mark is not None:
            canvas.text(min(price.mark.x, 99.5), price.mark.y, _MARK)
    if curve.observed is not None:
        canvas.text(min(curve.observed.x, 99.5), min(curve.observed.y, 99.5), _OBSERVED)
    return [line.replace("⠀", " ") for line in canvas.plot().splitlines()]


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


def _legend(curve: Curve) -> list[str]:
    lines = []
    if curve.observed is not None:
        lines.append(
            f"{_OBSERVED} this window: {percent(curve.observed.load)}, "
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
