"""The history as it is read: by the agent that writes it, and by commands beside it."""

import json
import sqlite3
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from evenwatt.database import told_as_damage
from evenwatt.economics.saturation import ServedMinute
from evenwatt.economics.tariffs import FeedPrices
from evenwatt.errors import HistoryError
from evenwatt.ledger import EngineUse, GpuUse, HostUse, MeterUse, SourceTotals, Usage
from evenwatt.model import UNALLOCATED, Event
from evenwatt.sinks.history.pieces import FOREVER, Kept, Piece, kept, rows_in
from evenwatt.sinks.history.prices import (
    PriceOffer,
    PriceRow,
    add_prices,
    drop_offers,
    effective_prices,
    keep_offers,
    stored_offers,
    stored_prices,
)
from evenwatt.sinks.history.schema import API_COLUMNS, COST_COLUMNS, TABLES
from evenwatt.sinks.history.statements import SERVED_MINUTES, Row, sums_of
from evenwatt.snapshot import ApiBill, Money, Sums
from evenwatt.units import SECONDS_PER_DAY, SECONDS_PER_HOUR

__all__ = ["CalibrationRow", "ElectricityPriceRow", "HistoryReader", "PowerMinute", "RowSource"]

_COSTS = tuple((column.removesuffix("_cost"), column) for column in COST_COLUMNS)
_BILL = tuple(column.removesuffix("_cost") for column in API_COLUMNS)
_WHOLE_MINUTE_SECONDS = 59.0

RowSource = tuple[str, tuple[int, ...]]
"""Rows to select from, as SQL, and the values that it takes."""


class CalibrationRow(Struct, frozen=True, kw_only=True):
    """Something that was measured once, on request, and stands until it is measured anew.

    Attributes:
        kind: `gpu_power` (GPU sensors against a wall meter), `capacity` (an engine under load).
        subject: What was measured: the source, or the engine.
        result: JSON-ready numbers.
        settings: JSON-ready: how it was measured.
    """

    utc_seconds: float
    kind: str
    subject: str
    result: Mapping[str, Any]
    settings: Mapping[str, Any]


class ElectricityPriceRow(Struct, frozen=True, kw_only=True):
    """A price that an electricity feed gave, fees and taxes included, and the time that it is for."""

    start_utc_seconds: float
    end_utc_seconds: float
    price_per_kwh: float
    source: str


class PowerMinute(Struct, frozen=True, kw_only=True):
    """Mean power in one minute that was watched from end to end.

    Attributes:
        wall_watts: Of GPUs and host together.
    """

    minute: int
    gpu_watts: float
    wall_watts: float


