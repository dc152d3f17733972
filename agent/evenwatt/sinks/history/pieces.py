"""Stretches of a history, each at one level, and from when on each level is kept."""

import sqlite3
from collections.abc import Iterable
from typing import Final

from msgspec import Struct

from evenwatt.sinks.history.schema import LEVEL_SECONDS, TABLES

__all__ = ["FOREVER", "Kept", "Piece", "kept", "rows_in"]

FOREVER: Final = 2**40
"""A moment after all that there is."""

_FROM: Final = ("minutes_from", "hours_from")


class Kept(Struct, frozen=True):
    """From when on rows of the finer levels are kept, as moments at which a coarser row begins; 0: all are.

    Attributes:
        minutes_from: Of what is older, hours are the finest.
        hours_from: Of what is older, days are the finest.
    """

    minutes_from: int = 0
    hours_from: int = 0


class Piece(Struct, frozen=True):
    """Rows of one level that begin within a time.

    Attributes:
        level: `minute`, `hour` or `day`.
    """

    level: str
    start: int
    end: int

    @property
    def row_seconds(self) -> int:
        """What one row spans."""
        return LEVEL_SECONDS[self.level]


def kept(connection: sqlite3.Connection) -> Kept:
    """Return from when on a history keeps minutes and hours."""
    rows = connection.execute("SELECT name, value FROM setting WHERE name IN (?, ?)", _FROM)
    return Kept(**{name: int(value) for name, value in rows})


def rows_in(pieces: Iterable[Piece], table: str) -> tuple[str, tuple[int, ...]]:
    """Return the rows of pieces, of which there is one at least, as one source to select from.

    Args:
        pieces: That share nothing.
        table: Whose owners and columns the source has.

    Returns:
        The source as SQL, and the values that it takes.
    """
    found = tuple(pieces)
    columns = ", ".join((*TABLES[table][0], *TABLES[table][1]))
    selects = (
        f"SELECT {columns} FROM {piece.level}_{table} WHERE {piece.level} >= ? AND {piece.level} < ?"  # noqa: S608 -- our own names only
        for piece in found
    )
    bounds = tuple(bound for piece in found for bound in (piece.start, piece.end))
    return f"({' UNION ALL '.join(selects)})", bounds
