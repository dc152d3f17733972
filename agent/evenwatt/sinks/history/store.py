"""The local history: one SQLite file, written by one agent, one transaction a tick.

Advancing the cursors and adding what they moved by is one transaction, so that a killed agent neither loses
nor doubles anything that the sources still count.
"""

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from evenwatt.database import opened_or_set_aside
from evenwatt.economics.api import ReferencePrice
from evenwatt.errors import HistoryError
from evenwatt.ledger import Posting
from evenwatt.sinks.history.files import file_identity, is_there
from evenwatt.sinks.history.lock import WriterLock, lock_path
from evenwatt.sinks.history.reader import ElectricityPriceRow, HistoryReader
from evenwatt.sinks.history.schema import LEVELS, bring_up_to_date
from evenwatt.sinks.history.statements import (
    PRICE_BACK,
    adding,
    adding_up_bills,
    at_level,
    rows_of,
    token_prices,
)
from evenwatt.snapshot import PricedPosting

__all__ = ["History"]

_LOCKED_SECONDS = 1.0
"""How long a tick waits for another program that holds the database; then it is written with the next one."""


class History(HistoryReader):
    """The history opened for writing; one at a time, from one thread.

    Attributes:
        path: Of the database.
        set_aside: Where a corrupt one of the same name was moved to when this was opened.
    """

    def __init__(
        self, path: Path, *, currency: str, simulated: bool = False, machine: str | None = None
    ) -> None:
        """Open or begin a history.

        Args:
            path: The database file; its folder is made when it is not there.
            currency: Of all money in it.
            simulated: Whether its readings are made up; measured ones are never mixed with them.
            machine: The identity of this machine, where it has one. A history that comes from another one
                goes on without its cursors: the counters that they were read from are not here.

        Raises:
            HistoryInUse: Another agent writes it.
            HistoryError: It cannot be opened or written, or holds money of another currency or readings of
                the other kind.
        """
        self.path = path
        self._currency = currency
        self._readings = "simulated" if simulated else "measured"
        self._machine = machine
        self.was_moved = False
        self._open()

    def close(self) -> None:
        """Close the database and let go of the lock."""
        self._connection.close()
        self._lock.close()

    # --- opening -------------------------------------------------------------------------------------------

    def _open(self) -> None:
        self._is_open = False
        with self._as_history_error("its folder cannot be made"):
            self.path.parent.mkdir(parents=True, exist_ok=True)
        if not is_there(self.path) and self.path.exists():
            raise HistoryError(
                f"{self.path}: is no regular file, and a history is one; set history.path to the path of a "
                "file in a folder of the agent's own"
            )
        self._lock = WriterLock(self.path)
        try:
            self._connection, self.set_aside = self._opened()
        except BaseException:
            self._lock.close()
            raise
        try:
            self._claim()
        except BaseException:
            self.close()
            raise
        self._files = self._files_now()
        self._is_open = True
        self._openings += 1

    def _files_now(self) -> dict[Path, tuple[int, int] | None]:
        """Return what the paths of the database and of its lock lead to now."""
        with self._as_history_error("cannot be looked up"):
            return {path: file_identity(path) for path in (self.path, lock_path(self.path))}

    def _hold(self) -> None:
        """Refuse to write into files that nobody would find again.

        Where they are gone the history is begun anew, so that what failed now is written there next time; it
        fails first, so that it is told. Another file in their place is left alone: it may be another agent's,
        or a copy in which some of what waits to be written is counted already.

        Raises:
            HistoryError: They are gone, or others.
        """
        if self._is_open:
            changed = {
                path: identity
                for path, identity in self._files_now().items()
                if identity != self._files[path]
            }
            if not changed:
                return
            if any(changed.values()):
                names = " and ".join(map(str, changed))
                raise HistoryError(
                    f"{names}: replaced while in use, by another file that may count the same; stop this "
                    "agent, see that the right file is there, without the -wal and -shm of another, and "
                    "start it again"
                )
            self.close()
            self._is_open = False
        self._open()
        raise HistoryError(
            f"{self.path}: deleted while in use; opened anew, to be written with the next tick"
        )

    def _opened(self) -> tuple[sqlite3.Connection, Path | None]:
        """Open the database; a corrupt one is moved aside, and its new path is returned."""
        with self._as_history_error("cannot be opened"):
            connection, aside = opened_or_set_aside(
                self.path,
                locked_seconds=_LOCKED_SECONDS,
                pragmas=("synchronous = NORMAL", "cache_size = -1024"),
                prepare=lambda found: bring_up_to_date(found, self.path),
            )
        if connection is None:
            raise HistoryError(f"{self.path}: what is written there does not come back; check the disk")
        return connection, aside

    def _claim(self) -> None:
        """Write down whose money and readings a new history holds; refuse one that holds others."""
        currency, readings = self._currency, self._readings
        with self._transaction():
            self._connection.executemany(
                "INSERT OR IGNORE INTO setting VALUES (?, ?)",
                (("currency", currency), ("readings", readings)),
            )
            held = dict(self._connection.execute("SELECT name, value FROM setting"))
            if self._machine is not None and held.get("machine", self._machine) != self._machine:
                self._connection.execute("DELETE FROM cursor")
                self.was_moved = True
            if self._machine is not None:
                self._connection.execute(
                    "INSERT OR REPLACE INTO setting VALUES ('machine', ?)", (self._machine,)
                )
        if held["currency"] != currency:
            raise HistoryError(
                f"{self.path}: its money is in {held['currency']}, the configuration says currency: "
                f"{currency}; sums over both would mean nothing. Set currency: {held['currency']}, or begin "
                "another history (history.path)"
            )
        if held["readings"] != readings:
            raise HistoryError(
                f"{self.path}: holds {held['readings']} readings, and {readings} ones are never mixed with "
                "them; name another file"
            )

    # --- writing -------------------------------------------------------------------------------------------

    def write(self, priced: PricedPosting) -> None:
        """Add a tick's rows and advance its cursors, all or nothing.

        Raises:
            HistoryError: Nothing of it was written; it can be tried again with the next tick.
        """
        rows = rows_of(priced)
        with self._writing():
            for level, seconds in LEVELS:
                for table, added in rows.items():
                    self._connection.executemany(adding(level, table), at_level(added, table, seconds))
            self._add_rest(priced.posting)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Run a block as one transaction on files that are still in their place."""
        self._hold()
        with self._transaction():
            yield

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

    def accept_electricity_prices(
        self, rows: Iterable[ElectricityPriceRow], *, accepted_utc_seconds: float
    ) -> None:
        """Keep prices of an electricity feed; what it said before of the same time to come is replaced.

        Raises:
            HistoryError: They could not be written; nothing has changed.
        """
        with self._writing():
            for row in rows:
                self._connection.execute(
                    "DELETE FROM electricity_price WHERE start_utc_seconds > ?"
                    " AND start_utc_seconds >= ? AND start_utc_seconds < ?",
                    (accepted_utc_seconds, row.start_utc_seconds, row.end_utc_seconds),
                )
                self._connection.execute(
                    "INSERT OR REPLACE INTO electricity_price VALUES (?, ?, ?, ?, ?)",
                    (
                        row.start_utc_seconds,
                        row.end_utc_seconds,
                        row.price_per_kwh,
                        accepted_utc_seconds,
                        row.source,
                    ),
                )

    def price_back(
        self,
        prices: Sequence[ReferencePrice],
        *,
        engine: str,
        model: str,
        token_ratio: float,
        has_cache_write_surcharge: bool = False,
    ) -> None:
        """Price the tokens of all minutes whose bill is not for all of their tokens.

        They were served before the reference was compared with, or while it was not. What is priced already
        stays as it is, so this can be done at any time and any number of times.

        Args:
            prices: All dated entries of one reference.
            engine: Whose tokens.
            model: Of the engine.
            token_ratio: As for `api_cost`.
            has_cache_write_surcharge: As there.

        Raises:
            HistoryError: It could not be written; nothing has changed.
        """
        owner = {"engine": engine, "model": model}
        by_date = sorted(prices, key=lambda price: price.valid_from_utc_seconds)
        ends = [*(price.valid_from_utc_seconds for price in by_date[1:]), float("inf")]
        with self._writing():
            for price, end in zip(by_date, ends, strict=True):
                rates = token_prices(price, token_ratio, has_cache_write_surcharge=has_cache_write_surcharge)
                values = {**owner, **rates, "end": end}
                self._connection.execute(PRICE_BACK, values)
            for level, seconds in LEVELS[1:]:
                self._connection.execute(adding_up_bills(level, seconds), {**owner, "reference": price.name})
