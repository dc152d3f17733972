"""The migrations of the history, kept by sqlite-utils; each runs in a transaction of its own.

Run as a module on a database. A released step is never changed: what it creates is written out here, whatever
the columns of later releases are. A new step is also named in `schema.STEPS`.
"""

import re
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


_M002_STATEMENTS = (
    """CREATE TABLE electricity_price (
        start_utc_seconds REAL PRIMARY KEY,
        end_utc_seconds REAL NOT NULL,
        price_per_kwh REAL NOT NULL,
        accepted_utc_seconds REAL NOT NULL,
        source TEXT NOT NULL
    ) STRICT, WITHOUT ROWID""",
    *(f"ALTER TABLE {level}_usage ADD COLUMN unpriced_joules REAL" for level in ("minute", "hour", "total")),
    "DROP VIEW cost_per_mtok",
    """CREATE VIEW cost_per_mtok AS
        WITH hour_cost AS (
            SELECT hour, engine, model,
                input_tokens + coalesce(cached_input_tokens, 0) + output_tokens AS tokens,
                iif(coalesce(unpriced_seconds, 0) = 0 AND coalesce(unpriced_joules, 0) = 0,
                    hardware_cost + energy_cost + labour_cost + other_cost, NULL) AS cost
            FROM hour_usage WHERE engine <> 'unallocated'
        )
        SELECT datetime(hour, 'unixepoch') AS hour_utc, engine, model, tokens, cost,
            1e6 * cost / nullif(tokens, 0) AS cost_per_mtok
        FROM hour_cost""",
)


@migrations()  # type: ignore[untyped-decorator]  # sqlite-utils' decorator has no types
def m002_electricity_prices(database: Database) -> None:
    """Keep the prices that a feed gave, and take no cost without them for the whole."""
    for statement in _M002_STATEMENTS:
        database.execute(statement)


_M003_METER = """
    source TEXT NOT NULL,
    energy_joules REAL, measured_seconds REAL, estimated INTEGER"""
_M003_CALIBRATION = """CREATE TABLE calibration (
        id INTEGER PRIMARY KEY,
        utc_seconds REAL NOT NULL,
        kind TEXT NOT NULL,
        subject TEXT NOT NULL,
        result TEXT NOT NULL,
        settings TEXT NOT NULL
    ) STRICT"""


@migrations()  # type: ignore[untyped-decorator]  # sqlite-utils' decorator has no types
def m003_host_energy(database: Database) -> None:
    """Create what a machine draws beside its GPUs, and what was measured once to calibrate by."""
    for level, time in _M001_LEVELS:
        key = f"{level}, source" if time else "source"
        database.execute(
            f"CREATE TABLE {level}_meter ({time}{_M003_METER}, PRIMARY KEY ({key})) STRICT, WITHOUT ROWID"
        )
    database.execute(_M003_CALIBRATION)


_M004_RATES = """
    reference TEXT NOT NULL,
    valid_from_utc_seconds REAL NOT NULL,
    accepted_utc_seconds REAL NOT NULL,
    input_usd_per_mtok REAL NOT NULL,
    cached_input_usd_per_mtok REAL,
    output_usd_per_mtok REAL NOT NULL,
    source TEXT NOT NULL,
    cache_write_usd_per_mtok REAL,
    batch_input_usd_per_mtok REAL,
    batch_cached_input_usd_per_mtok REAL,
    batch_output_usd_per_mtok REAL,
    tiers TEXT,
    accepted_by TEXT NOT NULL"""


@migrations()  # type: ignore[untyped-decorator]  # sqlite-utils' decorator has no types
def m004_price_details(database: Database) -> None:
    """Let prices have details and corrections, and keep offers until somebody accepts them."""
    database.execute("ALTER TABLE price RENAME TO m001_price")
    database.execute(
        f"CREATE TABLE price ({_M004_RATES},"
        " PRIMARY KEY (reference, valid_from_utc_seconds, accepted_utc_seconds)) STRICT, WITHOUT ROWID"
    )
    database.execute(
        "INSERT INTO price SELECT *, NULL, NULL, NULL, NULL, NULL,"
        " iif(source = 'configuration', 'configuration', 'catalogue') FROM m001_price"
    )
    database.execute("DROP TABLE m001_price")
    database.execute(
        "CREATE TABLE price_offer (is_dated INTEGER NOT NULL, offered_utc_seconds REAL NOT NULL,"
        f" {_M004_RATES}, PRIMARY KEY (reference)) STRICT, WITHOUT ROWID"
    )


_M005_ENGINE = """
    engine TEXT NOT NULL,
    observed_seconds REAL, waiting_seconds REAL,
    running_request_seconds REAL, waiting_request_seconds REAL"""


