"""Days of the site's calendar: of 23, 24 and 25 hours, in any zone, and worked out anew for another zone."""

import sqlite3
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from evenwatt.sinks.history import History
from evenwatt.sinks.history.local_days import LocalDays
from history_checks import disagreements
from recorded_history import RecordedHistory
from sink_fixtures import served, tick

BERLIN = ZoneInfo("Europe/Berlin")
ZONES = (
    "UTC",
    "Europe/Berlin",
    "Asia/Kolkata",  # half past
    "Asia/Kathmandu",  # a quarter to
    "Australia/Lord_Howe",  # clocks are set by half an hour
    "America/Havana",  # 0:00 comes twice
    "Africa/Cairo",  # clocks go from 0:00 to 1:00
    "Pacific/Apia",  # one day of 2011 never was
)


@pytest.fixture
def path(tmp_path):
    """Where the history is."""
    return tmp_path / "history.db"


@pytest.mark.parametrize("name", ZONES)
def test_a_moment_is_in_the_day_that_its_clock_shows(name):
    """Hour by hour, and around each change of the clock, the key is the date on the wall."""
    zone = ZoneInfo(name)
    days = LocalDays(zone)
    for year in (2011, 2026):
        start = int(datetime(year, 1, 1, tzinfo=UTC).timestamp())
        for at in range(start, start + 366 * 86_400, 1_800):
            shown = datetime.fromtimestamp(at, zone).date()
            assert date(1970, 1, 1) + timedelta(seconds=days(at)) == shown


@pytest.mark.parametrize(
    ("day", "hours"),
    [(date(2026, 3, 29), 23), (date(2026, 10, 25), 25), (date(2026, 10, 26), 24)],
)
def test_a_day_has_the_hours_that_it_has(path, day, hours):
    """The machine's time of a local day is 23 hours in spring and 25 in autumn."""
    start = int(datetime(day.year, day.month, day.day, tzinfo=BERLIN).timestamp()) - 7_200
    rows = {(at, "chat", "small"): served() for at in range(start, start + 32 * 3_600, 60)}
    with closing(History(path, currency="EUR", zone=BERLIN)) as history:
        history.write(tick(rows))

    found = RecordedHistory(path).rows(
        "SELECT seconds / 3600 FROM local_day_host WHERE date(local_day, 'unixepoch') = ?", day.isoformat()
    )
    assert found == [(float(hours),)]
    assert disagreements(path, BERLIN) == []


@pytest.mark.parametrize("name", ["Europe/Berlin", "Asia/Kolkata", "Australia/Lord_Howe"])
def test_days_follow_the_zone(path, name):
    """After another zone is configured, all days are those of its calendar, and none is there twice."""
    start = int(datetime(2026, 10, 2, tzinfo=UTC).timestamp())
    for number in range(4):
        rows = {(start + number * 43_200 + at, "chat", "small"): served() for at in range(0, 40_000, 600)}
        with closing(History(path, currency="EUR")) as history:
            history.write(tick(rows))
    zone = ZoneInfo(name)
    with closing(History(path, currency="EUR")) as history:
        history.adopt(zone)
        history.write(tick({(start, "chat", "small"): served()}))

    assert disagreements(path, zone) == []


def test_a_history_without_local_days_gets_them(path):
    """What an older release has written has its local days from its hours and minutes."""
    zone = ZoneInfo("Asia/Kolkata")
    start = int(datetime(2026, 10, 2, tzinfo=UTC).timestamp())
    rows = {(at, "chat", "small"): served() for at in range(start, start + 3 * 86_400, 900)}
    with closing(History(path, currency="EUR", zone=zone)) as history:
        history.write(tick(rows))
    before = RecordedHistory(path).rows("SELECT * FROM local_day_usage")
    with closing(sqlite3.connect(path)) as database, database:
        for (table,) in database.execute(
            "SELECT name FROM sqlite_master WHERE name GLOB 'local_day_*' AND type = 'table'"
        ).fetchall():
            database.execute(f"DROP TABLE {table}")
        database.execute("DELETE FROM _sqlite_migrations WHERE name = 'm008_local_days'")
        database.execute("DELETE FROM setting WHERE name = 'timezone'")
    with closing(History(path, currency="EUR", zone=zone)) as history:
        copied = history.copied_to

    after = RecordedHistory(path).rows("SELECT * FROM local_day_usage")
    assert [row[:6] for row in after] == [row[:6] for row in before]
    assert disagreements(path, zone) == []
    assert copied == path.with_name("history.db.before-m008_local_days")
    assert RecordedHistory(copied).rows("SELECT name FROM sqlite_master WHERE name GLOB 'local_day*'") == []
    assert RecordedHistory(copied).rows("SELECT count(*) FROM minute_usage") == [(288,)]
