"""Ticks add up in every level of the history, all of a tick or nothing."""

import random
import shutil
import sqlite3
from contextlib import closing

import pytest

from evenwatt.errors import HistoryError, HistoryInUse
from evenwatt.ledger import GpuUse, HostUse, SourceTotals, Usage
from evenwatt.model import Event
from evenwatt.sinks.history import History
from evenwatt.snapshot import Sums, sums_with
from recorded_history import RecordedHistory
from sink_fixtures import HOUR, MINUTE, idle, served, tick

NEXT_HOUR = HOUR + 3_600
TABLES = ("usage", "gpu", "engine", "meter", "host", "api")


@pytest.fixture
def path(tmp_path):
    """Where the history is."""
    return tmp_path / "history.db"


@pytest.fixture
def history(path):
    """A new history."""
    with closing(History(path, currency="EUR")) as opened:
        yield opened


def many_ticks(count=200):
    """Return ticks of three hours as they come: several models, and values that are not told."""
    draw = random.Random(7)
    for number in range(count):
        minute = HOUR + number * 3 * 3_600 // count // MINUTE * MINUTE
        rows = {
            (minute, engine, model): draw.choice(
                [
                    served(
                        draw.randrange(10**6),
                        draw.randrange(10**5),
                        draw.choice([None, draw.randrange(10**6)]),
                    ),
                    idle(idle_loaded_joules=draw.choice([None, draw.random() * 100])),
                    Usage(restarted=1),
                ]
            )
            for engine, model in (
                ("chat", "small"),
                ("chat", "large"),
                ("code", "small"),
                ("unallocated", ""),
            )
        }
        yield tick(rows, estimated_seconds=draw.choice([0.0, 1.5]))


def test_unknown_and_something_known_is_what_is_known(history):
    """A value that was not told at first is, after it was, what was told since: NULL plus 3 is 3."""
    key = (HOUR, "chat", "small")
    for cached in (None, 3, None, 4):
        history.write(tick({key: served(cached=cached)}))

    assert history.totals().usage["chat", "small"].cached_input_tokens == 7


def test_what_nobody_told_stays_unknown(history):
    """A column that no row has a value for is None, never 0."""
    for _ in range(2):
        history.write(tick({(HOUR, "chat", "small"): idle(idle_loaded_joules=None)}))
    totals = history.totals()

    assert totals.usage["chat", "small"].active_joules is None
    assert totals.usage["chat", "small"].idle_loaded_joules is None
    assert totals.usage["chat", "small"].input_tokens is None
    assert totals.money["chat", "small"].energy is None
    assert totals.money["chat", "small"].hardware == pytest.approx(0.12)


def test_flags_stay_raised(history):
    """A minute that was estimated once is estimated, whatever is added to it."""
    for estimated in (0, 1, 0):
        history.write(tick({(HOUR, "chat", "small"): served(estimated=estimated)}))

    assert history.totals().usage["chat", "small"].estimated == 1


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize(("level", "seconds"), [("hour", 3_600), ("total", None)])
def test_levels_agree(history, path, table, level, seconds):
    """Hours and totals are what their minutes add up to, row by row."""
    for priced in many_ticks():
        history.write(priced)
    recorded = RecordedHistory(path)

    expected = recorded.minutes_added_up(table, level, seconds)
    assert expected
    assert recorded.level(table, level) == {
        key: {name: None if value is None else pytest.approx(value) for name, value in row.items()}
        for key, row in expected.items()
    }


def test_a_history_says_what_was_expected_of_it(history):
    """Sums with a tick added are what the history adds up to once the tick is written."""
    expected = Sums()
    for priced in many_ticks(40):
        expected = sums_with(expected, priced)
        history.write(priced)

    assert history.totals() == expected


def test_another_process_finds_what_was_written(history, path):
    """Cursors, totals of sources and sums are there after the history was opened anew."""
    cursors = {"engine:chat": {"moment": [1.5, 2.5, "boot"], "models": {}}, "machine": {"first": None}}
    sources = {"chat": SourceTotals(restarts=1, gap_seconds=12.5)}
    rows = {(HOUR, "chat", "small"): served()}
    history.write(tick(rows, cursors=cursors, sources=sources))
    before = history.totals()
    history.close()

    with closing(History(path, currency="EUR")) as again:
        assert again.cursors() == cursors
        assert again.source_totals() == sources
        assert again.totals() == before