@migrations()  # type: ignore[untyped-decorator]  # sqlite-utils' decorator has no types
def m005_engine_load(database: Database) -> None:
    """Add the phases of requests, and how many of them ran and waited."""
    for level, time in _M001_LEVELS:
        for column in ("prefill_seconds", "decode_seconds"):
            database.execute(f"ALTER TABLE {level}_usage ADD COLUMN {column} REAL")
        primary = f"{level}, engine" if time else "engine"
        database.execute(
            f"CREATE TABLE {level}_engine ({time + _M005_ENGINE}, PRIMARY KEY ({primary}))"
            " STRICT, WITHOUT ROWID"
        )


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


_M007_DAY_SECONDS = 86_400
_M007_LARGER_WINS = frozenset({"estimated", "restarted"})


@migrations()  # type: ignore[untyped-decorator]  # sqlite-utils' decorator has no types
def m007_days(database: Database) -> None:
    """Add days of UTC to every table of hours that the steps before have made, filled from the hours."""
    tables = database.execute(
        "SELECT name, sql FROM sqlite_master WHERE type = 'table' AND name GLOB 'hour_*'"
    ).fetchall()
    for hours, statement in tables:
        days = hours.replace("hour_", "day_", 1)
        database.execute(re.sub(r"\bhour\b", "day", statement.replace(hours, days, 1)))
        columns = database.execute(f"SELECT name, pk FROM pragma_table_info('{hours}')").fetchall()  # noqa: S608 -- our own names only
        owner = [name for name, key in columns if key and name != "hour"]
        values = [name for name, key in columns if not key]
        sums = [f"{'max' if name in _M007_LARGER_WINS else 'sum'}({name})" for name in values]
        day = f"hour / {_M007_DAY_SECONDS} * {_M007_DAY_SECONDS}"
        database.execute(
            f"INSERT INTO {days} ({', '.join(('day', *owner, *values))})"  # noqa: S608 -- our own names only
            f" SELECT {', '.join((day, *owner, *sums))} FROM {hours} GROUP BY {', '.join((day, *owner))}"
        )


