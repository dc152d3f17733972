"""The tables of a history as sheets, and the whole of it as lines."""

from collections.abc import Callable, Iterable, Iterator
from typing import IO, Any

from evenwatt import __version__
from evenwatt.ledger.entries import LARGER_WINS
from evenwatt.service.exchange.span import Span
from evenwatt.sinks.exchange.lines import Head, Layout, write_lines
from evenwatt.sinks.exchange.sheets import Column, Kind, Sheet
from evenwatt.sinks.history import HistoryReader
from evenwatt.sinks.history.extract import days_of, pieces_of, rows_beside, rows_of_piece
from evenwatt.sinks.history.pieces import Piece
from evenwatt.sinks.history.queries import history_settings
from evenwatt.sinks.history.schema import BESIDE, BESIDE_OPTIONAL, LEVEL_SECONDS, TABLES

__all__ = ["LAYOUT", "Advance", "export_lines", "table_sheet"]

Advance = Callable[[float], None]
"""Is told how much of the work is done, from 0 to 1."""

LAYOUT = Layout(
    levels=LEVEL_SECONDS, tables=TABLES, flags=LARGER_WINS, beside=BESIDE, optional=BESIDE_OPTIONAL
)

_KINDS = {"INTEGER": Kind.INTEGER, "REAL": Kind.REAL, "TEXT": Kind.TEXT}


def table_sheet(reader: HistoryReader, table: str, span: Span, *, finest: str, advance: Advance) -> Sheet:
    """Return a table of the history, a row for each time and owner, with the currency of its money.

    Raises:
        HistoryError: It cannot be read.
    """
    held = history_settings(reader)
    owner, columns = TABLES[table]
    kinds: dict[str, str] = dict(
        reader.read("SELECT name, type FROM pragma_table_info(?)", (f"{finest}_{table}",))
    )
    facts = (held.get("currency", ""), held.get("readings", ""))
    return Sheet(
        columns=(
            Column("start_utc", Kind.MOMENT),
            Column("level", Kind.TEXT),
            *(Column(name, _KINDS[kinds[name]]) for name in (*owner, *columns)),
            Column("currency", Kind.TEXT),
            Column("readings", Kind.TEXT),
        ),
        rows=(
            (row[0], piece.level, *row[1:], *facts)
            for piece in _pieces(reader, span, finest, advance)
            for row in rows_of_piece(reader, table, piece)
        ),
        facts=tuple((name, held[name]) for name in ("currency", "readings") if name in held),
    )


def export_lines(
    reader: HistoryReader, file: IO[bytes], span: Span, *, finest: str, advance: Advance
) -> None:
    """Write all that another history can take in of a span.

    Raises:
        HistoryError: It cannot be read.
    """
    held = history_settings(reader)
    head = Head(
        currency=held["currency"],
        readings=held["readings"],
        machine=held.get("machine"),
        from_utc_seconds=span.start,
        to_utc_seconds=span.end,
        finest=finest,
        version=__version__,
    )
    beside = ((table, rows_beside(reader, table, span.start, span.end)) for table in BESIDE)
    write_lines(file, head, _days(reader, span, finest, advance), beside, LAYOUT)


def _days(
    reader: HistoryReader, span: Span, finest: str, advance: Advance
) -> Iterator[tuple[int, Iterable[tuple[str, str, Iterable[Any]]]]]:
    for day, pieces in days_of(pieces_of(reader, span.start, span.end, finest=finest)):
        yield (
            day,
            (
                (piece.level, table, rows_of_piece(reader, table, piece))
                for piece in pieces
                for table in TABLES
            ),
        )
        advance((pieces[-1].end - span.start) / (span.end - span.start))


def _pieces(reader: HistoryReader, span: Span, finest: str, advance: Advance) -> Iterator[Piece]:
    for _, pieces in days_of(pieces_of(reader, span.start, span.end, finest=finest)):
        yield from pieces
        advance((pieces[-1].end - span.start) / (span.end - span.start))
