"""What tables in a terminal have in common: no markup, no control characters, columns that line up."""

from collections.abc import Collection, Iterable
from typing import Any

from evenwatt.sinks.words import clean

__all__ = ["plain_console", "print_table"]

_ENDLESS = 10_000


def plain_console() -> Any:
    """Return a console that takes nothing in a text for markup."""
    # Imported here because the agent prints no tables, and its memory is budgeted.
    from rich.console import Console  # noqa: PLC0415

    return Console(highlight=False, markup=False, emoji=False)


def print_table(
    console: Any,
    columns: tuple[str, ...],
    rows: Iterable[tuple[str, ...]],
    *,
    text_columns: Collection[str] = (),
    spare_columns: Collection[str] = (),
) -> None:
    """Print a table and an empty line after it; nothing where there are no rows.

    Args:
        console: Of rich.
        columns: Their titles.
        rows: Their cells.
        text_columns: Titles of those that hold text, beside the first; all others hold numbers.
        spare_columns: Titles of those that are left out where not all fit beside each other.
    """
    cells = list(rows)
    if not cells:
        return
    table = _table(columns, cells, text_columns)
    if spare_columns and _width(console, table) > console.width:
        kept = [number for number, column in enumerate(columns) if column not in spare_columns]
        fewer = [tuple(row[number] for number in kept) for row in cells]
        table = _table(tuple(columns[number] for number in kept), fewer, text_columns)
    console.print(table)
    console.print()


def _width(console: Any, table: Any) -> int:
    """Return how wide a table would be with all the room that it could take."""
    endless = console.options.update(max_width=_ENDLESS)
    width: int = console.measure(table, options=endless).maximum
    return width


def _table(columns: tuple[str, ...], rows: Iterable[tuple[str, ...]], text_columns: Collection[str]) -> Any:
    from rich.box import SIMPLE_HEAD  # noqa: PLC0415 -- see plain_console
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 1))
    for number, column in enumerate(columns):
        is_text = number == 0 or column in text_columns
        table.add_column(column, justify="left" if is_text else "right", overflow="fold", no_wrap=not is_text)
    for row in rows:
        table.add_row(*(Text(clean(cell)) for cell in row))
    return table