@migrations()  # type: ignore[untyped-decorator]  # sqlite-utils' decorator has no types
def m008_local_days(database: Database) -> None:
    """Add days of the site's calendar; who opens the history knows its time zone and fills them.

    Days of UTC are added too where they lack: for a while `m007_days` was there before `m006_clients`.
    """
    tables = dict(
        database.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table' AND name GLOB 'hour_*'")
    )
    present = {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    for hours, statement in tables.items():
        for level in ("local_day", "day"):
            days = hours.replace("hour_", f"{level}_", 1)
            if days not in present:
                database.execute(re.sub(r"\bhour\b", level, statement.replace(hours, days, 1)))


@migrations()  # type: ignore[untyped-decorator]  # sqlite-utils' decorator has no types
def m009_machine_hours(database: Database) -> None:
    """Keep each hour of the machine as one, filled from the rows of its engines and models."""
    database.execute("""
        CREATE TABLE machine_hour (hour INTEGER NOT NULL PRIMARY KEY,
            input_tokens INTEGER, cached_input_tokens INTEGER, output_tokens INTEGER, joules REAL,
            hardware_cost REAL, energy_cost REAL, labour_cost REAL, other_cost REAL, idle_cost REAL,
            unpriced_seconds REAL, unpriced_joules REAL) STRICT
    """)
    database.execute("""
        INSERT INTO machine_hour
        SELECT hour, sum(input_tokens), sum(cached_input_tokens), sum(output_tokens),
            iif(count(active_joules) + count(idle_loaded_joules) + count(idle_empty_joules) = 0, NULL,
                total(active_joules) + total(idle_loaded_joules) + total(idle_empty_joules)),
            sum(hardware_cost), sum(energy_cost), sum(labour_cost), sum(other_cost),
            iif(count(idle_loaded_cost) + count(idle_empty_cost) = 0, NULL,
                total(idle_loaded_cost) + total(idle_empty_cost)),
            sum(unpriced_seconds), sum(unpriced_joules)
        FROM hour_usage GROUP BY hour
    """)


def _m010_known(*names: str) -> str:
    """Return the sum of what is known; NULL where nothing is."""
    parts = " + ".join(f"coalesce({name}, 0)" for name in names)
    return f"iif(coalesce({', '.join(names)}) IS NULL, NULL, {parts})"


_M010_REQUESTS = _m010_known("requests_completed", "requests_aborted", "requests_failed")
_M010_PER_MODEL = f"""
    engine, model, input_tokens, cached_input_tokens, output_tokens,
    {_m010_known("input_tokens", "cached_input_tokens", "output_tokens")} AS tokens,
    {_M010_REQUESTS} AS requests,
    {_m010_known("active_joules", "idle_loaded_joules", "idle_empty_joules")} / 3.6e6 AS kwh,
    active_seconds / 3600 AS active_hours,
    {_m010_known("idle_loaded_seconds", "idle_empty_seconds")} / 3600 AS idle_hours,
    iif(coalesce(unpriced_seconds, 0) = 0, hardware_cost, NULL) AS hardware_cost,
    iif(coalesce(unpriced_joules, 0) = 0, energy_cost, NULL) AS energy_cost,
    labour_cost, other_cost, {_m010_known("idle_loaded_cost", "idle_empty_cost")} AS idle_cost,
    estimated AS is_estimated"""
"""What a model did and cost; a cost is NULL where a part of it is not known, as a part is not the whole."""

_M010_COST = "hardware_cost + energy_cost + labour_cost + other_cost"
_M010_DAY = "strftime('%Y-%m-%d', local_day, 'unixepoch') AS day"
"""Not `date`, which DuckDB does not read in a view as SQLite does."""


def _m010_per_model(view: str, time: str, table: str) -> str:
    used = f"SELECT {time}, {_M010_PER_MODEL} FROM {table}"  # noqa: S608 -- our own names only
    costs = f"{_M010_COST} AS cost, 1e6 * ({_M010_COST}) / nullif(tokens, 0) AS cost_per_mtok"
    return f"CREATE VIEW {view} AS WITH used AS ({used}) SELECT *, {costs} FROM used"  # noqa: S608 -- our own names only


def _m010_kwh(table: str) -> str:
    """Return what was drawn in each day by all of a kind."""
    return f"(SELECT local_day, sum(energy_joules) / 3.6e6 AS kwh FROM local_day_{table} GROUP BY local_day)"  # noqa: S608 -- our own names only


_M010_VIEWS = (
    _m010_per_model("daily_cost", _M010_DAY, "local_day_usage"),
    _m010_per_model("hourly_cost", "strftime('%Y-%m-%d %H:%M', hour, 'unixepoch') AS hour_utc", "hour_usage"),
    f"""CREATE VIEW daily_machine AS
        SELECT {_M010_DAY}, seconds / 3600 AS accounted_hours, down_seconds / 3600 AS down_hours,
            estimated_seconds / 3600 AS estimated_hours, gpus.kwh AS gpu_kwh, rest.kwh AS host_kwh,
            {_m010_known("gpus.kwh", "rest.kwh")} AS kwh
        FROM local_day_host
        LEFT JOIN {_m010_kwh("gpu")} AS gpus USING (local_day)
        LEFT JOIN {_m010_kwh("meter")} AS rest USING (local_day)""",  # noqa: S608 -- our own names only
    f"""CREATE VIEW daily_gpu AS
        SELECT {_M010_DAY}, uuid, energy_joules / 3.6e6 AS kwh,
            energy_joules / nullif(measured_seconds, 0) AS mean_watts,
            utilization_seconds / nullif(measured_seconds, 0) AS utilization_ratio,
            estimated AS is_estimated
        FROM local_day_gpu""",  # noqa: S608 -- our own names only
    f"""CREATE VIEW daily_api_cost AS
        SELECT {_M010_DAY}, engine, model, reference, tokens,
            iif(observed_tokens = tokens, observed_cache_cost, no_cache_cost) AS api_cost,
            no_cache_cost AS api_cost_without_cache
        FROM local_day_api""",  # noqa: S608 -- our own names only
    f"""CREATE VIEW daily_client AS
        SELECT {_M010_DAY}, engine, model, client, input_tokens, cached_input_tokens, output_tokens,
            {_M010_REQUESTS} AS requests, estimated AS is_estimated
        FROM local_day_client""",  # noqa: S608 -- our own names only
    """CREATE VIEW events AS
        SELECT strftime('%Y-%m-%d %H:%M:%S', utc_seconds, 'unixepoch') AS utc, kind, subject, text
        FROM event""",
    """CREATE VIEW api_prices AS
        SELECT reference, strftime('%Y-%m-%d', valid_from_utc_seconds, 'unixepoch') AS valid_from,
            input_usd_per_mtok, cached_input_usd_per_mtok, output_usd_per_mtok, source, accepted_by,
            strftime('%Y-%m-%d %H:%M:%S', accepted_utc_seconds, 'unixepoch') AS accepted_utc
        FROM price AS held WHERE accepted_utc_seconds = (
            SELECT max(accepted_utc_seconds) FROM price
            WHERE reference = held.reference AND valid_from_utc_seconds = held.valid_from_utc_seconds)""",
    """CREATE VIEW electricity_prices AS
        SELECT strftime('%Y-%m-%d %H:%M', start_utc_seconds, 'unixepoch') AS start_utc,
            strftime('%Y-%m-%d %H:%M', end_utc_seconds, 'unixepoch') AS end_utc, price_per_kwh, source
        FROM electricity_price""",
)


@migrations()  # type: ignore[untyped-decorator]  # sqlite-utils' decorator has no types
def m010_views(database: Database) -> None:
    """Name what people ask for: days of the site's calendar, in kWh and hours, with whole costs only."""
    for view in _M010_VIEWS:
        database.execute(view)


if __name__ == "__main__":
    migrations.apply(Database(sys.argv[1]))
