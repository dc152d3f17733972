"""The migrations of the history, kept by sqlite-utils; each runs in a transaction of its own.

Run as a module on a database. A released step is never changed: what it creates is written out here, whatever
the columns of later releases are. A new step is also named in `schema.STEPS`.
"""

import sys
from typing import Any

from sqlite_utils import Database
from sqlite_utils.migrations import Migrations

from evenwatt.sinks.history.schema import MIGRATION_SET

__all__ = ["migrations"]

migrations: Any = Migrations(MIGRATION_SET)

_M001_LEVELS = (("minute", "minute INTEGER NOT NULL,"), ("hour", "hour INTEGER NOT NULL,"), ("total", ""))

_M001_USAGE = """
    engine TEXT NOT NULL, model TEXT NOT NULL,
    input_tokens INTEGER, cached_input_tokens INTEGER, output_tokens INTEGER,
    requests_completed INTEGER, requests_aborted INTEGER, requests_failed INTEGER,
    active_joules REAL, idle_loaded_joules REAL, idle_empty_joules REAL,
    active_seconds REAL, idle_loaded_seconds REAL, idle_empty_seconds REAL, down_seconds REAL,
    estimated INTEGER, restarted INTEGER,
    hardware_cost REAL, energy_cost REAL, labour_cost REAL, other_cost REAL,
    idle_loaded_cost REAL, idle_empty_cost REAL, unpriced_seconds REAL"""
_M001_API = """
    engine TEXT NOT NULL, model TEXT NOT NULL, reference TEXT NOT NULL,
    tokens INTEGER, no_cache_cost REAL, observed_tokens INTEGER, observed_cache_cost REAL"""
_M001_GPU = """
    uuid TEXT NOT NULL,
    energy_joules REAL, measured_seconds REAL, utilization_seconds REAL, estimated INTEGER"""
_M001_HOST = "seconds REAL, down_seconds REAL, estimated_seconds REAL"
_M001_ONLY_ROW = "one INTEGER NOT NULL CHECK (one = 1),"

_M001_OTHER_TABLES = (
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


@migrations()  # type: ignore[untyped-decorator]  # sqlite-utils' decorator has no types
def m001_minutes_hours_totals(database: Database) -> None:
    """Create everything that the first release writes."""
    for level, time in _M001_LEVELS:
        key = f"{level}, " if time else ""
        for name, columns, primary in (
            ("usage", time + _M001_USAGE, f"{key}engine, model"),
            ("api", time + _M001_API, f"{key}engine, model, reference"),
            ("gpu", time + _M001_GPU, f"{key}uuid"),
            ("host", (time or _M001_ONLY_ROW) + _M001_HOST, level if time else "one"),
        ):
            database.execute(
                f"CREATE TABLE {level}_{name} ({columns}, PRIMARY KEY ({primary})) STRICT, WITHOUT ROWID"
            )
    for statement in _M001_OTHER_TABLES:
        database.execute(statement)


_M006_CLIENT = """
    engine TEXT NOT NULL, model TEXT NOT NULL, client TEXT NOT NULL,
    input_tokens INTEGER, cached_input_tokens INTEGER, output_tokens INTEGER,
    requests_completed INTEGER, requests_aborted INTEGER, requests_failed INTEGER, estimated INTEGER"""


@migrations()  # type: ignore[untyped-decorator]  # sqlite-utils' decorator has no types
def m006_clients(database: Database) -> None:
    """Create what tokens by client are written to."""
    for level, time in _M001_LEVELS:
        key = f"{level}, " if time else ""
        database.execute(
            f"CREATE TABLE {level}_client ({time}{_M006_CLIENT},"
            f" PRIMARY KEY ({key}engine, model, client)) STRICT, WITHOUT ROWID"
        )


if __name__ == "__main__":
    migrations.apply(Database(sys.argv[1]))
