"""Windows end now; the month begins where the site's calendar says."""

import sqlite3
from contextlib import closing
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from msgspec.structs import asdict

from evenwatt.config import Window
from evenwatt.service.windows import SumsSince, window_views
from evenwatt.sinks.history import History
from sink_fixtures import HOUR, MINUTE, idle, served, tick

BERLIN = ZoneInfo("Europe/Berlin")
MONTH = Window(label="month", seconds=None)


@pytest.fixture
def history(tmp_path):
    """A history with a minute of tokens at the beginning of each hour of a day."""
    with closing(History(tmp_path / "history.db", currency="EUR")) as opened:
        for hour in range(24):
            opened.write(tick({(HOUR + hour * 3_600, "chat", "small"): served(read=1, wrote=0, cached=0)}))
        yield opened


def views_at(history, utc_seconds, *windows, zone=BERLIN):
    """Return the windows that end at a moment."""
    return window_views(SumsSince(history), windows, now_utc_seconds=utc_seconds, zone=zone, capacities={})


def test_each_window_has_its_own_sums(history):
    """Each window holds its own tokens; a history that is shorter shows in the coverage."""
    windows = [Window(label="2h", seconds=7_200), Window(label="3d", seconds=3 * 86_400)]
    two_hours, three_days = views_at(history, HOUR + 24 * 3_600.0, *windows)

    assert (two_hours.name, two_hours.seconds) == ("2h", 7_200)
    assert two_hours.start_utc_seconds == HOUR + 22 * 3_600
    assert two_hours.row().tokens.input_tokens == 2
    assert three_days.row().tokens.input_tokens == 24
    assert two_hours.coverage_ratio == pytest.approx(2 * MINUTE / 7_200)
    assert three_days.coverage_ratio == pytest.approx(24 * MINUTE / (3 * 86_400))


def test_a_window_begins_with_a_whole_minute(history):
    """A window that begins within a minute holds all of that minute."""
    inside, outside = (
        views_at(history, HOUR + 24 * 3_600 + after, Window(label="1h", seconds=3_600))[0]
        for after in (59.5, 60.0)
    )

    assert inside.row().tokens.input_tokens == 1
    assert outside.row().tokens.input_tokens == 0


@pytest.mark.parametrize(
    ("now", "hours"),
    [
        (datetime(2026, 3, 31, 12, tzinfo=BERLIN), 30 * 24 + 12 - 1),
        (datetime(2026, 10, 31, 12, tzinfo=BERLIN), 30 * 24 + 12 + 1),
        (datetime(2026, 7, 1, tzinfo=BERLIN), 0),
        (datetime(2028, 2, 29, 23, tzinfo=BERLIN), 28 * 24 + 23),
    ],
    ids=["spring forward", "fall back", "first moment", "leap day"],
)
def test_the_month_begins_at_local_midnight(history, now, hours):
    """Month to date is as long as it really was, also where the clocks were changed within it."""
    (view,) = views_at(history, now.timestamp(), MONTH)

    assert view.seconds == hours * 3_600
    assert view.start_utc_seconds == now.replace(day=1, hour=0).timestamp()


@pytest.mark.parametrize(
    ("zone", "utc_hour", "utc_minute"),
    [("Asia/Kolkata", 18, 30), ("Asia/Kathmandu", 18, 15), ("America/New_York", 5, 0), ("UTC", 0, 0)],
)
def test_zones_of_half_and_quarter_hours(history, zone, utc_hour, utc_minute):
    """A month may begin within an hour of UTC."""
    (view,) = views_at(history, float(HOUR), MONTH, zone=ZoneInfo(zone))
    start = datetime.fromtimestamp(view.start_utc_seconds, ZoneInfo("UTC"))

    assert (start.hour, start.minute) == (utc_hour, utc_minute)
    assert view.seconds == HOUR - view.start_utc_seconds


START = HOUR + 22 * 3_600 - 1_800


def figures(sums):
    """Return all figures of sums by where they stand."""
    host = {("host", name): value for name, value in asdict(sums.host).items()}
    by_owner = {
        (table, owner, name): value
        for table in ("usage", "money", "api", "gpus", "engines", "meters")
        for owner, row in getattr(sums, table).items()
        for name, value in asdict(row).items()
    }
    return host | by_owner


@pytest.mark.parametrize("minutes", [(60, 120), (-60,), (-60, 0), (3_600,), ()])
def test_sums_are_carried_on_as_the_history_adds_them_up(history, minutes):
    """Ticks within the window, before it and across its beginning, of a known model and of a new one."""
    sums = SumsSince(history)
    sums.at([START])
    rows = {(START + at, "chat", "small"): served(restarted=1) for at in minutes}
    for number in range(2):
        written = tick(rows | {(START + at, "chat", f"new-{number}"): idle() for at in minutes})
        history.write(written)
        sums.add(written)

    assert figures(sums.at([START])[START]) == pytest.approx(figures(history.sums_since(START)))


def test_sums_are_read_once_until_somebody_else_writes(history):
    """Between two ticks nothing is added up again; what another process has written counts at once."""
    sums = SumsSince(history)
    first = sums.at([START])[START]
    assert sums.at([START])[START] is first

    with closing(sqlite3.connect(history.path)) as other, other:
        other.execute("UPDATE hour_usage SET input_tokens = input_tokens + 5")
    assert sums.at([START])[START].usage["chat", "small"].input_tokens == 2 + 10
    sums.forget()
    assert sums.at([START])[START] is not first
