"""The local history: one SQLite file, written by one agent, one transaction a tick.

Advancing the cursors and adding what they moved by is one transaction, so that a killed agent neither loses
nor doubles anything that the sources still count.
"""

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, tzinfo
from pathlib import Path

from evenwatt.database import PRIMARY_CODE, damage, is_damage, opened_or_set_aside, told_as_damage
from evenwatt.economics.api import ReferencePrice
from evenwatt.errors import HistoryError
from evenwatt.ledger import Posting
from evenwatt.sinks.history.files import file_identity, is_there
from evenwatt.sinks.history.local_days import LocalDays, define_local_day, zone_name
from evenwatt.sinks.history.lock import WriterLock, lock_path
from evenwatt.sinks.history.machine_hours import add_up_machine_hours
from evenwatt.sinks.history.pieces import kept
from evenwatt.sinks.history.reader import ElectricityPriceRow, HistoryReader
from evenwatt.sinks.history.retention import forget_some, give_back_room
from evenwatt.sinks.history.rollups import fill_local_days
from evenwatt.sinks.history.schema import LEVEL_SECONDS, LEVELS, LOCAL_DAY, TABLES, bring_up_to_date
from evenwatt.sinks.history.statements import (
    adding,
    adding_up_bills,
    adding_up_local_bills,
    adding_up_total_bills,
    at_level,
    by_local_day,
    pricing_back,
    rows_of,
    token_prices,
)
from evenwatt.snapshot import PricedPosting
from evenwatt.units import SECONDS_PER_HOUR

__all__ = ["History"]

_LOCKED_SECONDS = 1.0
"""How long a tick waits for another program that holds the database; then it is written with the next one."""

_INCREMENTAL = 2
"""How SQLite calls the kind of file that gives room back a little at a time."""


