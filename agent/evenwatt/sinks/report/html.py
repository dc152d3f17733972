"""A report as one HTML file: no script, nothing to fetch, light and dark, from a phone to paper."""

import base64
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from evenwatt.sinks.curve.geometry import Curve
from evenwatt.sinks.report.calendar import WEEKDAYS
from evenwatt.sinks.report.charts import (
    ApiBars,
    DayBars,
    Segment,
    Split,
    api_bars,
    day_bars,
    splits,
)
from evenwatt.sinks.report.heat import HeatCell, heat_cells
from evenwatt.sinks.report.parts import Kind, Row, Table
from evenwatt.sinks.report.plotted import report_curve
from evenwatt.sinks.report.story import story
from evenwatt.sinks.words import UNKNOWN, aligned, per_mtok, percent, shortened
from evenwatt.snapshot.report.values import Report

if TYPE_CHECKING:
    from jinja2 import Environment

__all__ = ["render_html"]

_TEMPLATES = Path(__file__).parent / "templates"
_PALETTE = Path(__file__).parents[1] / "palette.css"
_CURVE_LABELS = 5.4
"""The least distance of two labels of the curve: a line of text, in percent of its height."""
_MOST_NAME = 28
_FIGURE_SPACE, _PUNCTUATION_SPACE = "\u2007", "\u2008"
"""As wide as a digit and as a decimal point."""


class _Pictures(Struct, frozen=True, kw_only=True):
    curve: Curve | None
    days: DayBars | None
    splits: tuple[Split, ...]
    apis: ApiBars | None
    heat: tuple[HeatCell, ...]


def render_html(report: Report) -> str:
    """Return a report as one HTML document.

    All text is escaped by the template engine. The document forbids itself, by its own policy, any script and
    any style but its own, so that a name that got through could still do nothing.
    """
    from markupsafe import Markup  # noqa: PLC0415 -- with the template engine, see _environment

    style = "".join(path.read_text(encoding="utf-8") for path in (_PALETTE, _TEMPLATES / "report.css"))
    return (
        _environment()
        .get_template("report.html")
        .render(
            told=story(report),
            outcome=report.verdict.outcome.value,
            currency=report.head.currency,
            pictures=_Pictures(
                curve=report_curve(report, label_distance=_CURVE_LABELS),
                days=day_bars(report) if len(report.days) > 1 else None,
                splits=splits(report),
                apis=api_bars(report),
                heat=heat_cells(report),
            ),
            style=Markup(style),  # noqa: S704 -- our own file
            style_hash=base64.b64encode(hashlib.sha256(style.encode()).digest()).decode(),
            unknown=UNKNOWN,
            weekdays=WEEKDAYS,
        )
    )


def _environment() -> "Environment":
    # Imported when it is used: commands that render for a terminal must not wait for it.
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # noqa: PLC0415

    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "axis": lambda value: f"{value:,.6g}",
        "named": _named,
        "pc": lambda value: f"{_two(value)}%",
        "per_mtok": per_mtok,
        "percent": percent,
        "set_rows": _set_rows,
        "shortened": lambda name: shortened(name, _MOST_NAME),
        "two": _two,
        "whole_percent": lambda value: f"{value:.0%}",
    }
    return environment


def _two(value: float) -> str:
    return f"{round(value, 2) + 0.0:.2f}".rstrip("0").rstrip(".")


def _named(segment: Segment) -> tuple[str, str]:
    return segment.name, segment.title


def _set_rows(table: Table) -> Iterator[Row]:
    """Yield the rows with the decimals of each column of numbers below one another."""
    columns = [
        aligned(table.column(number), digit=_FIGURE_SPACE, point=_PUNCTUATION_SPACE)
        if column.kind is Kind.NUMBER
        else table.column(number)
        for number, column in enumerate(table.columns)
    ]
    for row, cells in zip(table.rows, zip(*columns, strict=True), strict=True):
        yield replace(row, cells=cells)
