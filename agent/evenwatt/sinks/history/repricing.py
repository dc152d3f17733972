"""Rows of the history as they are repriced: physics out, money in, and all coarser levels in step."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import tzinfo
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from evenwatt.errors import HistoryError
from evenwatt.ledger import Usage
from evenwatt.ledger.entries import LARGER_WINS
from evenwatt.model import Event
from evenwatt.sinks.history.beside import connection_beside
from evenwatt.sinks.history.local_days import LocalDays, stored_zone
from evenwatt.sinks.history.machine_hours import add_up_machine_hours
from evenwatt.sinks.history.pieces import Piece, kept
from evenwatt.sinks.history.reader import HistoryReader
from evenwatt.sinks.history.rollups import (
    add_up_days,
    add_up_hours,
    add_up_totals,
    first_whole_day,
)
from evenwatt.sinks.history.schema import API_COLUMNS, COST_COLUMNS, LOCAL_DAY
from evenwatt.sinks.history.statements import LEAST_SECONDS, Row, adding
from evenwatt.snapshot import ApiBill, Money
from evenwatt.units import SECONDS_PER_DAY, SECONDS_PER_HOUR

__all__ = ["BillKey", "MoneyKey", "PricedRows", "RepricedHistory", "repriced_history"]

MoneyKey = tuple[int, str, str]
"""(beginning of a minute or an hour, engine, model)"""

BillKey = tuple[int, str, str, str]
"""(beginning of a minute or an hour, engine, model, reference)"""

_TABLES: Final = ("usage", "api")
_USAGE: Final = Usage.__struct_fields__
_NO_PHYSICS: Final = tuple(0 if column in LARGER_WINS else None for column in _USAGE)

_NOTHING: Final = 1e-9
_LEFT_OVER: Final = tuple(
    f"UPDATE {LOCAL_DAY}_usage SET {column} = NULL WHERE {LOCAL_DAY} = ? AND abs({column}) < {least}{where}"  # noqa: S608 -- our own names only
    for column, least, where in (
        ("unpriced_seconds", LEAST_SECONDS, ""),
        ("unpriced_joules", LEAST_SECONDS, ""),
        ("hardware_cost", _NOTHING, " AND unpriced_seconds > 0"),
        ("idle_loaded_cost", _NOTHING, " AND unpriced_seconds > 0"),
        ("idle_empty_cost", _NOTHING, " AND unpriced_seconds > 0"),
        ("energy_cost", _NOTHING, " AND unpriced_joules > 0"),
    )
)
"""What rounding leaves where all was taken off: nothing is unpriced any more, or nothing of a cost known."""


class PricedRows(Struct, frozen=True, kw_only=True):
    """The money of the rows of a piece."""

    money: Mapping[MoneyKey, Money]
    bills: Mapping[BillKey, ApiBill]


class RepricedHistory(HistoryReader):
    """A history beside the agent that writes it, to correct its money; all methods raise `HistoryError`.

    Each piece is rewritten with everything that is added up from it in one transaction, from physics that do
    not change: whatever is cut off between two of them is right, and doing it again does no harm.
    """

    def first_second(self, zone: tzinfo) -> int:
        """Return from when on money can be corrected: whole days of the calendar whose hours are kept.

        Args:
            zone: Of the site, for a history that does not tell the zone of its days.
        """
        with self._as_history_error("cannot be read"):
            return first_whole_day(self._connection, self._days(zone))

    def pieces(self, start: int, end: int) -> Iterator[Piece]:
        """Yield a span in pieces, oldest first: an hour by its minutes, or a day by its hours.

        Each is repriced in one transaction. Where minutes are forgotten, an hour that the span cuts is of the
        day in which it begins.
        """
        minutes_from = self.kept().minutes_from
        begin = -(-start // SECONDS_PER_HOUR) * SECONDS_PER_HOUR if start < minutes_from else start
        by_hours_until = min(-(-end // SECONDS_PER_HOUR) * SECONDS_PER_HOUR, minutes_from)
        while begin < end:
            is_by_hours = begin < by_hours_until
            length = SECONDS_PER_DAY if is_by_hours else SECONDS_PER_HOUR
            until = min(begin // length * length + length, by_hours_until if is_by_hours else end)
            yield Piece("hour" if is_by_hours else "minute", begin, until)
            begin = until

    def usage(self, piece: Piece) -> dict[MoneyKey, Usage]:
        """Return the physics of a piece."""
        rows = self._rows(piece, "usage", ("engine", "model", *_USAGE))
        return {
            (at, engine, model): Usage(**dict(zip(_USAGE, values, strict=True)))
            for at, engine, model, *values in rows
        }

    def priced(self, piece: Piece) -> PricedRows:
        """Return the money of a piece as it is written."""
        money = self._rows(piece, "usage", ("engine", "model", *COST_COLUMNS))
        bills = self._rows(piece, "api", ("engine", "model", "reference", *API_COLUMNS))
        return PricedRows(
            money={row[:3]: Money(**_named(COST_COLUMNS, row[3:])) for row in money},
            bills={row[:4]: ApiBill(**_named(API_COLUMNS, row[4:])) for row in bills},
        )

    def reprice(
        self,
        piece: Piece,
        zone: tzinfo,
        price: Callable[[Piece, "RepricedHistory"], tuple[PricedRows, Iterable[str], Event]],
        event_number: int | None,
    ) -> int:
        """Write the money of a piece anew, with all that it adds up to and the record of it, all or nothing.

        Args:
            piece: Whose money.
            zone: As for `first_second`.
            price: Works out all money of the piece; tells the references whose bills are among it, bills of
                others stay; and the record of all that was repriced up to and with this piece.
            event_number: Of the record that this one replaces.

        Returns:
            The number of the record.

        Raises:
            HistoryError: It is not kept in these rows any more, or cannot be written; nothing has changed.
        """
        with self._writing():
            self._refuse_forgotten(piece)
            before = self.priced(piece)
            priced, references, event = price(piece, self)
            self._write(piece, priced, references)
            if piece.level == "minute":
                first_hour = piece.start // SECONDS_PER_HOUR * SECONDS_PER_HOUR
                add_up_hours(self._connection, first_hour, piece.end, _TABLES)
            else:
                add_up_machine_hours(self._connection, piece.start, piece.end)
            add_up_days(self._connection, piece.start, piece.end, _TABLES)
            self._move_local_days(self._days(zone), before, self.priced(piece))
            add_up_totals(self._connection, _TABLES)
            return self._record(event, event_number)

    def _refuse_forgotten(self, piece: Piece) -> None:
        """Refuse to add up coarser rows from finer ones that were forgotten since the pieces were cut."""
        held = kept(self._connection)
        if piece.start < (held.minutes_from if piece.level == "minute" else held.hours_from):
            raise HistoryError(
                f"{self.path}: {piece.level}s that were to be rewritten next are forgotten meanwhile; the "
                "same command does the rest from what is kept"
            )

    def _write(self, piece: Piece, priced: PricedRows, references: Iterable[str]) -> None:
        level = piece.level
        places = ", ".join(f"{column} = ?" for column in COST_COLUMNS)
        self._connection.executemany(
            f"UPDATE {level}_usage SET {places} WHERE ({level}, engine, model) = (?, ?, ?)",  # noqa: S608 -- our own names only
            ((*_values(COST_COLUMNS, money), *key) for key, money in priced.money.items()),
        )
        self._connection.executemany(
            f"DELETE FROM {level}_api WHERE {level} >= ? AND {level} < ? AND reference = ?",  # noqa: S608 -- our own names only
            ((piece.start, piece.end, reference) for reference in references),
        )
        names = (level, "engine", "model", "reference", *API_COLUMNS)
        self._connection.executemany(
            f"INSERT INTO {level}_api ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})",  # noqa: S608 -- our own names only
            ((*key, *_values(API_COLUMNS, bill)) for key, bill in priced.bills.items()),
        )

    def _move_local_days(self, days: LocalDays, before: PricedRows, after: PricedRows) -> None:
        """Take the money of rows that were rewritten off the days that they begin in, and add what it is now.

        Days of the site are not added up anew: an hour whose minutes are forgotten may reach over a midnight,
        and what was served in it stays in the days in which it was. Only what it costs more or less is all of
        the day before.
        """
        for rows, sign in ((before, -1), (after, 1)):
            self._connection.executemany(
                adding(LOCAL_DAY, "usage"),
                (
                    (days(at), *owner, *_NO_PHYSICS, *_values(COST_COLUMNS, money, sign))
                    for (at, *owner), money in rows.money.items()
                ),
            )
            self._connection.executemany(
                adding(LOCAL_DAY, "api"),
                (
                    (days(at), *owner, *_values(API_COLUMNS, bill, sign))
                    for (at, *owner), bill in rows.bills.items()
                ),
            )
        touched = {(days(at),) for at, *_ in before.money}
        for statement in _LEFT_OVER:
            self._connection.executemany(statement, touched)
        billed, gone = ({(days(at), *owner) for at, *owner in rows.bills} for rows in (after, before))
        self._connection.executemany(
            f"DELETE FROM {LOCAL_DAY}_api WHERE ({LOCAL_DAY}, engine, model, reference) = (?, ?, ?, ?)"  # noqa: S608 -- our own names only
            " AND tokens = 0",
            gone - billed,
        )

    def _record(self, event: Event, number: int | None) -> int:
        ((written,),) = self._connection.execute(
            "INSERT INTO event (id, utc_seconds, kind, subject, text) VALUES (?, ?, ?, ?, ?)"
            " ON CONFLICT (id) DO UPDATE SET text = excluded.text RETURNING id",
            (number, event.utc_seconds, event.kind, event.subject, event.text),
        ).fetchall()
        return int(written)

    def _days(self, zone: tzinfo) -> LocalDays:
        return LocalDays(stored_zone(self._connection) or zone)

    def _rows(self, piece: Piece, table: str, columns: Iterable[str]) -> list[Row]:
        level = piece.level
        return self.read(
            f"SELECT {', '.join((level, *columns))} FROM {level}_{table} WHERE {level} >= ? AND {level} < ?",  # noqa: S608 -- our own names only
            (piece.start, piece.end),
        )


@contextmanager
def repriced_history(path: Path, *, may_write: bool) -> Iterator[RepricedHistory]:
    """Open a history, which an agent may be writing, to correct its money, or only to see what that would do.

    Raises:
        HistoryError: There is none, it is of another release, or it cannot be read.
    """
    with connection_beside(path, may_write=may_write) as connection:
        yield RepricedHistory(path, connection)


def _named(columns: Iterable[str], values: Iterable[Any]) -> dict[str, Any]:
    return {name.removesuffix("_cost"): value for name, value in zip(columns, values, strict=True)}


def _values(columns: Iterable[str], row: Money | ApiBill, sign: int = 1) -> Iterator[Any]:
    values = (getattr(row, column.removesuffix("_cost")) for column in columns)
    return (None if value is None else sign * value for value in values)
