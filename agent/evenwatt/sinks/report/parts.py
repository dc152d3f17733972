"""What a report is made of before it is written down: sections of tables, sentences and key figures.

All wording happens once, here and in the modules that build these parts; terminal, Markdown and HTML only set
them. Every string has been through `words.clean`; escaping for its own language is each renderer's.
"""

from collections.abc import Sequence
from enum import StrEnum

from msgspec import Struct, field

from evenwatt.sinks.words import clean

__all__ = [
    "OUR_WORDS",
    "Column",
    "Figure",
    "Kind",
    "Row",
    "Section",
    "Stress",
    "Table",
    "name_cell",
    "narrowed",
]


OUR_WORDS = frozenset({"this machine", "no engine", "none"})
"""What a column of names may say in our own words."""


class Kind(StrEnum):
    """What a column holds."""

    NAME = "name"
    """What an engine, a price list or a user calls something: never taken for markup."""
    TEXT = "text"
    """Our own words."""
    NUMBER = "number"
    """Right-aligned, decimal points below one another; `words.UNKNOWN` is not known."""
    VALUE = "value"
    """The same, but each row has a unit of its own: nothing to set below one another."""

    @property
    def is_number(self) -> bool:
        """Whether it is right-aligned, and a hyphen in it stands for what is not known."""
        return self in {Kind.NUMBER, Kind.VALUE}


class Stress(StrEnum):
    """How a row stands among the others."""

    PLAIN = "plain"
    TOTAL = "total"
    """Sums up the rows above."""


class Column(Struct, frozen=True, kw_only=True):
    """A column of a table.

    Attributes:
        title: With the unit.
        is_wide: Left out where there is little room: 80 columns of a terminal.
    """

    title: str
    kind: Kind = Kind.NUMBER
    is_wide: bool = False


class Row(Struct, frozen=True, kw_only=True):
    """A row of a table; one cell for each column."""

    cells: tuple[str, ...]
    stress: Stress = Stress.PLAIN


class Table(Struct, frozen=True, kw_only=True):
    """A table with its title.

    Attributes:
        is_detail: Stands behind a picture or a sum: folded where that is possible, left out in a terminal.
    """

    title: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    is_detail: bool = False

    def column(self, number: int) -> list[str]:
        """Return the cells of a column, from above."""
        return [row.cells[number] for row in self.rows]


class Figure(Struct, frozen=True, kw_only=True):
    """A key figure.

    Attributes:
        value: None: not known, and the note says why.
    """

    label: str
    value: str | None
    note: str = ""


class Section(Struct, frozen=True, kw_only=True):
    """A part of the report below one heading.

    Attributes:
        name: For a renderer that sets a picture beside it, and for its address in a page.
        leads: Sentences that say what is seen.
        notes: Sentences that say how it is to be read.
    """

    name: str
    title: str
    leads: tuple[str, ...] = ()
    tables: tuple[Table, ...] = field(default=())
    notes: tuple[str, ...] = ()


def name_cell(*names: str) -> str:
    """Return a foreign name, of several parts where they are not empty, as a cell or within a sentence."""
    return " / ".join(clean(name) for name in names if name)


def narrowed(table: Table) -> Table:
    """Return a table without its wide columns."""
    kept: Sequence[int] = [number for number, column in enumerate(table.columns) if not column.is_wide]
    return Table(
        title=table.title,
        columns=tuple(table.columns[number] for number in kept),
        rows=tuple(
            Row(cells=tuple(row.cells[number] for number in kept), stress=row.stress) for row in table.rows
        ),
        is_detail=table.is_detail,
    )
