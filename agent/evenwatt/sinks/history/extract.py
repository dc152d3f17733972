"""Rows of a span as they are kept, one after the other: what an export is made of.

Minutes are forgotten before hours, and hours before days. A span is read at the level that is asked for, and
where its rows are not kept any more at the next coarser one, so that each moment is in the rows exactly once.
A row belongs to the span that it begins in.
"""

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Final

from evenwatt.sinks.history.pieces import Piece
from evenwatt.sinks.history.reader import HistoryReader
from evenwatt.sinks.history.schema import BESIDE, LEVEL_SECONDS, TABLES
from evenwatt.sinks.history.statements import Row
from evenwatt.units import SECONDS_PER_DAY

__all__ = ["days_of", "pieces_of", "rows_beside", "rows_of_piece", "values_by_owner"]

_OF_A_TIME: Final = frozenset({"event", "calibration", "electricity_price"})


def pieces_of(reader: HistoryReader, start: int, end: int, *, finest: str = "minute") -> tuple[Piece, ...]:
    """Return what holds a span, oldest first: at the finest level that is asked for and kept.

    Raises:
        HistoryError: The history cannot be read.
    """
    held = reader.kept()
    since = {"minute": held.minutes_from, "hour": held.hours_from, "day": start}
    levels = list(LEVEL_SECONDS)
    pieces: list[Piece] = []
    for level in levels[levels.index(finest) :]:
        begin = min(max(since[level], start), end)
        if begin < end:
            pieces.append(Piece(level, begin, end))
        end = begin
    return tuple(reversed(pieces))


def days_of(pieces: tuple[Piece, ...]) -> Iterator[tuple[int, tuple[Piece, ...]]]:
    """Yield each day of UTC with what holds it, so that no more than a day is ever read at once."""
    first = min((piece.start for piece in pieces), default=0) // SECONDS_PER_DAY * SECONDS_PER_DAY
    last = max((piece.end for piece in pieces), default=0)
    for day in range(first, last, SECONDS_PER_DAY):
        cut = (
            Piece(piece.level, max(piece.start, day), min(piece.end, day + SECONDS_PER_DAY))
            for piece in pieces
        )
        within = tuple(piece for piece in cut if piece.start < piece.end)
        if within:
            yield day, within


def rows_of_piece(reader: HistoryReader, table: str, piece: Piece) -> Iterator[Row]:
    """Yield the rows of a table: their beginning, whose they are, and their columns, oldest first.

    Raises:
        HistoryError: The history cannot be read.
    """
    owner, columns = TABLES[table]
    level = piece.level
    return reader.stream(
        f"SELECT {', '.join((level, *owner, *columns))} FROM {level}_{table}"  # noqa: S608 -- our own names only
        f" WHERE {level} >= ? AND {level} < ? ORDER BY {', '.join((level, *owner))}",
        (piece.start, piece.end),
    )


def rows_beside(reader: HistoryReader, table: str, start: float, end: float) -> Iterator[Row]:
    """Yield what is kept beside the levels: what was of a time, and all of what is not.

    Prices of all times belong to it, as later ones are worked out with earlier ones.

    Raises:
        HistoryError: The history cannot be read.
    """
    columns = BESIDE[table]
    statement = f"SELECT {', '.join(columns)} FROM {table}"  # noqa: S608 -- our own names only
    if table in _OF_A_TIME:
        time = columns[0]
        return reader.stream(f"{statement} WHERE {time} >= ? AND {time} < ? ORDER BY {time}", (start, end))
    return reader.stream(f"{statement} ORDER BY {columns[0]}")


def values_by_owner(
    reader: HistoryReader, table: str, column: str, pieces: Iterable[Piece]
) -> Iterator[tuple[Row, Iterator[tuple[int, float]]]]:
    """Yield each owner of a table with the values of one column and when the time that each is for ended.

    SQLite sorts them, on disk where they are many.

    Raises:
        HistoryError: The history cannot be read.
    """
    owner, _ = TABLES[table]
    found = list(pieces)
    selects = (
        f"SELECT {', '.join((*owner, f'{piece.level} + {piece.row_seconds} AS ended', column))}"  # noqa: S608 -- our own names only
        f" FROM {piece.level}_{table}"
        f" WHERE {piece.level} >= ? AND {piece.level} < ? AND {column} IS NOT NULL"
        for piece in found
    )
    rows = reader.stream(
        f"{' UNION ALL '.join(selects)} ORDER BY {', '.join((*owner, 'ended'))}",
        tuple(bound for piece in found for bound in (piece.start, piece.end)),
    )
    for key, values in groupby(rows, key=lambda row: row[:-2]):
        yield key, ((ended, value) for *_, ended, value in values)