def test_cursors_advance_and_flaws_add_up(history):
    """The last cursor of a source stands; its restarts and gaps are sums."""
    for number in (1, 2):
        history.write(
            tick(
                {},
                cursors={"engine:chat": {"number": number}},
                sources={"chat": SourceTotals(restarts=1, gap_seconds=10.0)},
            )
        )

    assert history.cursors() == {"engine:chat": {"number": 2}}
    assert history.source_totals() == {"chat": SourceTotals(restarts=2, gap_seconds=20.0)}


def test_events_come_newest_first(history):
    """The latest events are returned, the newest first, however their clocks went."""
    events = [
        Event(utc_seconds=float(utc), kind="gap", subject="chat", text=f"Number {number}.")
        for number, utc in enumerate((30, 10, 20))
    ]
    history.write(tick({}, events=tuple(events)))

    assert history.events(limit=2) == (events[2], events[1])


def test_a_new_history_knows_nothing(history):
    """A history without a tick has no sums, which are not zeros."""
    assert history.totals() == Sums()
    assert history.sums_since(HOUR) == Sums()
    assert history.cursors() == {}
    assert history.events(limit=20) == ()
    assert history.prices() == ()


def test_a_tick_that_cannot_be_written_whole_leaves_nothing(history):
    """A row that the database refuses takes its whole tick with it; the tick before stands."""
    history.write(tick({(HOUR, "chat", "small"): served()}, cursors={"machine": {"number": 1}}))
    before = history.totals()
    bad = Event(utc_seconds="no time", kind="gap", subject="chat", text="")
    with pytest.raises(HistoryError, match=r"history\.db: cannot be written: "):
        history.write(
            tick({(HOUR, "chat", "small"): served()}, cursors={"machine": {"number": 2}}, events=(bad,))
        )

    assert history.totals() == before
    assert history.cursors() == {"machine": {"number": 1}}


def test_a_locked_history_is_written_later(history, path):
    """While another program holds the database a tick fails in words; afterwards it is written once."""
    priced = tick({(HOUR, "chat", "small"): served()})
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(HistoryError, match=r"history\.db: cannot be written: database is locked"):
            history.write(priced)
        other.execute("ROLLBACK")
    history.write(priced)

    assert history.totals() == sums_with(Sums(), priced)


def test_a_count_beyond_the_database_is_told(history):
    """A number that SQLite cannot hold fails in words like any other fault, and leaves nothing."""
    with pytest.raises(HistoryError, match=r"history\.db: cannot be written: .*too large"):
        history.write(tick({(HOUR, "chat", "small"): served(wrote=2**63)}))

    assert history.totals() == Sums()


# --- files that do not stay -------------------------------------------------------------------------------


def deleted(path, *suffixes):
    """Delete files of a history."""
    for suffix in suffixes:
        path.with_name(path.name + suffix).unlink()


@pytest.mark.parametrize("suffixes", [("",), ("", "-wal", "-shm"), ("", "-wal", "-shm", ".lock")])
def test_a_deleted_history_is_begun_anew(history, path, suffixes):
    """A tick on a database that is gone fails in words; tried again, it is in a new one with its cursors."""
    history.write(tick({(HOUR, "chat", "small"): served()}))
    deleted(path, *suffixes)
    waiting = tick({(HOUR, "chat", "large"): served()}, cursors={"chat": {"number": 1}})
    with pytest.raises(HistoryError, match=r"history\.db: deleted while in use; opened anew"):
        history.write(waiting)
    history.write(waiting)

    assert history.totals() == sums_with(Sums(), waiting)
    assert RecordedHistory(path).cursor("chat") == {"number": 1}


