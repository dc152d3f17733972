"""Days of UTC: made of the hours of an older history, and kept like every other level from then on."""

import sqlite3
from contextlib import closing

import pytest
from sqlite_utils import Database

from evenwatt.sinks.history import History
from evenwatt.sinks.history.migrations import migrations
from recorded_history import RecordedHistory
from sink_fixtures import HOUR, MINUTE, idle, served, tick

DAY = HOUR // 86_400 * 86_400


@pytest.fixture
def path(tmp_path):
    """Where the history is."""
    return tmp_path / "history.db"


def write(path, *hours):
    """Write a busy and an idle minute at the beginning of hours of the day of `HOUR`."""
    with closing(History(path, currency="EUR")) as history:
        for hour in hours:
            at = DAY + hour * 3_600
            history.write(
                tick({(at, "chat", "small"): served(estimated=1), (at + MINUTE, "chat", "small"): idle()})
            )


def days_and_sums(path, table):
    """Return the days of a table, and what its hours add up to by day."""
    history = RecordedHistory(path)
    names = [name for (name,) in history.rows("SELECT name FROM pragma_table_info(?)", f"day_{table}")]
    added = ["hour / 86400 * 86400"]
    for name in names[1:]:
        key = name in {"engine", "model", "reference", "uuid", "source"}
        added.append(name if key else f"{'max' if name in {'estimated', 'restarted'} else 'sum'}({name})")
    owner = ", ".join(str(place + 1) for place, value in enumerate(added) if "(" not in value)
    return (
        rounded(history.rows(f"SELECT * FROM day_{table} ORDER BY {owner}")),
        rounded(
            history.rows(f"SELECT {', '.join(added)} FROM hour_{table} GROUP BY {owner} ORDER BY {owner}")
        ),
    )


def rounded(rows):
    """Return rows without what the order of additions leaves in their last digits."""
    return [tuple(round(value, 12) if isinstance(value, float) else value for value in row) for row in rows]


@pytest.mark.parametrize("table", ["usage", "api", "gpu", "host", "meter"])
def test_days_add_up_their_hours(path, table):
    """Whatever an hour adds up is in its day, and a day ends at midnight UTC."""
    write(path, 0, 8, 23, 24, 47)

    days, sums = days_and_sums(path, table)

    assert [row[0] for row in days] == sorted([DAY, DAY + 86_400] * (len(days) // 2))
    assert days == sums


def test_an_older_history_gets_its_days(path):
    """The step that brings days makes them of the hours that are there, and nothing else changes."""
    write(path, 0, 8, 30)
    before = {table: days_and_sums(path, table)[0] for table in ("usage", "api", "gpu", "host", "meter")}
    totals = RecordedHistory(path).level("usage", "total")
    with closing(sqlite3.connect(path)) as database:
        for table in before:
            database.execute(f"DROP TABLE day_{table}")
        database.execute("DROP TABLE day_engine")
        database.execute("DROP TABLE day_client")
        database.execute("DELETE FROM _sqlite_migrations WHERE name = 'm007_days'")
        database.commit()

    migrations.apply(Database(path))

    assert {table: days_and_sums(path, table)[0] for table in before} == before
    assert RecordedHistory(path).level("usage", "total") == totals


def test_a_history_of_the_first_release_gets_days(path):
    """All steps in a row, from an hour that the first release has written."""
    database = Database(path)
    migrations.apply(database, stop_before="m003_host_energy")
    with database.conn:
        database.execute(
            "INSERT INTO hour_host VALUES (?, 60, 0, 0), (?, 60, 0, 30)", (DAY + 3_600, DAY + 7_200)
        )
    database.conn.close()

    with closing(History(path, currency="EUR")):
        pass

    assert RecordedHistory(path).rows("SELECT * FROM day_host") == [(DAY, 120.0, 0.0, 30.0)]
