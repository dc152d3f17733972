"""The tables of the history, as versioned migrations, and the columns that rows are written by.

Every level (minute, hour, total) has the same additive columns; a row of a level is the sum of its minutes.
A column holds NULL where the value is not known, and NULL plus something known is what is known.
"""

from dataclasses import fields
from typing import Any, Final

from sqlite_utils import Database
from sqlite_utils.migrations import Migrations

from evenwatt.errors import HistoryError
from evenwatt.ledger.entries import GpuUse, HostUse, Usage

__all__ = ["API_COLUMNS", "COST_COLUMNS", "LEVELS", "USAGE_COLUMNS", "migrate"]

LEVELS: Final[tuple[tuple[str, int | None], ...]] = (("minute", 60), ("hour", 3_600), ("total", None))
"""Name of each level and the seconds that its rows span; None: the life of the history."""

COST_COLUMNS: Final = (
    "hardware_cost",
    "energy_cost",
    "labour_cost",
    "other_cost",
    "idle_loaded_cost",
    "idle_empty_cost",
)
USAGE_COLUMNS: Final = tuple(column.name for column in fields(Usage)) + COST_COLUMNS
API_COLUMNS: Final = ("observed_cache_cost", "no_cache_cost")

_INTEGER = frozenset(
    {
        "input_tokens",
        "cached_input_tokens",
        "output_tokens",
        "requests_completed",
        "requests_aborted",
        "requests_failed",
        "estimated",
        "restarted",
    }
)

_migrations: Any = Migrations("evenwatt")


def migrate(database: Database) -> None:
    """Bring a database to the present schema, each step in a transaction of its own.

    Raises:
        HistoryError: A newer evenwatt has written it.
    """
    known = {migration.name for migration in _migrations.pending(Database(memory=True))}
    unknown = sorted(step.name for step in _migrations.applied(database) if step.name not in known)
    if unknown:
        raise HistoryError(
            f"the history was written by a newer evenwatt (schema step {unknown[-1]} is not known here); "
            "install that version again, or give this one a history.path of its own"
        )
    _migrations.apply(database)


@_migrations()  # type: ignore[untyped-decorator]  # sqlite-utils' decorator has no types
def m001_minutes_hours_totals(database: Database) -> None:
    """Create everything that the first release writes."""
    for level, seconds in LEVELS:
        time_column = "" if seconds is None else f"{level} INTEGER NOT NULL,"
        key = "" if seconds is None else f"{level},"
        for name, owner, columns in (
            ("usage", ("engine", "model"), USAGE_COLUMNS),
            ("api", ("engine", "model", "reference"), API_COLUMNS),
            ("gpu", ("uuid",), tuple(c.name for c in fields(GpuUse))),
            ("host", (), tuple(c.name for c in fields(HostUse))),
        ):
            identity = ",".join(owner)
            primary = (key + identity).strip(",") or "one"
            one = "one INTEGER NOT NULL CHECK (one = 1)," if primary == "one" else ""
            values = ",".join(f"{c} {'INTEGER' if c in _INTEGER else 'REAL'}" for c in columns)
            owners = "".join(f"{column} TEXT NOT NULL," for column in owner)
            database.execute(
                f"CREATE TABLE {level}_{name} ({time_column}{one}{owners}{values},"
                f" PRIMARY KEY ({primary})) STRICT, WITHOUT ROWID"
            )
    for statement in _OTHER_TABLES:
        database.execute(statement)


_OTHER_TABLES = (
    """CREATE TABLE cursor (
        source TEXT PRIMARY KEY,
        state TEXT NOT NULL
    ) STRICT, WITHOUT ROWID""",
    """CREATE TABLE source_total (
        source TEXT PRIMARY KEY,
        restarts INTEGER NOT NULL,
        gap_seconds REAL NOT NULL
    ) STRICT, WITHOUT ROWID""",
    """CREATE TABLE price (
        reference TEXT NOT NULL,
        valid_from_utc_seconds REAL NOT NULL,
        accepted_utc_seconds REAL NOT NULL,
        input_usd_per_mtok REAL NOT NULL,
        cached_input_usd_per_mtok REAL,
        output_usd_per_mtok REAL NOT NULL,
        source TEXT NOT NULL,
        PRIMARY KEY (reference, valid_from_utc_seconds)
    ) STRICT, WITHOUT ROWID""",
    """CREATE TABLE event (
        id INTEGER PRIMARY KEY,
        utc_seconds REAL NOT NULL,
        kind TEXT NOT NULL,
        subject TEXT NOT NULL,
        text TEXT NOT NULL
    ) STRICT""",
    "CREATE INDEX event_by_time ON event (utc_seconds)",
    """CREATE TABLE setting (
        name TEXT PRIMARY KEY,
        value TEXT NOT NULL
    ) STRICT, WITHOUT ROWID""",
    """CREATE VIEW usage AS
        SELECT datetime(minute, 'unixepoch') AS minute_utc, * FROM minute_usage""",
    """CREATE VIEW cost_per_mtok AS
        SELECT datetime(hour, 'unixepoch') AS hour_utc, engine, model,
            input_tokens + coalesce(cached_input_tokens, 0) + output_tokens AS tokens,
            hardware_cost + energy_cost + labour_cost + other_cost AS cost,
            1e6 * (hardware_cost + energy_cost + labour_cost + other_cost)
                / nullif(input_tokens + coalesce(cached_input_tokens, 0) + output_tokens, 0) AS cost_per_mtok
        FROM hour_usage WHERE engine <> 'unallocated'""",
)