def test_a_deleted_folder_is_made_again(path):
    """A history whose whole folder is gone is begun anew in a new one."""
    folder = path.with_name("deep")
    priced = tick({(HOUR, "chat", "small"): served()})
    with closing(History(folder / "history.db", currency="EUR")) as history:
        shutil.rmtree(folder)
        with pytest.raises(HistoryError, match="deleted while in use"):
            history.write(priced)
        history.write(priced)

        assert RecordedHistory(folder / "history.db").tokens("chat") == (1_000_000, 500_000, 100_000)


def test_a_history_that_cannot_be_begun_anew_is_tried_again(path):
    """While there is no place for a new history a tick fails in words; it is written once there is."""
    folder = path.with_name("deep")
    priced = tick({(HOUR, "chat", "small"): served()})
    with closing(History(folder / "history.db", currency="EUR")) as history:
        shutil.rmtree(folder)
        folder.write_text("in the way")
        for _ in range(2):
            with pytest.raises(HistoryError, match="its folder cannot be made"):
                history.write(priced)
        folder.unlink()
        with pytest.raises(HistoryError, match="deleted while in use"):
            history.write(priced)
        history.write(priced)

        assert history.totals() == sums_with(Sums(), priced)


def test_a_deleted_lock_is_taken_anew(history, path):
    """Without its lock file a history could be opened by a second agent, so it is locked again."""
    priced = tick({(HOUR, "chat", "small"): served()})
    history.write(priced)
    deleted(path, ".lock")
    with pytest.raises(HistoryError, match="deleted while in use"):
        history.write(priced)

    with pytest.raises(HistoryInUse):
        History(path, currency="EUR")
    assert history.totals() == sums_with(Sums(), priced)


def test_a_replaced_history_is_left_alone(history, path):
    """A second agent's history in the place of a deleted one is never written by the first."""
    deleted(path, "", "-wal", "-shm", ".lock")
    with closing(History(path, currency="EUR")) as second:
        for _ in range(2):
            with pytest.raises(HistoryError, match=r"history\.db\.lock: replaced while in use"):
                history.write(tick({(HOUR, "chat", "small"): served()}))

        assert second.totals() == Sums()


def test_a_history_that_cannot_be_read_says_so(history, path):
    """A table that is gone is told in words, with the file, and not as an error of SQLite."""
    with closing(sqlite3.connect(path)) as other:
        other.execute("DROP TABLE hour_gpu")
    with pytest.raises(HistoryError, match=r"history\.db: cannot be read: no such table: hour_gpu"):
        history.sums_since(HOUR)


# --- windows ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "start",
    [
        HOUR,
        HOUR + MINUTE,
        HOUR + 59 * MINUTE,
        NEXT_HOUR,
        NEXT_HOUR + MINUTE,
        NEXT_HOUR + 3_600,
        NEXT_HOUR + 3_600 + 30 * MINUTE,
        NEXT_HOUR + 2 * 3_600,
        HOUR - 3_600,
        0,
    ],
)
def test_a_window_holds_its_minutes_and_no_other(history, start):
    """A window from any minute on is the sum of the minutes from there, those of the present hour too."""
    expected = Sums()
    for priced in many_ticks():
        history.write(priced)
        if min(priced.posting.hosts) >= start:
            expected = sums_with(expected, priced)
    sums = history.sums_since(start)

    assert sums.usage.keys() == expected.usage.keys()
    for key, usage in expected.usage.items():
        assert sums.usage[key] == Usage(**{name: _close(getattr(usage, name)) for name in Usage.__slots__})
    assert sums.host == HostUse(**{name: _close(getattr(expected.host, name)) for name in HostUse.__slots__})
    assert sums.gpus == {
        uuid: GpuUse(**{name: _close(getattr(use, name)) for name in GpuUse.__slots__})
        for uuid, use in expected.gpus.items()
    }
    assert {key: bill.tokens for key, bill in sums.api.items()} == {
        key: bill.tokens for key, bill in expected.api.items()
    }


def _close(value):
    return None if value is None else pytest.approx(value)


def test_an_empty_posting_is_written(history):
    """A tick in which nothing happened is a tick."""
    history.write(tick({}))

    assert history.totals() == Sums()
