"""Hours of the machine as one: over all engines and models, and over what no engine used.

A report reads every hour of a year. Adding them up from their rows anew took a fifth of its time; so they are
kept, worked out from the rows in the transaction that changes them.
"""

import sqlite3
from collections.abc import Mapping
from typing import Final

from evenwatt.units import SECONDS_PER_HOUR

__all__ = ["MACHINE_VALUES", "add_up_machine_hours"]


def _known_sum(*columns: str) -> str:
    """Return the sum over several columns as SQL: of what is known, NULL where nothing is."""
    sums = [f"sum({column})" for column in columns]
    total = " + ".join(f"ifnull({part}, 0.0)" for part in sums)
    return f"iif(coalesce({', '.join(sums)}) IS NULL, NULL, {total})"


def _sums(*columns: str) -> dict[str, str]:
    return {column: f"sum({column})" for column in columns}


MACHINE_VALUES: Final[Mapping[str, str]] = {
    **_sums("input_tokens", "cached_input_tokens", "output_tokens"),
    "joules": _known_sum("active_joules", "idle_loaded_joules", "idle_empty_joules"),
    **_sums("hardware_cost", "energy_cost", "labour_cost", "other_cost"),
    "idle_cost": _known_sum("idle_loaded_cost", "idle_empty_cost"),
    **_sums("unpriced_seconds", "unpriced_joules"),
}
"""The columns, in the order of an `HourRow`, and what each is as SQL over rows of usage."""

_COLUMNS: Final = ", ".join(MACHINE_VALUES)
_ADD_UP: Final = (
    f"INSERT INTO machine_hour (hour, {_COLUMNS}) SELECT hour, {', '.join(MACHINE_VALUES.values())}"  # noqa: S608 -- our own names only
    " FROM hour_usage WHERE hour >= ? AND hour < ? GROUP BY hour"
)


def add_up_machine_hours(connection: sqlite3.Connection, start: int, end: int) -> None:
    """Make the hours that a span touches what their rows add up to, within a transaction of the caller's."""
    bounds = (start // SECONDS_PER_HOUR * SECONDS_PER_HOUR, end)
    connection.execute("DELETE FROM machine_hour WHERE hour >= ? AND hour < ?", bounds)
    connection.execute(_ADD_UP, bounds)
