"""Minutes and hours are forgotten, days and totals never; what is forgotten gives its room back."""

import sqlite3
from contextlib import closing

import pytest

from evenwatt.sinks.history import History
from evenwatt.sinks.history.size import history_size
from history_checks import LEVEL_TABLES, disagreements
from recorded_history import RecordedHistory
from sink_fixtures import FLAT, HOUR, MINUTE, book_with, idle, served, tick

DAY = 86_400
MIDNIGHT = HOUR // DAY * DAY


@pytest.fixture
def path(tmp_path):
    """Where the history is."""
    return tmp_path / "history.db"


def fill(history, days, *, book=None, every=3 * 3_600):
    """Write a minute of work and one of rest each few hours, for some days from `MIDNIGHT` on."""
    options = {} if book is None else {"book": book}
    for at in range(MIDNIGHT, MIDNIGHT + days * DAY, every):
        rows = {(at, "chat", "small"): served(cached=3), (at + MINUTE, "chat", "small"): idle()}
        history.write(tick(rows, **options))


def forget_all(history, *, minutes, hours):
    """Forget until nothing is left to forget, and return in how many steps."""
    steps = 0
    while history.forget_some({"minute": minutes, "hour": hours}):
        steps += 1
    return steps


def first_and_count(path, level, table="host"):
    """Return the time of the first row of a level, and how many rows it has."""
    ((first, count),) = RecordedHistory(path).rows(f"SELECT min({level}), count(*) FROM {level}_{table}")
    return first, count


def test_minutes_and_hours_are_forgotten_and_nothing_else(path):
    """What is forgotten is in the coarser levels; totals and days are what they were."""
    with closing(History(path, currency="EUR")) as history:
        fill(history, 6)
        days = {table: RecordedHistory(path).level(table, "day") for table in LEVEL_TABLES}
        totals = history.totals()
        steps = forget_all(history, minutes=MIDNIGHT + 4 * DAY, hours=MIDNIGHT + 2 * DAY)

        assert history.totals() == totals
    assert first_and_count(path, "minute") == (MIDNIGHT + 4 * DAY, 2 * 8 * 2)
    assert first_and_count(path, "hour") == (MIDNIGHT + 2 * DAY, 4 * 8)
    assert {table: RecordedHistory(path).level(table, "day") for table in LEVEL_TABLES} == days
    assert first_and_count(path, "local_day") == (MIDNIGHT, 6)
    assert steps == 4 * 8
    assert disagreements(path) == []


def test_one_step_forgets_an_hour_at_most(path):
    """However much is to be forgotten, a tick is held up for an hour of minutes and a day of hours."""
    with closing(History(path, currency="EUR")) as history:
        fill(history, 3)

        assert history.forget_some({"minute": MIDNIGHT + 2 * DAY, "hour": MIDNIGHT + 2 * DAY})
    assert first_and_count(path, "minute")[0] == MIDNIGHT + 3 * 3_600
    assert first_and_count(path, "hour")[0] == MIDNIGHT + DAY


def test_nothing_young_is_forgotten(path):
    """Where all is young there is nothing to do."""
    with closing(History(path, currency="EUR")) as history:
        assert not history.forget_some({"minute": MIDNIGHT, "hour": MIDNIGHT})
        fill(history, 1)
        assert not history.forget_some({"minute": MIDNIGHT, "hour": MIDNIGHT})


def test_the_file_becomes_smaller(path):
    """Room that is free is given back, also by a file that an older release began without that."""
    with closing(History(path, currency="EUR")) as history:
        fill(history, 10, every=600)
        history._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        before = path.stat().st_size
        forget_all(history, minutes=MIDNIGHT + 10 * DAY, hours=MIDNIGHT + 9 * DAY)
        history._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

        assert path.stat().st_size < before / 3
        assert history.read("PRAGMA freelist_count") == [(0,)]


def test_a_file_of_an_older_release_gives_room_back(path):
    """A database that was begun without giving room back is rewritten once."""
    with closing(History(path, currency="EUR")) as history:
        fill(history, 1)
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA journal_mode = DELETE")
        database.execute("PRAGMA auto_vacuum = NONE")
        database.execute("VACUUM")
    with closing(History(path, currency="EUR")) as history:
        assert history.read("PRAGMA auto_vacuum") == [(2,)]
    assert disagreements(path) == []


def test_a_new_reference_is_priced_back_over_what_is_forgotten(path, tmp_path):
    """Hours and days stand in for minutes that are gone; the bill is that of a history with all of them."""
    whole = tmp_path / "whole.db"
    for place in (path, whole):
        with closing(History(place, currency="EUR")) as history:
            fill(history, 6, book=book_with())
            if place == path:
                forget_all(history, minutes=MIDNIGHT + 4 * DAY, hours=MIDNIGHT + 2 * DAY)
            history.price_back([FLAT], engine="chat", model="small", token_ratio=1.0)
    for level in ("day", "local_day", "total"):
        mine, theirs = (RecordedHistory(place).level("api", level) for place in (path, whole))
        assert mine.keys() == theirs.keys()
        for key, row in mine.items():
            assert row == pytest.approx(theirs[key], rel=1e-12)
    assert disagreements(path) == []


def test_a_clock_that_was_set_back_leaves_no_minutes_for_ever(path):
    """Minutes of a time that is forgotten already are booked in their hours and days, and go themselves."""
    with closing(History(path, currency="EUR")) as history:
        fill(history, 4)
        forget_all(history, minutes=MIDNIGHT + 3 * DAY, hours=MIDNIGHT)
        history.write(tick({(MIDNIGHT, "chat", "small"): served()}))
        tokens = history.totals().usage["chat", "small"].output_tokens

        assert forget_all(history, minutes=MIDNIGHT + 3 * DAY, hours=MIDNIGHT) == 1
        assert history.totals().usage["chat", "small"].output_tokens == tokens
        assert first_and_count(path, "minute")[0] == MIDNIGHT + 3 * DAY
    assert disagreements(path) == []


def test_windows_reach_over_what_is_forgotten(path):
    """A window whose minutes and hours are gone has what is kept of it: whole hours, and whole days."""
    with closing(History(path, currency="EUR")) as history:
        fill(history, 6)
        whole = history.sums_since(MIDNIGHT + DAY)
        forget_all(history, minutes=MIDNIGHT + 4 * DAY, hours=MIDNIGHT + 2 * DAY)

        assert history.sums_since(MIDNIGHT + DAY) == whole


def test_the_size_of_a_year_is_forecast(path):
    """After an hour it is known about how large the file becomes; before that, only how large it is."""
    with closing(History(path, currency="EUR")) as history:
        history.write(tick({(MIDNIGHT, "chat", "small"): served()}))
        young = history_size(history, keep_minutes_days=30, keep_hours_days=730)
        fill(history, 2, every=120)
        size = history_size(history, keep_minutes_days=30, keep_hours_days=730)
        longer = history_size(history, keep_minutes_days=60, keep_hours_days=730)

    assert young.year_bytes is None
    assert size.file_bytes > young.file_bytes > 0
    assert 2**20 < size.year_bytes < 60 * 2**20
    assert 1.3 < longer.year_bytes / size.year_bytes < 2.0
