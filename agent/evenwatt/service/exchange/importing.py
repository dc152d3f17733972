"""`evenwatt import`: what another history has, and this one lacks."""

from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from datetime import tzinfo
from pathlib import Path
from typing import IO

from msgspec import Struct

from evenwatt.clock import utc_seconds
from evenwatt.errors import ExchangeError
from evenwatt.model import Event
from evenwatt.service.exchange.tables import LAYOUT, Advance
from evenwatt.sinks.exchange.lines import Section, read_head, read_sections
from evenwatt.sinks.history import History, HistoryReader, history_beside, is_there
from evenwatt.sinks.history.copying import up_to_date_copy
from evenwatt.sinks.history.extract import days_of, pieces_of, rows_beside, rows_of_piece
from evenwatt.sinks.history.files import is_database
from evenwatt.sinks.history.merging import Merged, MergingHistory, is_begun, merging_history
from evenwatt.sinks.history.queries import history_extent, history_settings
from evenwatt.sinks.history.schema import BESIDE, TABLES

__all__ = ["Imported", "import_file"]


class Imported(Struct, frozen=True, kw_only=True):
    """What an import did.

    Attributes:
        is_new: The history was begun with it.
    """

    merged: Merged
    is_new: bool


class _Source(Struct, frozen=True, kw_only=True):
    """Another history: what it is about, and its days, oldest first."""

    currency: str
    readings: str
    sections: Iterable[Section]


def import_file(source: Path, history: Path, *, zone: tzinfo, advance: Advance) -> Imported:
    """Take from an export or another history what a history lacks, day by day, each in one transaction.

    An agent may be writing the history meanwhile. It can be interrupted and done again.

    Args:
        source: Lines that `evenwatt export` wrote, or a history.
        history: Of the database; begun where there is none.
        zone: Of the site, whose calendar the days of a new history are of.
        advance: Is told how much is done.

    Raises:
        ExchangeError: The source is not what can be imported, is damaged, or is of another kind or currency.
        HistoryError: A history cannot be read or written.
    """
    with _opened(source, history) as found:
        is_new = not is_begun(history)
        if is_new:
            _begin(source, history, found, zone)
        with merging_history(history) as target:
            _check(source, found, target)
            merged = _merged(source, found, target, zone, advance)
    return Imported(merged=merged, is_new=is_new)


def _merged(source: Path, found: _Source, target: MergingHistory, zone: tzinfo, advance: Advance) -> Merged:
    merged = Merged()
    for section in found.sections:
        if section.day is not None:
            merged += target.merge_day(section.day, section.rows, zone)
        else:
            hours = merged.taken_seconds / 3_600
            told = Event(
                utc_seconds=utc_seconds(),
                kind="import",
                subject="history",
                text=f"{hours:,.1f} hours that were missing here are taken from {source.name}",
            )
            target.merge_beside(
                {table: (BESIDE[table], rows) for (_, table), rows in section.rows.items()},
                events=[told] if merged.taken_seconds else [],
            )
        advance(section.done_ratio)
    return merged


@contextmanager
def _opened(source: Path, history: Path) -> Iterator[_Source]:
    with _told_as_unreadable(source):
        if is_there(history) and source.samefile(history):
            raise ExchangeError(f"{source}: is this history itself; there is nothing to import")
        file = None if is_database(source) else source.open("rb")
    if file is not None:
        with file:
            with _told_as_unreadable(source):
                head = read_head(source, file)
            sections = _lines_of(source, file)
            yield _Source(currency=head.currency, readings=head.readings, sections=sections)
        return
    with up_to_date_copy(source) as readable, history_beside(readable) as reader:
        held = history_settings(reader)
        yield _Source(currency=held["currency"], readings=held["readings"], sections=_sections(reader))


@contextmanager
def _told_as_unreadable(source: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ExchangeError(
            f"{source}: cannot be read ({error.strerror}); see its path and who may read it"
        ) from error


def _lines_of(source: Path, file: IO[bytes]) -> Iterator[Section]:
    """Yield the days of an export; what goes wrong where they are written is not its fault."""
    with _told_as_unreadable(source):
        yield from read_sections(source, file, LAYOUT)


def _sections(reader: HistoryReader) -> Iterator[Section]:
    """Yield the days of a history, as its export has them."""
    extent = history_extent(reader)
    if extent is None:
        return
    start, end = extent
    for day, pieces in days_of(pieces_of(reader, start, end)):
        rows = {
            (piece.level, table): list(rows_of_piece(reader, table, piece))
            for piece in pieces
            for table in TABLES
        }
        yield Section(day=day, rows=rows, done_ratio=(pieces[-1].end - start) / (end - start))
    beside = {("", table): list(rows_beside(reader, table, start, end)) for table in BESIDE}
    yield Section(day=None, rows=beside, done_ratio=1.0)


def _begin(source: Path, history: Path, found: _Source, zone: tzinfo) -> None:
    if found.readings not in {"measured", "simulated"}:
        raise ExchangeError(f"{source}: its readings are {found.readings!r}, expected measured or simulated")
    with closing(
        History(history, currency=found.currency, simulated=found.readings == "simulated", zone=zone)
    ):
        pass


def _check(source: Path, found: _Source, target: HistoryReader) -> None:
    """Refuse money of another currency and readings of the other kind."""
    held = history_settings(target)
    if found.currency != held["currency"]:
        raise ExchangeError(
            f"{source}: its money is in {found.currency}, that of {target.path} in {held['currency']}; sums "
            "over both would mean nothing. Import it into a history of its own (--history FILE)"
        )
    if found.readings != held["readings"]:
        raise ExchangeError(
            f"{source}: holds {found.readings} readings, {target.path} {held['readings']} ones, and they are "
            "never mixed. Import it into a history of its own (--history FILE)"
        )
