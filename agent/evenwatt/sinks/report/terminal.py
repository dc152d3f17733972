"""A report in a terminal: verdict first, tables that fit 80 columns, and more of them where there is room."""

from collections.abc import Iterator
from textwrap import wrap
from typing import TYPE_CHECKING

from evenwatt.sinks.curve.terminal import LABEL_DISTANCE, curve_lines
from evenwatt.sinks.report.overview import SIMULATED
from evenwatt.sinks.report.parts import Kind, Section, Stress, Table, narrowed
from evenwatt.sinks.report.plotted import report_curve
from evenwatt.sinks.report.sketch import SHADES, day_lines, week_lines
from evenwatt.sinks.report.story import Story, story
from evenwatt.sinks.words import UNKNOWN, aligned
from evenwatt.snapshot.report.values import Report

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table as RichTable

__all__ = ["print_report"]

_WIDE = 110
"""Columns from which on all of a table is shown."""
_MOST_TEXT = 100
"""Longer lines of prose are hard to read."""
_LEAST_NAME = 16
_GAP = 2
"""Between two columns; one of it is the box's."""
_LEGEND = f"{UNKNOWN}: not known"


def print_report(report: Report) -> None:
    """Print a report.

    Every string in it may come from an engine: nothing is taken for markup or for control characters.
    """
    # Imported when it is used: whoever renders for a browser has no terminal.
    from rich.console import Console  # noqa: PLC0415

    _Printer(Console(highlight=False, markup=False, emoji=False)).print(report, story(report))


class _Printer:
    """Sets the parts of a story one below the other."""

    def __init__(self, console: "Console") -> None:
        console.size = console.size  # not asked of the system anew for each line
        self._console = console
        self._is_wide = console.width >= _WIDE

    def print(self, report: Report, told: Story) -> None:
        if told.simulated:
            self._line(SIMULATED, style="bold reverse")
        self._line(f"{told.title}, {told.window}", style="dim")
        self._console.line()
        self._line(told.verdict, style="bold")
        if told.line_to_write is not None:
            self._line(f"To write, with your value: {told.line_to_write}")
        self._console.line()
        self._figures(told)
        for section in told.sections:
            self._section(report, section)
        for text, line in told.assumed:
            self._line(f"Assumed: {text}")
            self._line(f"    To write, with your value: {line}", style="dim")
        self._line(told.colophon, style="dim")

    def _line(self, text: str, *, style: str = "") -> None:
        from rich.text import Text  # noqa: PLC0415 -- see print_report

        lines = Text(text, style=style).wrap(self._console, min(self._console.width, _MOST_TEXT))
        for line in lines:
            line.rstrip()
        self._console.print(*lines, sep="\n", no_wrap=True, crop=False)

    def _figures(self, told: Story) -> None:
        table = self._grid()
        table.add_column(no_wrap=True)
        table.add_column(justify="right", no_wrap=True, style="bold")
        table.add_column(style="dim")
        values = aligned([figure.value or "not known" for figure in told.figures])
        for figure, value in zip(told.figures, values, strict=True):
            table.add_row(figure.label, value, figure.note)
        self._console.print(table)
        self._console.line()

    def _section(self, report: Report, section: Section) -> None:
        self._line(section.title.upper(), style="bold")
        for lead in section.leads:
            self._line(lead)
        self._console.line()
        self._picture(report, section.name)
        shown = [table for table in section.tables if not table.is_detail]
        for table in shown:
            self._table(table if self._is_wide else narrowed(table))
        is_missing = any(UNKNOWN in row.cells for table in shown for row in table.rows)
        notes = [*([_LEGEND] if is_missing else []), *section.notes]
        for note in notes:
            self._line(note, style="dim")
        if notes:
            self._console.line()

    def _picture(self, report: Report, name: str) -> None:
        if name == "load":
            self._curve(report)
        if name == "money" and len(report.days) > 1:
            self._block(day_lines(report))
        if name == "traffic" and report.week.has_tokens:
            wide = 4 if self._is_wide else 3
            unwatched = any(cell.tokens_per_hour is None for cell in report.week.cells)
            blank = "  blank: not in the history" if unwatched else ""
            self._block(
                [*week_lines(report.week, wide=wide), "", f"none {SHADES[0]}  {SHADES[1:]} peak{blank}"]
            )

    def _curve(self, report: Report) -> None:
        curve = report_curve(report, label_distance=LABEL_DISTANCE)
        if curve is None:
            return
        plot, legend = curve_lines(
            curve,
            currency=report.head.currency,
            observed="this window",
            encoding=self._console.encoding,
            width=min(self._console.width, _MOST_TEXT),
        )
        self._block(plot)
        for line in legend:
            self._line(line)
        self._console.line()

    def _block(self, lines: Iterator[str] | list[str]) -> None:
        self._console.print("\n".join(lines), no_wrap=True, crop=True, overflow="crop")
        self._console.line()

    def _grid(self) -> "RichTable":
        from rich.table import Table as RichTable  # noqa: PLC0415 -- see print_report

        return RichTable.grid(padding=(0, 2, 0, 0), pad_edge=False)

    def _table(self, table: Table) -> None:
        from rich.box import SIMPLE_HEAD  # noqa: PLC0415 -- see print_report
        from rich.table import Table as RichTable  # noqa: PLC0415
        from rich.text import Text  # noqa: PLC0415

        shown = RichTable(box=SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, _GAP - 1, 0, 0))
        cells = [
            aligned(table.column(number)) if column.kind is Kind.NUMBER else table.column(number)
            for number, column in enumerate(table.columns)
        ]
        for column, width in zip(table.columns, _widths(table, cells, self._console.width), strict=True):
            shown.add_column(
                Text(column.title),
                justify="right" if column.kind.is_number else "left",
                overflow="fold",
                width=width,
            )
        for row, set_cells in zip(table.rows, zip(*cells, strict=True), strict=True):
            style = "bold" if row.stress is Stress.TOTAL else ""
            shown.add_row(*(Text(cell, style=style) for cell in set_cells))
        self._line(table.title)
        self._console.print(shown)
        self._console.line()


def _widths(table: Table, cells: list[list[str]], room: int) -> list[int]:
    """Return the width of each column: titles break between words, foreign names anywhere, numbers never."""
    longest = [max(map(len, found), default=0) for found in cells]
    widths = [
        max(_title_width(column.title, lines=9), size if column.kind.is_number else min(size, _LEAST_NAME))
        for column, size in zip(table.columns, longest, strict=True)
    ]
    # What is left goes to names first, then to titles in two lines, then in one.
    for wanted in (
        longest,
        *([_title_width(column.title, lines=lines) for column in table.columns] for lines in (2, 1)),
    ):
        for number, most in enumerate(wanted):
            spare = room - sum(widths) - _GAP * (len(widths) - 1)
            widths[number] += max(min(most - widths[number], spare), 0)
    return widths


def _title_width(title: str, *, lines: int) -> int:
    """Return the least width at which a title takes so many lines, and no word of it is broken."""
    if lines == 1:
        return len(title)
    words = title.split()
    least = max(map(len, words))
    if lines >= len(words):
        return least
    return next(width for width in range(least, len(title) + 1) if len(wrap(title, width)) <= lines)
