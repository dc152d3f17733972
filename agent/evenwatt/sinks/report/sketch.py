"""Pictures that are made of characters: sparklines, the shaded week, and the curve in small."""

from collections.abc import Sequence

from evenwatt.sinks.report.calendar import WEEKDAYS, day_spans
from evenwatt.snapshot.report.traffic import WeekMap
from evenwatt.snapshot.report.values import Report

__all__ = ["SHADES", "day_lines", "shade", "sparkline", "week_lines"]

SHADES = "·░▒▓█"
"""From nothing to the peak; the first is for exactly nothing."""
_BARS = "▁▂▃▄▅▆▇█"
_NO_VALUE = " "


def day_lines(report: Report) -> list[str]:
    """Return cost, the idle part of it on the same scale, and tokens of each day, week or month."""
    unit, spans = day_spans(report.days)
    costs = [span.costs.known if span.accounted_seconds else None for span in spans]
    idle = [span.idle_cost if span.accounted_seconds else None for span in spans]
    tokens = [span.tokens.total_tokens if span.accounted_seconds else None for span in spans]
    most = max((cost for cost in costs if cost is not None), default=0.0)
    return [
        f"{label:<16}{sparkline(values, most=limit)}".rstrip()
        for label, values, limit in (
            (f"cost each {unit}", costs, most),
            ("of it idle", idle, most),
            ("tokens", tokens, None),
        )
        if any(value is not None for value in values)
    ]


def sparkline(values: Sequence[float | None], *, most: float | None = None) -> str:
    """Return one character for each value, zero at the bottom; a blank where it is not known.

    Args:
        values: From the left.
        most: What the highest bar stands for; None: the greatest of them.
    """
    if most is None:
        most = max((value for value in values if value is not None), default=0.0)
    return "".join(_NO_VALUE if value is None else _level(value, most, _BARS) for value in values)


def shade(value: float | None, most: float) -> str:
    """Return the shade of a value between zero and the peak; a blank where it is not known."""
    if value is None:
        return _NO_VALUE
    if value <= 0 or most <= 0:
        return SHADES[0]
    return _level(value, most, SHADES[1:])


def week_lines(week: WeekMap, *, wide: int) -> list[str]:
    """Return the week as a row of shades for each weekday below a row of hours.

    Args:
        week: Means of tokens an hour.
        wide: How many characters an hour takes.
    """
    most = max((cell.tokens_per_hour or 0.0 for cell in week.cells), default=0.0)
    every = 3 if wide > 1 else 6
    head = "".join(f"{hour:02d}".ljust(every * wide) for hour in range(0, 24, every)).rstrip()
    lines = [f"     {head}"]
    for weekday, name in enumerate(WEEKDAYS):
        cells = (week.cell(weekday, hour) for hour in range(24))
        row = "".join(shade(cell.tokens_per_hour, most) * wide for cell in cells)
        lines.append(f"{name[:3]}  {row}".rstrip())
    return lines


def _level(value: float, most: float, levels: str) -> str:
    share = value / most if most > 0 else 0.0
    return levels[min(int(share * len(levels)), len(levels) - 1)]
