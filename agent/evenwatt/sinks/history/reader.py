"""The history as it is read: by the agent that writes it, and by commands beside it."""

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final

from evenwatt.errors import HistoryError
from evenwatt.ledger import ClientUse, GpuUse, HostUse, SourceTotals, Usage
from evenwatt.model import Event
from evenwatt.sinks.history.schema import COST_COLUMNS, TABLES
from evenwatt.sinks.history.statements import LARGER_WINS, Row
from evenwatt.snapshot import ApiBill, Money, Sums
from evenwatt.units import SECONDS_PER_HOUR

__all__ = ["HistoryReader", "PriceRow"]


_SINCE: Final = (
    "(SELECT * FROM minute_{0} WHERE minute >= ? AND minute < ?"
    " UNION ALL SELECT * FROM hour_{0} WHERE hour >= ?)"
)
"""Whole hours are taken from the hour level, so that a month costs no more than a day."""


def _bounds(utc_seconds: int) -> tuple[int, int, int]:
    first_hour = -(-utc_seconds // SECONDS_PER_HOUR) * SECONDS_PER_HOUR
    return utc_seconds, first_hour, first_hour


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceRow:
    """An API price that was accepted, in USD per million tokens, from a date on."""

    reference: str
    valid_from_utc_seconds: float
    accepted_utc_seconds: float
    input_usd_per_mtok: float
    cached_input_usd_per_mtok: float | None
    output_usd_per_mtok: float
    source: str


class HistoryReader:
    """What a history says; all methods raise `HistoryError` where it cannot be read.

    Attributes:
        path: Of the database.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        """Read over a connection that somebody has opened."""
        self.path = path
        self._connection = connection

    def close(self) -> None:
        """Close the database."""
        self._connection.close()

    @contextmanager
    def _as_history_error(self, what: str) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError, OverflowError) as error:
            raise HistoryError(f"{self.path}: {what}: {error}") from error

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """Run a block as one transaction."""
        with self._as_history_error("cannot be written"):
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                yield
                self._connection.execute("COMMIT")
            finally:
                if self._connection.in_transaction:
                    # A disk that fails may fail this too; SQLite then rolls back when it is next opened.
                    with suppress(sqlite3.Error):
                        self._connection.execute("ROLLBACK")

    def _add_events(self, events: Iterable[Event]) -> None:
        self._connection.executemany(
            "INSERT INTO event (utc_seconds, kind, subject, text) VALUES (?, ?, ?, ?)",
            ((event.utc_seconds, event.kind, event.subject, event.text) for event in events),
        )

    # --- reading -------------------------------------------------------------------------------------------

    def cursors(self) -> dict[str, dict[str, object]]:
        """Return the state from which each source's next increase is counted."""
        return {source: json.loads(state) for source, state in self._read("SELECT source, state FROM cursor")}

    def source_totals(self) -> dict[str, SourceTotals]:
        """Return restarts and gaps of each source over the life of the history."""
        rows = self._read("SELECT source, restarts, gap_seconds FROM source_total")
        return {source: SourceTotals(restarts=r, gap_seconds=g) for source, r, g in rows}

    def prices(self) -> tuple[PriceRow, ...]:
        """Return all accepted prices, oldest first."""
        names = [column.name for column in fields(PriceRow)]
        rows = self._read(f"SELECT {', '.join(names)} FROM price ORDER BY valid_from_utc_seconds")  # noqa: S608 -- our own names only
        return tuple(PriceRow(**dict(zip(names, row, strict=True))) for row in rows)

    def events(self, *, limit: int) -> tuple[Event, ...]:
        """Return the latest events, newest first."""
        rows = self._read(
            "SELECT utc_seconds, kind, subject, text FROM event ORDER BY id DESC LIMIT ?", (limit,)
        )
        return tuple(Event(utc_seconds=at, kind=kind, subject=s, text=t) for at, kind, s, t in rows)

    def totals(self) -> Sums:
        """Return what the whole life of the history adds up to."""
        return self._sums("total_{0}", ())

    def sums_since(self, utc_seconds: int) -> Sums:
        """Return what the history adds up to from a whole minute on."""
        return self._sums(_SINCE, _bounds(utc_seconds))

    def clients_since(self, utc_seconds: int | None) -> dict[tuple[str, str, str], ClientUse]:
        """Return tokens and requests by (engine, model, client) from a whole minute on; None: of all time."""
        source, bounds = ("total_{0}", ()) if utc_seconds is None else (_SINCE, _bounds(utc_seconds))
        return {
            (engine, model, client): ClientUse(**row)
            for (engine, model, client), row in self._grouped("client", source, bounds)
        }

    def _sums(self, source: str, bounds: tuple[int, ...]) -> Sums:
        usage, money = {}, {}
        for (engine, model), row in self._grouped("usage", source, bounds):
            costs = {column.removesuffix("_cost"): row.pop(column) for column in COST_COLUMNS}
            usage[engine, model], money[engine, model] = Usage(**row), Money(**costs)
        ((_, host),) = self._grouped("host", source, bounds)
        return Sums(
            usage=usage,
            money=money,
            api={
                (engine, model, reference): ApiBill(
                    **{column.removesuffix("_cost"): value for column, value in row.items()}
                )
                for (engine, model, reference), row in self._grouped("api", source, bounds)
            },
            gpus={uuid: GpuUse(**row) for (uuid,), row in self._grouped("gpu", source, bounds)},
            host=HostUse(**host),
        )

    def _grouped(
        self, table: str, source: str, bounds: tuple[int, ...]
    ) -> Iterator[tuple[Row, dict[str, Any]]]:
        """Yield each owner in a table with the sums of its columns."""
        owner, columns = TABLES[table]
        values = [f"{'max' if column in LARGER_WINS else 'sum'}({column})" for column in columns]
        group = f" GROUP BY {', '.join(owner)}" if owner else ""
        rows = self._read(
            f"SELECT {', '.join((*owner, *values))} FROM {source.format(table)}{group}",  # noqa: S608 -- our own names only
            bounds,
        )
        for row in rows:
            yield row[: len(owner)], dict(zip(columns, row[len(owner) :], strict=True))

    def _read(self, statement: str, values: Sequence[object] = ()) -> list[Row]:
        with self._as_history_error("cannot be read"):
            return self._connection.execute(statement, values).fetchall()
