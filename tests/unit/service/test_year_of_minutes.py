"""A year of minutes stays small, and its months are what its minutes add up to, forgotten or repriced."""

import sqlite3
from contextlib import closing
from datetime import datetime

import pytest

from config_fixtures import settings_of
from evenwatt import clock
from evenwatt.service.report.window import AskedWindow
from evenwatt.service.repricing import Repricer
from evenwatt.sinks.history import HistoryReader, history_beside
from evenwatt.sinks.history.queries import HistorySpan
from evenwatt.sinks.history.repricing import repriced_history
from evenwatt.sinks.history.size import history_size
from history_checks import disagreements
from year_of_minutes import BEGIN, END, RATES, SETTINGS, ZONE, month_totals, write_year

pytestmark = pytest.mark.timeout(900)

LARGEST_BYTES = 150 * 10**6
_MONTH = "strftime('%Y-%m', local_day, 'unixepoch')"


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """The year, of which the last 30 days of minutes are kept."""
    path = tmp_path_factory.mktemp("year") / "history.db"
    write_year(path)
    return path


@pytest.fixture(scope="module")
def months():
    """What its months add up to, worked out apart from it."""
    return month_totals()


def months_of(path):
    """Return what the history's days of the calendar add up to by month."""
    found = {}
    with closing(sqlite3.connect(path)) as database:
        rows = database.execute(
            f"SELECT {_MONTH}, sum(input_tokens + cached_input_tokens + output_tokens),"
            " sum(active_joules) + sum(idle_loaded_joules), sum(hardware_cost), sum(labour_cost),"
            " sum(energy_cost) FROM local_day_usage GROUP BY 1"
        )
        names = ("tokens", "joules", "hardware_cost", "labour_cost", "energy_cost")
        for month, *values in rows:
            found[month] = dict(zip(names, values, strict=True))
        for month, seconds in database.execute(
            f"SELECT {_MONTH}, sum(seconds) FROM local_day_host GROUP BY 1"
        ):
            found[month]["seconds"] = seconds
        for month, reference, cost in database.execute(
            f"SELECT {_MONTH}, reference, sum(no_cache_cost) FROM local_day_api GROUP BY 1, 2"
        ):
            found[month][f"api_{reference}"] = cost
    return found


def month_of_report(reader, month):
    """Return what the report's span of a month adds up to."""
    year, number = map(int, month.split("-"))
    ends = ((year, number), (year + number // 12, number % 12 + 1))
    start, end = (int(datetime(*first, 1, tzinfo=ZONE).timestamp()) for first in ends)
    span = HistorySpan(reader, start, end)
    sums = span.sums()
    assert not span.is_snapped
    return {
        "tokens": sum(u.input_tokens + u.cached_input_tokens + u.output_tokens for u in sums.usage.values()),
        "joules": sum(u.active_joules + u.idle_loaded_joules for u in sums.usage.values()),
        "hardware_cost": sum(money.hardware for money in sums.money.values()),
        "labour_cost": sum(money.labour for money in sums.money.values()),
        "energy_cost": sum(money.energy for money in sums.money.values()),
        "seconds": sums.host.seconds,
        **{
            f"api_{name}": sum(bill.no_cache for key, bill in sums.api.items() if key[2] == name)
            for name in RATES
        },
    }


def assert_months(found, months):
    """Compare all months to 1e-9."""
    assert found.keys() == months.keys()
    for month, values in months.items():
        assert found[month] == {name: pytest.approx(value, rel=1e-9) for name, value in values.items()}


def test_the_year_has_its_seconds(months):
    """The year of the test has 365 days, one of 23 hours and one of 25."""
    assert sum(month["seconds"] for month in months.values()) == END - BEGIN == 365 * 86_400
    assert months["2026-03"]["seconds"] == 31 * 86_400 - 3_600
    assert months["2026-10"]["seconds"] == 31 * 86_400 + 3_600


def test_the_file_is_small_and_its_size_was_foreseen(path):
    """After all that is forgotten it is below its budget, and near what was forecast."""
    with closing(sqlite3.connect(path)) as database:
        size = history_size(HistoryReader(path, database), keep_minutes_days=30, keep_hours_days=365)
        ((minutes, hours),) = database.execute(
            "SELECT (SELECT count(*) FROM minute_host), (SELECT count(*) FROM hour_host)"
        )

    assert 30 * 1_440 <= minutes <= 32 * 1_440
    assert hours == 365 * 24
    assert path.stat().st_size < LARGEST_BYTES
    assert size.file_bytes == path.stat().st_size
    assert size.year_bytes == pytest.approx(path.stat().st_size, rel=0.2)


def test_months_are_what_their_minutes_add_up_to(path, months):
    """Eleven of twelve months are without their minutes, and as exact as the last."""
    assert_months(months_of(path), months)
    with history_beside(path) as reader:
        assert_months({month: month_of_report(reader, month) for month in months}, months)
    assert disagreements(path) == []


def test_months_are_the_same_after_repricing_at_the_same_prices(path, months, monkeypatch):
    """What the agent's own pricing says of a year is what the formulas here said, minute or hour."""
    monkeypatch.setattr(clock, "utc_seconds", lambda: float(END))
    with repriced_history(path, may_write=True) as opened:
        told = Repricer(settings_of(SETTINGS), opened, AskedWindow(window="all")).write(lambda _: None)

    assert told.changes_nothing
    assert_months(months_of(path), months)
    with history_beside(path) as reader:
        assert_months({month: month_of_report(reader, month) for month in months}, months)
    assert disagreements(path) == []