class HistoryReader:
    """What a history says; all methods raise `HistoryError` where it cannot be read.

    Attributes:
        path: Of the database.
    """

    _openings = 0

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
            with told_as_damage():
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

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Run a block as one transaction on what is open."""
        with self._transaction():
            yield

    def settle_prices(
        self,
        rows: Iterable[PriceRow] = (),
        *,
        offers: Iterable[PriceOffer] = (),
        settled: Iterable[str] = (),
        events: Iterable[Event] = (),
    ) -> None:
        """Accept prices and keep offers, with what is to be told, all or nothing.

        Args:
            rows: Accepted from their dates on; a record that is there already is never overwritten.
            offers: To be accepted by somebody, each in place of an earlier one of its reference.
            settled: References whose offers are done with.
            events: About all this.

        Raises:
            HistoryError: It could not be written.
        """
        with self._writing():
            drop_offers(self._connection, settled)
            add_prices(self._connection, rows)
            keep_offers(self._connection, offers)
            self._add_events(events)

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
        """Return the accepted prices that hold, oldest first; without those that a later one corrected."""
        return effective_prices(self.price_records())

    def price_records(self) -> tuple[PriceRow, ...]:
        """Return all prices that were ever accepted, oldest first, also those that hold no longer."""
        with self._as_history_error("cannot be read"):
            return stored_prices(self._connection)

    def price_offers(self) -> tuple[PriceOffer, ...]:
        """Return the prices that wait for somebody to accept them, by name."""
        with self._as_history_error("cannot be read"):
            return stored_offers(self._connection)

    def begin_utc_seconds(self) -> float | None:
        """Return when the day of UTC begins with which the history does; None while nothing is in it."""
        ((begin,),) = self._read("SELECT min(day) FROM day_host")
        return None if begin is None else float(begin)

    def kept(self) -> Kept:
        """Return from when on it keeps minutes and hours."""
        with self._as_history_error("cannot be read"):
            return kept(self._connection)

    def edition(self) -> tuple[int, int]:
        """Return what changes when anybody else has written, and when the history was opened anew."""
        ((edition,),) = self._read("PRAGMA data_version")
        return self._openings, int(edition)

    def electricity_prices(self, since_utc_seconds: float = 0.0) -> FeedPrices:
        """Return the prices that an electricity feed gave, with the one in force at the beginning.

        Args:
            since_utc_seconds: Where they begin; left out: with the first one.
        """
        rows = self._read(
            "SELECT start_utc_seconds, end_utc_seconds, price_per_kwh FROM electricity_price"
            " WHERE start_utc_seconds >= coalesce((SELECT max(start_utc_seconds) FROM electricity_price"
            " WHERE start_utc_seconds <= ?), ?) ORDER BY start_utc_seconds",
            (since_utc_seconds, since_utc_seconds),
        )
        # A year of quarter hours is 35,000 rows: as arrays of numbers they are a twentieth of the objects.
        starts, ends, prices = (array("d", (row[number] for row in rows)) for number in range(3))
        return FeedPrices(starts_utc_seconds=starts, ends_utc_seconds=ends, prices_per_kwh=prices)

    def events(self, *, limit: int) -> tuple[Event, ...]:
        """Return the latest events, newest first."""
        rows = self._read(
            "SELECT utc_seconds, kind, subject, text FROM event ORDER BY id DESC LIMIT ?", (limit,)
        )
        return tuple(Event(utc_seconds=at, kind=kind, subject=s, text=t) for at, kind, s, t in rows)

    def event_totals(self) -> dict[str, int]:
        """Return how many events of each kind there are in the history."""
        return dict(self._read("SELECT kind, count(*) FROM event GROUP BY kind"))

    def served_minutes(self, begin: int, end: int) -> tuple[ServedMinute, ...]:
        """Return what each engine served in each minute of a span, oldest first."""
        rows = self._read(SERVED_MINUTES, (UNALLOCATED, begin, end))
        return tuple(
            ServedMinute(
                minute=minute,
                engine=engine,
                model=model if models == 1 else None,
                tokens=tokens,
                waiting_seconds=waiting_seconds,
                is_estimated=bool(estimated),
            )
            for minute, engine, models, model, tokens, estimated, waiting_seconds in rows
        )

    def calibrations(self, kind: str) -> tuple[CalibrationRow, ...]:
        """Return all calibrations of a kind, newest first."""
        rows = self._read(
            "SELECT utc_seconds, kind, subject, result, settings FROM calibration WHERE kind = ?"
            " ORDER BY utc_seconds DESC, id DESC",
            (kind,),
        )
        return tuple(
            CalibrationRow(
                utc_seconds=at, kind=kind, subject=s, result=json.loads(r), settings=json.loads(how)
            )
            for at, kind, s, r, how in rows
        )

    def power_minutes(self, source: str, *, since_utc_seconds: float) -> tuple[PowerMinute, ...]:
        """Return the minutes that a source of host power and all GPUs measured whole, oldest first."""
        rows = self._read(
            "SELECT minute, cards.joules / cards.seconds, meter.energy_joules / meter.measured_seconds"
            " FROM minute_meter AS meter JOIN ("
            "  SELECT minute, sum(energy_joules) AS joules, min(measured_seconds) AS seconds,"
            "   max(estimated) AS estimated FROM minute_gpu WHERE minute >= :since GROUP BY minute"
            "   HAVING count(*) = (SELECT count(DISTINCT uuid) FROM minute_gpu WHERE minute >= :since)"
            " ) AS cards USING (minute)"
            " WHERE meter.source = :source AND minute >= :since"
            " AND meter.measured_seconds >= :whole AND cards.seconds >= :whole"
            " AND meter.estimated = 0 AND cards.estimated = 0 ORDER BY minute",
            {"source": source, "since": since_utc_seconds, "whole": _WHOLE_MINUTE_SECONDS},
        )
        return tuple(
            PowerMinute(minute=minute, gpu_watts=gpus, wall_watts=gpus + host) for minute, gpus, host in rows
        )

    def add_calibration(self, row: CalibrationRow) -> None:
        """Keep a calibration; also beside the agent, whose next look finds it.

        Raises:
            HistoryError: It could not be written.
        """
        with self._transaction():
            self._connection.execute(
                "INSERT INTO calibration (utc_seconds, kind, subject, result, settings)"
                " VALUES (?, ?, ?, ?, ?)",
                (row.utc_seconds, row.kind, row.subject, json.dumps(row.result), json.dumps(row.settings)),
            )

    def totals(self) -> Sums:
        """Return what the whole life of the history adds up to."""
        return self.summed(lambda table: (f"total_{table}", ()))

    def sums_since(self, utc_seconds: int) -> Sums:
        """Return what the history adds up to from a whole minute on.

        Whole hours and days are taken from their levels, so that a month costs no more than a day.
        """
        first_hour, first_day = (
            -(-utc_seconds // seconds) * seconds for seconds in (SECONDS_PER_HOUR, SECONDS_PER_DAY)
        )
        pieces = (
            Piece("minute", utc_seconds, first_hour),
            Piece("hour", first_hour, first_day),
            Piece("day", first_day, FOREVER),
        )
        return self.summed(lambda table: rows_in(pieces, table))

    def summed(self, source: Callable[[str], RowSource], *, has_parts: bool = True) -> Sums:
        """Return what rows add up to.

        Args:
            source: The rows of each table.
            has_parts: Whether its GPUs, and how long requests waited at its engines, are told one by one.
        """
        usage, money = {}, {}
        for (engine, model), row in self.grouped("usage", *source("usage")):
            costs = {name: row.pop(column) for name, column in _COSTS}
            usage[engine, model], money[engine, model] = Usage(**row), Money(**costs)
        ((_, host),) = self.grouped("host", *source("host"))
        sums = Sums(
            usage=usage,
            money=money,
            api={
                (engine, model, reference): ApiBill(**dict(zip(_BILL, row.values(), strict=True)))
                for (engine, model, reference), row in self.grouped("api", *source("api"))
            },
            meters={name: MeterUse(**row) for (name,), row in self.grouped("meter", *source("meter"))},
            host=HostUse(**host),
        )
        if not has_parts:
            return sums
        return replace(
            sums,
            gpus={uuid: GpuUse(**row) for (uuid,), row in self.grouped("gpu", *source("gpu"))},
            engines={
                engine: EngineUse(**row) for (engine,), row in self.grouped("engine", *source("engine"))
            },
        )

    def grouped(
        self, table: str, source: str, bounds: tuple[int, ...]
    ) -> Iterator[tuple[Row, dict[str, Any]]]:
        """Yield each owner in a table with the sums of its columns, over the rows of a source."""
        owner, columns = TABLES[table]
        group = f" GROUP BY {', '.join(owner)}" if owner else ""
        rows = self._read(
            f"SELECT {', '.join((*owner, *sums_of(columns)))} FROM {source}{group}",  # noqa: S608 -- our own names only
            bounds,
        )
        for row in rows:
            yield row[: len(owner)], dict(zip(columns, row[len(owner) :], strict=True))

    def read(self, statement: str, values: Sequence[object] | Mapping[str, object] = ()) -> list[Row]:
        """Return the rows of a query of this package."""
        return self._read(statement, values)

    def stream(self, statement: str, values: Sequence[object] = ()) -> Iterator[Row]:
        """Yield the rows of a query of this package without holding them all; they may be a year's."""
        with self._as_history_error("cannot be read"):
            # Not `yield from`: whoever stops half-way would have it close a cursor of what may be closed.
            for row in self._connection.execute(statement, values):  # noqa: UP028
                yield row

    def _read(self, statement: str, values: Sequence[object] | Mapping[str, object] = ()) -> list[Row]:
        with self._as_history_error("cannot be read"):
            return self._connection.execute(statement, values).fetchall()
