"""What a history says, read with SQL of the tests' own while the agent runs and after its end."""

import json
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

__all__ = ["RecordedHistory", "minute_of"]

_LARGER_WINS = ("estimated", "restarted")
"""Columns of which the larger value stands for several rows; all others are sums."""

_COUNTS = "sum(input_tokens), sum(cached_input_tokens), sum(output_tokens), sum(requests_completed)"


def minute_of(utc_seconds: float) -> int:
    """Return the Unix time at which the minute of a moment begins."""
    return int(utc_seconds // 60) * 60


class RecordedHistory:
    """A history database, opened for reading anew for each question; never written.

    Args:
        path: The database; it need not be there yet.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def rows(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """Return the rows of a query."""
        with closing(sqlite3.connect(f"file:{self.path}?mode=ro", uri=True, timeout=10)) as database:
            return database.execute(sql, values).fetchall()

    def cursor(self, source: str) -> dict[str, Any] | None:
        """Return where a source was last read, as last committed; None before that."""
        if not self.path.exists() or not self.rows("SELECT 1 FROM sqlite_master WHERE name = 'cursor'"):
            return None
        states = self.rows("SELECT state FROM cursor WHERE source = ?", source)
        return json.loads(states[0][0]) if states else None

    def counted(self, engine: str, level: str = "total") -> dict[str, tuple[int | None, ...]]:
        """Return what is booked by model: input, cached input and output tokens, and completed requests."""
        rows = self.rows(
            f"SELECT model, {_COUNTS} FROM {level}_usage WHERE engine = ? GROUP BY model", engine
        )
        return {model: tuple(counts) for model, *counts in rows}

    def tokens(self, engine: str, level: str = "total") -> tuple[int | None, ...]:
        """Return the booked input, cached input and output tokens of an engine, over all models."""
        (counts,) = self.rows(f"SELECT {_COUNTS} FROM {level}_usage WHERE engine = ?", engine)
        return counts[:3]

    def events(self, kind: str) -> list[tuple[float, str]]:
        """Return time and subject of all events of a kind, oldest first."""
        return self.rows("SELECT utc_seconds, subject FROM event WHERE kind = ? ORDER BY id", kind)

    def level(self, table: str, level: str) -> dict[tuple[Any, ...], dict[str, Any]]:
        """Return all rows of a level by their key: `table` is `usage`, `gpu`, `host` or `api`."""
        return self._keyed(f"SELECT * FROM {level}_{table}", self._key(table, level))

    def minutes_added_up(self, table: str, level: str, seconds: int | None) -> dict[tuple[Any, ...], Any]:
        """Return what the minutes add up to, row by row of another level, as SQL adds.

        Args:
            table: `usage`, `gpu`, `host` or `api`.
            level: `hour` or `total`.
            seconds: How much time a row of that level spans; None: all.
        """
        key = self._key(table, level)
        values = [name for name in self._columns(f"minute_{table}") if name not in {*key, "minute"}]
        added = [f"{'max' if name in _LARGER_WINS else 'sum'}({name}) AS {name}" for name in values]
        named = [self._key_column(name, seconds) for name in key]
        return self._keyed(
            f"SELECT {', '.join((*named, *added))} FROM minute_{table} GROUP BY {', '.join(key)}", key
        )

    def _keyed(self, sql: str, key: Sequence[str]) -> dict[tuple[Any, ...], dict[str, Any]]:
        with closing(sqlite3.connect(f"file:{self.path}?mode=ro", uri=True, timeout=10)) as database:
            database.row_factory = sqlite3.Row
            rows = [dict(row) for row in database.execute(sql)]
        return {tuple(row.pop(name) for name in key): row for row in rows}

    def _columns(self, table: str) -> list[str]:
        return [name for (name,) in self.rows("SELECT name FROM pragma_table_info(?)", table)]

    def _key(self, table: str, level: str) -> list[str]:
        return [
            name
            for (name,) in self.rows(
                "SELECT name FROM pragma_table_info(?) WHERE pk > 0 ORDER BY pk", f"{level}_{table}"
            )
        ]

    @staticmethod
    def _key_column(name: str, seconds: int | None) -> str:
        computed = {"one": "1", "hour": f"minute / {seconds} * {seconds}"}
        return f"{computed[name]} AS {name}" if name in computed else name
