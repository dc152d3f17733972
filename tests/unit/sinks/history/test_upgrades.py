"""A history of each schema that there ever was is brought up to date, with nothing lost and a copy beside it.

`tests/histories` holds what the code of each of them has written: three days, a minute of work and one of
rest every two hours.
"""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from evenwatt.errors import HistoryError
from evenwatt.sinks.history import History, history_beside
from evenwatt.sinks.history.queries import HistorySpan
from evenwatt.sinks.history.schema import STEPS
from history_checks import disagreements
from recorded_history import RecordedHistory
from sink_fixtures import HOUR, served, tick

HISTORIES = sorted((Path(__file__).parents[3] / "histories").glob("*.sql"))
BEGIN = HOUR // 86_400 * 86_400
SERVED = 36


@pytest.fixture(params=HISTORIES, ids=lambda path: path.stem)
def path(request, tmp_path):
    """A history as an older release left it."""
    path = tmp_path / "history.db"
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA journal_mode = WAL")
        database.executescript(request.param.read_text(encoding="utf-8"))
    return path


def columns_of(path):
    """Return the columns of each table, whatever their order."""
    with closing(sqlite3.connect(path)) as database:
        tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {
            table: {row[1:6] for row in database.execute(f"PRAGMA table_info({table})")} for table in tables
        }


def columns_and_places(path):
    """Return the same without the places of columns, which ALTER TABLE leaves at the end."""
    return {
        table: {(name, kind, not_null, bool(key)) for name, kind, not_null, _, key in columns}
        for table, columns in columns_of(path).items()
    }


def test_there_is_one_of_each_schema():
    """Whoever adds a step adds a history that was written without it."""
    steps = [step.partition("_")[0] for step in STEPS[:-1]]
    assert {path.stem for path in HISTORIES} >= {step for step in steps if step != "m006"}


def test_it_is_brought_up_to_date_with_nothing_lost(path, tmp_path):
    """All that was counted is in every level; what there is, is what a new history has."""
    before = RecordedHistory(path).rows("SELECT * FROM minute_usage")
    with closing(History(path, currency="EUR")) as history:
        usage = history.totals().usage["chat", "small"]
        money = history.totals().money["chat", "small"]
        history.write(tick({(BEGIN + 86_400, "chat", "small"): served()}))
    with closing(History(tmp_path / "new.db", currency="EUR")):
        pass

    assert usage.output_tokens == SERVED * 100_000
    assert usage.active_joules == pytest.approx(SERVED * 6_000.0)
    assert money.hardware == pytest.approx(SERVED * 0.12)
    assert disagreements(path) == []
    assert columns_and_places(path) == columns_and_places(tmp_path / "new.db")
    assert len(RecordedHistory(path).rows("SELECT * FROM minute_usage")) == len(before)
    with history_beside(path) as reader:
        span = HistorySpan(reader, BEGIN, BEGIN + 3 * 86_400)
        assert span.sums().usage["chat", "small"].output_tokens == (SERVED + 1) * 100_000


def test_a_copy_of_before_stays_beside_it(path):
    """Whoever goes back to the release before finds the history as that one left it."""
    columns = columns_of(path)
    rows = RecordedHistory(path).rows("SELECT * FROM minute_usage")
    with closing(History(path, currency="EUR")) as history:
        copy = history.copied_to

    assert copy is not None
    assert columns_of(copy) == columns
    assert RecordedHistory(copy).rows("SELECT * FROM minute_usage") == rows
    assert list(path.parent.glob("*.part")) == []
    with closing(History(path, currency="EUR")) as history:
        assert history.copied_to is None


def test_it_is_not_read_beside_an_agent_before_that(path):
    """A command changes no tables: it says what brings the history up to date."""
    with pytest.raises(HistoryError, match="start the agent once"), history_beside(path):
        pass
