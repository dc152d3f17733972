"""The local history: one SQLite file, written by one agent, one transaction a tick.

Advancing the cursors and adding what they moved by is one transaction, so that a killed agent neither loses
nor doubles anything that the sources still count.
"""

import json
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Any

from evenwatt.economics.api import ReferencePrice
from evenwatt.errors import HistoryError
from evenwatt.ledger.entries import GpuUse, HostUse, Posting, SourceTotals, Usage
from evenwatt.model import Event
from evenwatt.sinks.history.lock import WriterLock
from evenwatt.sinks.history.schema import (
    API_COLUMNS,
    COST_COLUMNS,
    GPU_COLUMNS,
    HOST_COLUMNS,
    LEVELS,
    USAGE_COLUMNS,
    bring_up_to_date,
)
from evenwatt.snapshot.sums import Money, PricedPosting, Sums, money_of
from evenwatt.units import TOKENS_PER_MTOK

__all__ = ["History", "PriceRow"]

_LOCKED_SECONDS = 1.0
"""How long a tick waits for another program that holds the database; then it is written with the next one."""

_LARGER_WINS = frozenset({"estimated", "restarted"})


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


class History:
    """The history opened for writing; one at a time, from one thread."""

    def __init__(self, path: Path, *, currency: str) -> None:
        """Open or begin a history.

        Args:
            path: The database file; its folder is made when it is not there.
            currency: Of all money in it.

        Raises:
            HistoryInUse: Another agent writes it.
            HistoryError: It cannot be opened or written, or holds money of another currency.
        """
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise HistoryError(
                f"{path.parent}: cannot be made ({error.strerror}); set history.path to a folder that this "
                "user may write to"
            ) from error
        self._lock = WriterLock(path)
        try:
            self.set_aside = self._open_or_set_aside(path)
        except BaseException:
            self._lock.close()
            raise
        try:
            self._check_currency(currency)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the database and let go of the lock."""
        self._connection.close()
        self._lock.close()

    # --- opening -------------------------------------------------------------------------------------------

    def _open_or_set_aside(self, path: Path) -> Path | None:
        """Open the database; a corrupt one is moved aside, and its new path is returned."""
        try:
            self._open(path)
        except sqlite3.DatabaseError as error:
            if not _is_corrupt(error):
                raise HistoryError(f"{path}: cannot be opened: {error}") from error
            aside = _moved_aside(path)
            self._open(path)
            return aside
        return None

    def _open(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, timeout=_LOCKED_SECONDS, isolation_level=None)
        try:
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = NORMAL")
            self._connection.execute("PRAGMA cache_size = -1024")
            bring_up_to_date(self._connection, path)
        except BaseException:
            self._connection.close()
            raise

    def _check_currency(self, currency: str) -> None:
        with self._writing():
            self._connection.execute("INSERT OR IGNORE INTO setting VALUES ('currency', ?)", (currency,))
        (held,) = self._connection.execute("SELECT value FROM setting WHERE name = 'currency'").fetchone()
        if held != currency:
            raise HistoryError(
                f"{self.path}: its money is in {held}, the configuration says currency: {currency}; sums "
                f"over both would mean nothing. Set currency: {held}, or begin another history (history.path)"
            )

    # --- writing -------------------------------------------------------------------------------------------

    def write(self, priced: PricedPosting) -> None:
        """Add a tick's rows and advance its cursors, all or nothing.

        Raises:
            HistoryError: Nothing of it was written; it can be tried again with the next tick.
        """
        with self._writing():
            for level, seconds in LEVELS:
                self._add_level(level, seconds, priced)
            self._add_rest(priced.posting)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Run a block as one transaction; what SQLite says of it becomes a HistoryError."""
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            yield
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            raise HistoryError(f"{self.path}: cannot be written: {error}") from error
        finally:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")

    def _add_level(self, level: str, seconds: int | None, priced: PricedPosting) -> None:
        def key(minute: int) -> tuple[int, ...]:
            return () if seconds is None else (minute // seconds * seconds,)

        time = () if seconds is None else (level,)
        posting = priced.posting
        self._add(
            f"{level}_usage",
            (*time, "engine", "model"),
            USAGE_COLUMNS,
            (
                (
                    *key(minute),
                    engine,
                    model,
                    *astuple(row),
                    *astuple(money_of(priced.costs.get((minute, engine, model)))),
                )
                for (minute, engine, model), row in posting.usage.items()
            ),
        )
        self._add(
            f"{level}_api",
            (*time, "engine", "model", "reference"),
            API_COLUMNS,
            (
                (*key(minute), *owner, cost.observed_cache, cost.no_cache)
                for (minute, *owner), cost in priced.api.items()
            ),
        )
        self._add(
            f"{level}_gpu",
            (*time, "uuid"),
            GPU_COLUMNS,
            ((*key(minute), uuid, *astuple(row)) for (minute, uuid), row in posting.gpus.items()),
        )
        self._add(
            f"{level}_host",
            time or ("one",),
            HOST_COLUMNS,
            ((*(key(minute) or (1,)), *astuple(row)) for minute, row in posting.hosts.items()),
        )

    def _add(
        self, table: str, key: tuple[str, ...], columns: tuple[str, ...], rows: Iterable[tuple[Any, ...]]
    ) -> None:
        self._connection.executemany(_adding_statement(table, key, columns), rows)

    def _add_rest(self, posting: Posting) -> None:
        self._connection.executemany(
            "INSERT INTO cursor VALUES (?, ?) ON CONFLICT DO UPDATE SET state = excluded.state",
            ((source, json.dumps(state)) for source, state in posting.cursors.items()),
        )
        self._connection.executemany(
            "INSERT INTO source_total VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET"
            " restarts = restarts + excluded.restarts, gap_seconds = gap_seconds + excluded.gap_seconds",
            ((source, row.restarts, row.gap_seconds) for source, row in posting.sources.items()),
        )
        self._add_events(posting.events)

    def _add_events(self, events: Iterable[Event]) -> None:
        self._connection.executemany(
            "INSERT INTO event (utc_seconds, kind, subject, text) VALUES (?, ?, ?, ?)",
            ((event.utc_seconds, event.kind, event.subject, event.text) for event in events),
        )

    def accept_price(self, row: PriceRow, events: Iterable[Event] = ()) -> None:
        """Keep a price from its date on; an entry of the same date is never overwritten.

        Raises:
            HistoryError: It could not be written.
        """
        with self._writing():
            self._connection.execute("INSERT OR IGNORE INTO price VALUES (?, ?, ?, ?, ?, ?, ?)", astuple(row))
            self._add_events(events)

    def price_back(self, price: ReferencePrice, *, engine: str, model: str, token_ratio: float) -> None:
        """Work out what the tokens so far would have cost at a reference that was not compared with before.

        Linear in the tokens, so every level is worked out from its own sums.

        Raises:
            HistoryError: It could not be written.
        """
        scale = token_ratio / TOKENS_PER_MTOK
        cached = price.cached_input_per_mtok
        values = {
            "engine": engine,
            "model": model,
            "reference": price.name,
            "input": price.input_per_mtok * scale,
            "cached": (price.input_per_mtok if cached is None else cached) * scale,
            "output": price.output_per_mtok * scale,
        }
        with self._writing():
            for level, seconds in LEVELS:
                time = "" if seconds is None else f"{level},"
                self._connection.execute(
                    f"INSERT OR IGNORE INTO {level}_api"  # noqa: S608 -- our own names only
                    f" ({time} engine, model, reference, observed_cache_cost, no_cache_cost)"
                    f" SELECT {time} engine, model, :reference,"
                    " input_tokens * :input + cached_input_tokens * :cached + output_tokens * :output,"
                    " (input_tokens + coalesce(cached_input_tokens, 0)) * :input + output_tokens * :output"
                    f" FROM {level}_usage"
                    " WHERE engine = :engine AND model = :model AND input_tokens IS NOT NULL",
                    values,
                )

    # --- reading -------------------------------------------------------------------------------------------

    def cursors(self) -> dict[str, dict[str, object]]:
        """Return the state from which each source's next increase is counted."""
        return {
            source: json.loads(state)
            for source, state in self._connection.execute("SELECT source, state FROM cursor")
        }

    def source_totals(self) -> dict[str, SourceTotals]:
        """Return restarts and gaps of each source over the life of the history."""
        rows = self._connection.execute("SELECT source, restarts, gap_seconds FROM source_total")
        return {source: SourceTotals(restarts=r, gap_seconds=g) for source, r, g in rows}

    def prices(self) -> tuple[PriceRow, ...]:
        """Return all accepted prices, oldest first."""
        rows = self._connection.execute("SELECT * FROM price ORDER BY valid_from_utc_seconds")
        names = [column.name for column in fields(PriceRow)]
        return tuple(PriceRow(**dict(zip(names, row, strict=True))) for row in rows)

    def events(self, *, limit: int) -> tuple[Event, ...]:
        """Return the latest events, newest first."""
        rows = self._connection.execute(
            "SELECT utc_seconds, kind, subject, text FROM event ORDER BY id DESC LIMIT ?", (limit,)
        )
        return tuple(Event(utc_seconds=at, kind=kind, subject=s, text=t) for at, kind, s, t in rows)

    def totals(self) -> Sums:
        """Return what the whole life of the history adds up to."""
        return self._sums("total_{0}", ())

    def sums_since(self, utc_seconds: int) -> Sums:
        """Return what the history adds up to from a whole minute on.

        Whole hours are taken from the hour level, so that a month costs no more than a day.
        """
        first_hour = -(-utc_seconds // 3_600) * 3_600
        source = (
            "(SELECT * FROM minute_{0} WHERE minute >= ? AND minute < ?"
            " UNION ALL SELECT * FROM hour_{0} WHERE hour >= ?)"
        )
        return self._sums(source, (utc_seconds, first_hour, first_hour))

    def _sums(self, source: str, bounds: tuple[int, ...]) -> Sums:
        usage, money = {}, {}
        split = len(USAGE_COLUMNS) - len(COST_COLUMNS)
        for engine, model, *values in self._grouped(
            source.format("usage"), ("engine", "model"), USAGE_COLUMNS, bounds
        ):
            usage[engine, model] = Usage(**dict(zip(USAGE_COLUMNS[:split], values[:split], strict=True)))
            money[engine, model] = Money(
                **{c.removesuffix("_cost"): v for c, v in zip(COST_COLUMNS, values[split:], strict=True)}
            )
        api = {
            (engine, model, reference): (observed, none)
            for engine, model, reference, observed, none in self._grouped(
                source.format("api"), ("engine", "model", "reference"), API_COLUMNS, bounds
            )
        }
        gpus = {
            uuid: GpuUse(**dict(zip(GPU_COLUMNS, values, strict=True)))
            for uuid, *values in self._grouped(source.format("gpu"), ("uuid",), GPU_COLUMNS, bounds)
        }
        (host,) = self._grouped(source.format("host"), (), HOST_COLUMNS, bounds)
        return Sums(
            usage=usage,
            money=money,
            api=api,
            gpus=gpus,
            host=HostUse(**dict(zip(HOST_COLUMNS, host, strict=True))),
        )

    def _grouped(
        self, source: str, key: tuple[str, ...], columns: tuple[str, ...], bounds: tuple[int, ...]
    ) -> Iterator[tuple[Any, ...]]:
        values = [f"{'max' if c in _LARGER_WINS else 'sum'}({c})" for c in columns]
        group = f" GROUP BY {', '.join(key)}" if key else ""
        return self._connection.execute(
            f"SELECT {', '.join((*key, *values))} FROM {source}{group}",  # noqa: S608 -- our own names only
            bounds,
        )


def _adding_statement(table: str, key: tuple[str, ...], columns: tuple[str, ...]) -> str:
    names = (*key, *columns)
    sums = ", ".join(
        f"{c} = max({c}, excluded.{c})"
        if c in _LARGER_WINS
        else f"{c} = coalesce({c} + excluded.{c}, {c}, excluded.{c})"
        for c in columns
    )
    places = ", ".join("?" * len(names))
    return (
        f"INSERT INTO {table} ({', '.join(names)}) VALUES ({places})"  # noqa: S608 -- our own names only
        f" ON CONFLICT ({', '.join(key)}) DO UPDATE SET {sums}"
    )


def _is_corrupt(error: sqlite3.DatabaseError) -> bool:
    return error.sqlite_errorcode in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


def _moved_aside(path: Path) -> Path:
    """Move a database and its write-ahead files out of the way, under a name that is free."""
    number = 1
    while (aside := path.with_name(f"{path.name}.corrupt-{number}")).exists():
        number += 1
    for suffix in ("", "-wal", "-shm"):
        part = path.with_name(path.name + suffix)
        if part.exists():
            part.rename(aside.with_name(aside.name + suffix))
    return aside
