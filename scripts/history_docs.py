"""Writes docs/history-tables.md from the history as the code creates it; with --check, only compares."""

import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

from generated import parser, write_or_check

from evenwatt.sinks.history import History

DOCUMENT = Path(__file__).parents[1] / "docs" / "history-tables.md"

HEAD = """\
# Tables and views of the history

Every table and view with its columns, written by `make docs` from a history that the code has just created.
What they are for, and ten questions as queries: [history.md](history.md).

* A unit is in the name: `_seconds`, `_joules`, `_tokens`, `_usd_per_mtok`. Costs without `usd` are in the
  currency of the configuration.
* `minute`, `hour` and `day` are seconds since 1970-01-01 UTC at which a row begins; `local_day` is a date of
  the site's calendar, written as the seconds at which that date begins in UTC.
* NULL is not known. It is never 0.
* **Bold** columns are the primary key.
"""

LEVELS = ("minute", "hour", "day", "local_day", "total")
"""What `minute_usage` and its like are kept by, finest first."""

BOOKKEEPING = ("sqlite_", "_")
"""How the names of tables begin that SQLite and sqlite-utils keep for themselves."""


def main() -> int:
    """Write or check the document; return the exit status."""
    return write_or_check(DOCUMENT, document, check=parser(__doc__).parse_args().check)


def document() -> str:
    """Return the whole document."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "history.db"
        History(path, currency="USD").close()
        with closing(sqlite3.connect(path)) as connection:
            return "\n".join((HEAD, *_sections(connection)))


def _sections(connection: sqlite3.Connection) -> Iterator[str]:
    views, tables = _names(connection, "view"), _names(connection, "table")
    yield "## Views\n"
    for view in views:
        yield _section(view, connection, view)
    kinds = [name.removeprefix("minute_") for name in tables if name.startswith("minute_")]
    by_level = [[f"{level}_{kind}" for level in LEVELS if f"{level}_{kind}" in tables] for kind in kinds]
    yield "## Tables by level\n"
    yield (
        "A row is the sum of its minutes. Columns are those of `minute_`, with the time named as the level; "
        "`total_` has no time (`total_host`: `one`, which is 1).\n"
    )
    for names in by_level:
        yield _section(", ".join(names), connection, names[0])
    yield "## Other tables\n"
    for table in tables:
        if not any(table in names for names in by_level):
            yield _section(table, connection, table)


def _names(connection: sqlite3.Connection, kind: str) -> list[str]:
    rows = connection.execute("SELECT name FROM sqlite_schema WHERE type = ? ORDER BY name", (kind,))
    return [name for (name,) in rows if not name.startswith(BOOKKEEPING)]


def _section(title: str, connection: sqlite3.Connection, table: str) -> str:
    columns = connection.execute("SELECT name, type, pk FROM pragma_table_info(?)", (table,))
    named = [
        (f"**`{name}`**" if key else f"`{name}`") + (f" {kind}" if kind else "")
        for name, kind, key in columns
    ]
    return f"### {title}\n\n{', '.join(named)}\n"


if __name__ == "__main__":
    sys.exit(main())
