"""A history of the first release learns of phases and queues, and tells what engines served by the minute."""

from contextlib import closing

import pytest
from sqlite_utils import Database

from evenwatt.economics.saturation import ServedMinute
from evenwatt.ledger import EngineUse
from evenwatt.sinks.history import History, history_beside
from evenwatt.sinks.history.migrations import migrations
from sink_fixtures import HOUR, MINUTE, idle, served, tick


@pytest.fixture
def path(tmp_path):
    """Where the history is."""
    return tmp_path / "history.db"


def test_a_history_of_the_first_release_is_brought_up_to_date(path):
    """Its rows stay, their phases are not known, and phases and queues are added from then on."""
    database = Database(path)
    migrations.apply(database, stop_before="m003_host_energy")
    for table in ("minute", "hour", "total"):
        key = f"{table}, " if table != "total" else ""
        at = f"{HOUR}, " if table != "total" else ""
        database.execute(
            f"INSERT INTO {table}_usage ({key}engine, model, input_tokens, active_joules)"
            f" VALUES ({at}'chat', 'small', 70, 5000.0)"
        )
    database.conn.commit()
    database.close()

    with closing(History(path, currency="EUR")) as history:
        before = history.totals()
        rows = {(HOUR, "chat", "small"): served(read=30, prefill_seconds=2.0, decode_seconds=8.0)}
        history.write(tick(rows, waiting_seconds=20.0))
        after = history.totals()
        since = history.sums_since(HOUR)

    assert before.usage["chat", "small"].input_tokens == 70
    assert before.usage["chat", "small"].prefill_seconds is None
    assert before.engines == {}
    for sums in (after, since):
        assert sums.usage["chat", "small"].input_tokens == 100
        assert sums.usage["chat", "small"].prefill_seconds == 2.0
        assert sums.usage["chat", "small"].decode_seconds == 8.0
        assert sums.engines["chat"] == EngineUse(observed_seconds=60.0, waiting_seconds=20.0)


def test_the_plain_view_shows_the_new_columns(path):
    """A person with sqlite3 finds them where the tokens are."""
    with closing(History(path, currency="EUR")) as history:
        history.write(tick({(HOUR, "chat", "small"): served(prefill_seconds=2.0)}))
    with closing(Database(path)) as database:
        (row,) = database.query("SELECT prefill_seconds, decode_seconds FROM usage")

    assert row == {"prefill_seconds": 2.0, "decode_seconds": None}


def test_served_minutes(path):
    """Of one model by its name, of several without one; what was spread over a gap is said to be."""
    next_minute, third, fourth = HOUR + MINUTE, HOUR + 2 * MINUTE, HOUR + 3 * MINUTE
    with closing(History(path, currency="EUR")) as history:
        history.write(
            tick({(HOUR, "chat", "small"): served(read=5, wrote=2, cached=9)}, waiting_seconds=45.0)
        )
        both = {
            (next_minute, "chat", "small"): served(read=1, wrote=0),
            (next_minute, "chat", "large"): served(read=2, wrote=0, estimated=1),
            (next_minute, "unallocated", ""): idle(),
        }
        history.write(tick(both, engines={}))
        history.write(tick({(third, "chat", "small"): served(read=1), (third, "chat", "large"): idle()}))
        history.write(tick({(fourth, "chat", "small"): served()}))
        with history_beside(path) as beside:
            first, second, last = beside.served_minutes(HOUR, fourth)

    assert first == ServedMinute(
        minute=HOUR, engine="chat", model="small", tokens=7, waiting_seconds=45.0, is_estimated=False
    )
    assert second == ServedMinute(
        minute=next_minute, engine="chat", model=None, tokens=3, waiting_seconds=0.0, is_estimated=True
    )
    assert (last.minute, last.model) == (third, "small")
