"""The columns that rows are written by, and the steps that lead to the present schema.

Every level (minute, hour, day of UTC, day of the site's calendar, total) has the same additive columns; a row
is the sum of its minutes.
A column holds NULL where the value is not known, and NULL plus something known is what is known.
"""

import sqlite3
import subprocess
import sys
from collections.abc import Mapping
from contextlib import closing, suppress
from pathlib import Path
from typing import Final

from evenwatt.errors import HistoryError
from evenwatt.ledger.entries import ClientUse, EngineUse, GpuUse, HostUse, MeterUse, Usage

__all__ = [
    "API_COLUMNS",
    "BESIDE",
    "BESIDE_OPTIONAL",
    "COST_COLUMNS",
    "LEVELS",
    "LEVEL_SECONDS",
    "LOCAL_DAY",
    "MIGRATION_SET",
    "STEPS",
    "TABLES",
    "bring_up_to_date",
    "missing_steps",
]

LEVELS: Final[tuple[tuple[str, int | None], ...]] = (
    ("minute", 60),
    ("hour", 3_600),
    ("day", 86_400),
    ("total", None),
)
"""Name of each level and the seconds that its rows span; None: the life of the history."""

LOCAL_DAY: Final = "local_day"
"""One more level, whose rows span the days of the site's calendar: 23 or 25 hours where clocks are set.

Its key is the date as its midnight in UTC, so that `date(local_day, 'unixepoch')` is what the calendar says.
"""

LEVEL_SECONDS: Final = {name: seconds for name, seconds in LEVELS if seconds is not None}
"""Of the levels whose rows have a time, finest first."""

COST_COLUMNS: Final = (
    "hardware_cost",
    "energy_cost",
    "labour_cost",
    "other_cost",
    "idle_loaded_cost",
    "idle_empty_cost",
    "unpriced_seconds",
    "unpriced_joules",
)
API_COLUMNS: Final = ("tokens", "no_cache_cost", "observed_tokens", "observed_cache_cost")
"""Each cost with the tokens that it is for, so that a bill for a part is never taken for the whole."""

TABLES: Final[Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]]] = {
    "usage": (("engine", "model"), (*Usage.__struct_fields__, *COST_COLUMNS)),
    "api": (("engine", "model", "reference"), API_COLUMNS),
    "client": (("engine", "model", "client"), ClientUse.__struct_fields__),
    "gpu": (("uuid",), GpuUse.__struct_fields__),
    "engine": (("engine",), EngineUse.__struct_fields__),
    "meter": (("source",), MeterUse.__struct_fields__),
    "host": ((), HostUse.__struct_fields__),
}
"""What each level has: by name, whose a row is, and its additive columns."""

BESIDE: Final[Mapping[str, tuple[str, ...]]] = {
    "event": ("utc_seconds", "kind", "subject", "text"),
    "calibration": ("utc_seconds", "kind", "subject", "result", "settings"),
    "electricity_price": (
        "start_utc_seconds",
        "end_utc_seconds",
        "price_per_kwh",
        "accepted_utc_seconds",
        "source",
    ),
    "price": (
        "valid_from_utc_seconds",
        "reference",
        "accepted_utc_seconds",
        "input_usd_per_mtok",
        "cached_input_usd_per_mtok",
        "output_usd_per_mtok",
        "source",
        "cache_write_usd_per_mtok",
        "batch_input_usd_per_mtok",
        "batch_cached_input_usd_per_mtok",
        "batch_output_usd_per_mtok",
        "tiers",
        "accepted_by",
    ),
    "source_total": ("source", "restarts", "gap_seconds"),
}
"""What is kept beside the levels, with the columns that another history takes; a time stands first."""

BESIDE_OPTIONAL: Final = frozenset(name for name in BESIDE["price"] if name.endswith("_per_mtok")) | {"tiers"}
"""Columns of it in which nothing may stand."""

MIGRATION_SET: Final = "evenwatt"
STEPS: Final = (
    "m001_minutes_hours_totals",
    "m002_electricity_prices",
    "m003_host_energy",
    "m004_price_details",
    "m005_engine_load",
    "m006_clients",
    "m007_days",
    "m008_local_days",
    "m009_machine_hours",
    "m010_views",
)
"""All migrations, oldest first, as `migrations.py` has them."""

_MIGRATION_SECONDS = 600.0


def bring_up_to_date(connection: sqlite3.Connection, path: Path) -> Path | None:
    """Bring a database to the present schema, where it is not there yet.

    One that holds something is copied first: whoever has to go back to the release before finds it there.

    The migrations run in a process of their own: the library that keeps them takes 13 MB, a fifth of what
    the agent may use, and is needed once for each release.

    Returns:
        Where the copy is; None where none was needed.

    Raises:
        HistoryError: A newer evenwatt has written it, it could not be copied, or a step failed.
        sqlite3.DatabaseError: It is not a database, or damaged.
    """
    missing = missing_steps(connection, path)
    if not missing:
        return None
    copy = None if missing == STEPS else _copied(connection, path, missing[0])
    # -P: a file named like a module in the working directory must not be imported in its place.
    command = [sys.executable, "-P", "-m", "evenwatt.sinks.history.migrations", str(path)]
    try:
        child = subprocess.run(  # noqa: S603 -- our own interpreter and module, no shell
            command, capture_output=True, text=True, timeout=_MIGRATION_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise HistoryError(f"{path}: its tables could not be brought up to date: {error}") from error
    if child.returncode:
        lines = child.stderr.strip().splitlines() or ["it said nothing"]
        raise HistoryError(f"{path}: its tables could not be brought up to date: {lines[-1]}")
    return copy


def _copied(connection: sqlite3.Connection, path: Path, step: str) -> Path:
    """Copy a database to a name that says before which step it was; a copy is there whole or not at all."""
    copy = path.with_name(f"{path.name}.before-{step}")
    part = copy.with_name(copy.name + ".part")
    try:
        part.unlink(missing_ok=True)
        with closing(sqlite3.connect(part)) as into:
            connection.backup(into)
        part.replace(copy)
    except (OSError, sqlite3.Error) as error:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise HistoryError(
            f"{path}: could not be copied to {copy} before its tables are brought up to date ({error}); it "
            "takes as much room again as the history, and stays as it was until there is"
        ) from error
    return copy


def missing_steps(connection: sqlite3.Connection, path: Path) -> tuple[str, ...]:
    """Return the migrations that a database has not seen yet, oldest first.

    Raises:
        HistoryError: A newer evenwatt has written it.
        sqlite3.DatabaseError: It is not a database, or damaged.
    """
    applied = _applied(connection)
    unknown = sorted(applied - set(STEPS))
    if unknown:
        raise HistoryError(
            f"{path} was written by a newer evenwatt (schema step {unknown[-1]} is not known here); install "
            "that version again, or give this one a history.path of its own"
        )
    return tuple(step for step in STEPS if step not in applied)


def _applied(connection: sqlite3.Connection) -> set[str]:
    exists = "SELECT 1 FROM sqlite_master WHERE name = '_sqlite_migrations'"
    if connection.execute(exists).fetchone() is None:
        return set()
    rows = connection.execute("SELECT name FROM _sqlite_migrations WHERE migration_set = ?", (MIGRATION_SET,))
    return {name for (name,) in rows}