class History(HistoryReader):
    """The history opened for writing; one at a time, from one thread.

    Attributes:
        path: Of the database.
        set_aside: Where a corrupt one of the same name was moved to when this was opened.
        copied_to: Where a copy is of what an older release has written, as it was before this was opened.
    """

    def __init__(
        self,
        path: Path,
        *,
        currency: str,
        simulated: bool = False,
        machine: str | None = None,
        zone: tzinfo = UTC,
    ) -> None:
        """Open or begin a history.

        Args:
            path: The database file; its folder is made when it is not there.
            currency: Of all money in it.
            simulated: Whether its readings are made up; measured ones are never mixed with them.
            machine: The identity of this machine, where it has one. A history that comes from another one
                goes on without its cursors: the counters that they were read from are not here.
            zone: Of the site, whose calendar's days are kept beside those of UTC.

        Raises:
            HistoryInUse: Another agent writes it.
            HistoryError: It cannot be opened or written, or holds money of another currency or readings of
                the other kind.
        """
        self.path = path
        self._currency = currency
        self._readings = "simulated" if simulated else "measured"
        self._machine = machine
        self._local_days = LocalDays(zone)
        self.was_moved = False
        self._synced_minute: int | None = None
        self.copied_to: Path | None = None
        self._open()

    def close(self) -> None:
        """Close the database and let go of the lock."""
        self._connection.close()
        self._lock.close()

    # --- opening -------------------------------------------------------------------------------------------

    def _open(self) -> None:
        self._is_open = self._is_damaged = False
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
            self.adopt(self._local_days.zone)
        except BaseException:
            self.close()
            raise
        self._files = self._files_now()
        self._is_open = True
        self._openings += 1

    @contextmanager
    def _as_history_error(self, what: str) -> Iterator[None]:
        with super()._as_history_error(what):
            try:
                with told_as_damage():
                    yield
            except sqlite3.Error as error:
                self._is_damaged = self._is_damaged or is_damage(error)
                raise

    def _files_now(self) -> dict[Path, tuple[int, int] | None]:
        """Return what the paths of the database and of its lock lead to now."""
        with self._as_history_error("cannot be looked up"):
            return {path: file_identity(path) for path in (self.path, lock_path(self.path))}

    def _hold(self) -> None:
        """Refuse to write into files that nobody would find again.

        Where they are gone, or were found damaged, the history is begun anew, so that what failed now is
        written there next time; it fails first, so that it is told. Another file in their place is left
        alone: it may be another agent's, or a copy in which some of what waits is counted already.

        Raises:
            HistoryError: They are gone, damaged, or others.
        """
        if self._is_damaged:
            self.close()
            self._is_open = False
            self._open()
            where = "sound when read again" if self.set_aside is None else f"set aside as {self.set_aside}"
            raise HistoryError(f"{self.path}: damaged; {where}, to be written with the next tick")
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
                pragmas=("auto_vacuum = INCREMENTAL", "synchronous = NORMAL", "cache_size = -1024"),
                prepare=self._prepare,
            )
        if connection is None:
            raise HistoryError(f"{self.path}: what is written there does not come back; check the disk")
        return connection, aside

    def _prepare(self, connection: sqlite3.Connection) -> None:
        self.copied_to = bring_up_to_date(connection, self.path)
        _look_at_names_and_cursors(connection)
        ((mode,),) = connection.execute("PRAGMA auto_vacuum")
        if mode != _INCREMENTAL:
            # Written by a release that forgot nothing. Where there is no room for this now, the room of what
            # is forgotten is used anew by what comes, and the next start tries again.
            with suppress(sqlite3.OperationalError):
                connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
                connection.execute("VACUUM")

    def adopt(self, zone: tzinfo) -> None:
        """Keep days of the calendar of another time zone; those whose hours are kept are worked out anew.

        Raises:
            HistoryError: They could not be; the days are those of the zone before.
        """
        days, name = LocalDays(zone), zone_name(zone)
        with self._as_history_error("cannot be read"):
            held = self._connection.execute("SELECT value FROM setting WHERE name = 'timezone'").fetchone()
        if held != (name,):  # else there is nothing to wait for a lock for
            with self._transaction():
                fill_local_days(self._connection, days)
                self._connection.execute("INSERT OR REPLACE INTO setting VALUES ('timezone', ?)", (name,))
        self._local_days = days
        define_local_day(self._connection, days)

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
        minute = max(priced.posting.hosts, default=None)
        self._hold()
        # What is committed outlives the process; what is synced, a power cut too. One sync takes all before
        # it to the disk, so that with one a minute it is the running minute that may be lost, and no other.
        with self._as_history_error("cannot be written"):
            synchronous = "NORMAL" if minute == self._synced_minute else "FULL"
            self._connection.execute(f"PRAGMA synchronous = {synchronous}")
        with self._transaction():
            for level, seconds in LEVELS:
                for table, added in rows.items():
                    self._connection.executemany(adding(level, table), at_level(added, table, seconds))
            for table, added in rows.items():
                self._connection.executemany(adding(LOCAL_DAY, table), by_local_day(added, self._local_days))
            for hour in {minute // SECONDS_PER_HOUR * SECONDS_PER_HOUR for minute, *_ in rows["usage"]}:
                add_up_machine_hours(self._connection, hour, hour + SECONDS_PER_HOUR)
            self._add_rest(priced.posting)
        self._synced_minute = minute

    def forget_some(self, before: Mapping[str, int]) -> bool:
        """Forget the oldest hour of minutes and the oldest day of hours, and give their room back.

        Args:
            before: By level, `minute` and `hour`, the midnight of UTC from which on all is kept.

        Returns:
            Whether anything was forgotten; else there is nothing left to forget.

        Raises:
            HistoryError: It could not be written; nothing has changed.
        """
        with self._writing():
            forgot = forget_some(self._connection, before)
        if forgot:
            with self._as_history_error("its room could not be given back"):
                give_back_room(self._connection)
        return forgot

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Run a block as one transaction on files that are still in their place."""
        self._hold()
        with self._transaction():
            yield

    def _add_rest(self, posting: Posting) -> None:
        self._put_cursors(posting.cursors)
        self._connection.executemany(
            "INSERT INTO source_total VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET"
            " restarts = restarts + excluded.restarts, gap_seconds = gap_seconds + excluded.gap_seconds",
            ((source, row.restarts, row.gap_seconds) for source, row in posting.sources.items()),
        )
        self._add_events(posting.events)

    def keep_cursor(self, name: str, state: Mapping[str, object]) -> None:
        """Keep a state that is not to wait for the next tick.

        Raises:
            HistoryError: It could not be written.
        """
        with self._writing():
            self._put_cursors({name: state})

    def _put_cursors(self, cursors: Mapping[str, Mapping[str, object]]) -> None:
        self._connection.executemany(
            "INSERT INTO cursor VALUES (?, ?) ON CONFLICT DO UPDATE SET state = excluded.state",
            ((source, json.dumps(state)) for source, state in cursors.items() if state),
        )
        gone = ((source,) for source, state in cursors.items() if not state)
        self._connection.executemany("DELETE FROM cursor WHERE source = ?", gone)

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
        stays as it is, so this can be done at any time and any number of times. Hours whose minutes are
        forgotten, and days whose hours are, have the price of their beginning.

        Args:
            prices: All dated entries of one reference.
            engine: Whose tokens.
            model: Of the engine.
            token_ratio: As for `api_cost`.
            has_cache_write_surcharge: As there.

        Raises:
            HistoryError: It could not be written; nothing has changed.
        """
        owner = {"engine": engine, "model": model, "reference": prices[0].name}
        by_date = sorted(prices, key=lambda price: price.valid_from_utc_seconds)
        ends = [*(price.valid_from_utc_seconds for price in by_date[1:]), float("inf")]
        with self._writing():
            known = kept(self._connection)
            bounds = {"minutes_from": known.minutes_from, "hours_from": known.hours_from}
            for price, end in zip(by_date, ends, strict=True):
                rates = token_prices(price, token_ratio, has_cache_write_surcharge=has_cache_write_surcharge)
                for level in ("minute", "hour", "day"):
                    self._connection.execute(pricing_back(level), {**owner, **rates, **bounds, "end": end})
            values = {**owner, **bounds}
            self._connection.execute(adding_up_bills("hour", "minute"), values)
            self._connection.execute(adding_up_bills("day", "hour"), values)
            self._connection.execute(adding_up_local_bills(), values)
            self._connection.execute(adding_up_total_bills(), values)


def _look_at_names_and_cursors(connection: sqlite3.Connection) -> None:
    """Find the damage that `quick_check` cannot see and that would end every start.

    Raises:
        sqlite3.DatabaseError: A table or a column has lost its name, or a cursor is no JSON.
    """
    try:
        for table, (keys, values) in TABLES.items():
            for level in LEVEL_SECONDS:
                columns = ", ".join((level, *keys, *values))
                connection.execute(f"SELECT {columns} FROM {level}_{table} LIMIT 0")  # noqa: S608 -- our own names only
        unreadable = connection.execute("SELECT count(*) FROM cursor WHERE NOT json_valid(state)").fetchone()
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & PRIMARY_CODE != sqlite3.SQLITE_ERROR:  # such as a lock
            raise
        raise damage() from error
    if unreadable != (0,):
        raise damage()
