"""The week as a heat map: how dark each of its hours is, and what it says in words."""

from msgspec import Struct

from evenwatt.sinks.report.calendar import WEEKDAYS
from evenwatt.sinks.report.weekly import hour_words, thousands
from evenwatt.snapshot.report.values import Report

__all__ = ["HeatCell", "heat_cells"]

_LEAST_SHADE = 0.1
"""So that a cell with little is told from one with nothing."""


class HeatCell(Struct, frozen=True, kw_only=True):
    """An hour of the week.

    Attributes:
        shade: 0 to 1; None where nothing is known of it.
    """

    weekday: int
    hour: int
    shade: float | None
    words: str


def heat_cells(report: Report) -> tuple[HeatCell, ...]:
    """Return the hours of the week by their mean tokens; empty where none was served."""
    most = max((cell.tokens_per_hour or 0.0 for cell in report.week.cells), default=0.0)
    if most <= 0:
        return ()
    return tuple(
        HeatCell(
            weekday=cell.weekday,
            hour=cell.hour,
            shade=_shade(cell.tokens_per_hour, most),
            words=_cell_words(cell.weekday, cell.hour, cell.tokens_per_hour),
        )
        for cell in report.week.cells
    )


def _shade(tokens: float | None, most: float) -> float | None:
    if tokens is None:
        return None
    return 0.0 if tokens <= 0 else _LEAST_SHADE + (1 - _LEAST_SHADE) * tokens / most


def _cell_words(weekday: int, hour: int, tokens: float | None) -> str:
    told = "not in the history" if tokens is None else f"{thousands(tokens)} thousand tokens an hour"
    return f"{WEEKDAYS[weekday]}, {hour_words(hour)}: {told}"
