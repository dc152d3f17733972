"""The upkeep of the history: little at a time, and never by a clock that was just set."""

from contextlib import closing

import pytest

from config_fixtures import settings_of
from evenwatt.model import Moment
from evenwatt.service.upkeep import Upkeep
from evenwatt.sinks.history import History
from sink_fixtures import served, tick

DAY = 86_400
START = 1_800_000_000 // DAY * DAY
SETTINGS = "history: {keep_minutes_days: 2, keep_hours_days: 32}"


@pytest.fixture
def history(tmp_path):
    """A history of four days, a minute each hour."""
    with closing(History(tmp_path / "history.db", currency="USD")) as opened:
        rows = {(at, "chat", "small"): served() for at in range(START, START + 4 * DAY, 3_600)}
        opened.write(tick(rows))
        yield opened


def moment(seconds, *, set_by=0.0):
    """Return a moment some seconds into the fifth day, on a clock that was set."""
    return Moment(utc_seconds=START + 4 * DAY + seconds + set_by, boot_seconds=1_000.0 + seconds, boot_id="b")


def minutes(history):
    """Return how many minutes are kept."""
    return history.read("SELECT count(*) FROM minute_host")[0][0]


def test_nothing_is_forgotten_before_the_clock_was_steady_for_an_hour(history):
    """After a start, an hour passes before the oldest hour goes, one with each tick."""
    upkeep = Upkeep(history, settings_of(SETTINGS))
    for seconds in (0, 1_800, 3_590):
        upkeep.follow(moment(seconds))
    assert minutes(history) == 96
    for seconds in range(3_600, 3_630, 10):
        upkeep.follow(moment(seconds))
    assert minutes(history) == 93
    for seconds in range(3_630, 6_000, 10):
        upkeep.follow(moment(seconds))
    assert minutes(history) == 48
    assert history.read("SELECT value FROM setting WHERE name = 'minutes_from'") == [(str(START + 2 * DAY),)]


def test_a_clock_that_is_set_a_year_ahead_forgets_nothing(history):
    """A wrong clock has an hour to be set right; once it is, the hour begins anew."""
    upkeep = Upkeep(history, settings_of("history: {keep_minutes_days: 30}"))
    for seconds in range(0, 7_200, 10):
        upkeep.follow(moment(seconds))
    for seconds in range(7_200, 10_790, 10):
        upkeep.follow(moment(seconds, set_by=365 * DAY))
    for seconds in range(10_800, 14_400, 10):
        upkeep.follow(moment(seconds))

    assert minutes(history) == 96


def test_the_size_is_measured_each_hour(history):
    """It is known after the first tick, and looked at again an hour later."""
    upkeep = Upkeep(history, settings_of(SETTINGS))
    upkeep.follow(moment(0))
    first = upkeep.size
    upkeep.follow(moment(10))
    assert upkeep.size is first
    upkeep.follow(moment(3_601))
    assert upkeep.size is not first
    assert upkeep.size.file_bytes > 0
    assert upkeep.size.year_bytes > 0
