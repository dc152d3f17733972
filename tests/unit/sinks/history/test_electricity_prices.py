"""Prices of an electricity feed in the history, and the way from the first release to it."""

import sqlite3
from contextlib import closing

import pytest
from sqlite_utils import Database

from evenwatt.sinks.history import ElectricityPriceRow, History, history_beside
from evenwatt.sinks.history.migrations import migrations
from sink_fixtures import HOUR, served, tick

FIRST_RELEASE = f"""
    INSERT INTO minute_usage (minute, engine, model, output_tokens, energy_cost, hardware_cost, labour_cost,
        other_cost, input_tokens) VALUES ({HOUR}, 'chat', 'small', 5, 0.25, 0.5, 0, 0, 5);
    INSERT INTO total_usage (engine, model, output_tokens, energy_cost) VALUES ('chat', 'small', 5, 0.25);
    INSERT INTO price VALUES ('flat', 0.0, 1.0, 1.0, NULL, 5.0, 'configuration');
    INSERT INTO setting VALUES ('currency', 'EUR');
"""


def price(start, value, end=None):
    """Return a row of the feed, times from HOUR, for a quarter hour or until an end."""
    return ElectricityPriceRow(
        start_utc_seconds=float(HOUR + start),
        end_utc_seconds=float(HOUR + (start + 900 if end is None else end)),
        price_per_kwh=value,
        source="http://feed",
    )


def rows(prices):
    """Return prices as numbers, times from HOUR."""
    return [
        (start - HOUR, end - HOUR, value)
        for start, end, value in zip(
            prices.starts_utc_seconds, prices.ends_utc_seconds, prices.prices_per_kwh, strict=True
        )
    ]


@pytest.fixture
def path(tmp_path):
    """Where the history is."""
    return tmp_path / "history.db"


@pytest.fixture
def history(path):
    """A new history."""
    with closing(History(path, currency="EUR")) as opened:
        yield opened


def test_prices_are_kept_by_their_time(history, path):
    """What was accepted is read again, in order, by the agent and by a command beside it."""
    history.accept_electricity_prices([price(900, 0.31), price(0, 0.30)], accepted_utc_seconds=HOUR)

    assert rows(history.electricity_prices()) == [(0, 900, 0.30), (900, 1_800, 0.31)]
    with history_beside(path) as beside:
        assert rows(beside.electricity_prices()) == rows(history.electricity_prices())


def test_a_later_beginning_has_the_price_in_force_there(history):
    """Prices since a moment begin with the one that had begun before it."""
    kept = [price(900 * number, number / 10) for number in range(4)]
    history.accept_electricity_prices(kept, accepted_utc_seconds=HOUR)

    assert [start for start, *_ in rows(history.electricity_prices(HOUR + 1_000))] == [900, 1_800, 2_700]
    assert [start for start, *_ in rows(history.electricity_prices(HOUR + 900))] == [900, 1_800, 2_700]
    assert [start for start, *_ in rows(history.electricity_prices(HOUR - 1))] == [0, 900, 1_800, 2_700]


def test_what_is_to_come_is_replaced_and_what_has_begun_stays(history):
    """An hour instead of quarters replaces the quarters that have not begun."""
    quarters = [price(900 * number, 0.1) for number in range(4)]
    history.accept_electricity_prices(quarters, accepted_utc_seconds=HOUR)
    history.accept_electricity_prices([price(1_800, 0.5, 5_400)], accepted_utc_seconds=HOUR + 1_000)

    assert rows(history.electricity_prices()) == [(0, 900, 0.1), (900, 1_800, 0.1), (1_800, 5_400, 0.5)]


def first_release(path):
    """Make a history as the first release wrote it, with one row of each kind."""
    database = Database(path)
    migrations.apply(database, stop_before="m002_electricity_prices")
    database.conn.executescript(FIRST_RELEASE)
    database.conn.close()


def test_a_history_of_the_first_release_goes_on(path):
    """Its rows are kept, and what is new has its place."""
    first_release(path)
    with closing(History(path, currency="EUR")) as history:
        history.write(tick({(HOUR, "chat", "small"): served()}))
        history.accept_electricity_prices([price(0, 0.3)], accepted_utc_seconds=HOUR)
        totals = history.totals()

        assert totals.usage["chat", "small"].output_tokens == 100_005
        assert totals.money["chat", "small"].energy == pytest.approx(0.25 + 0.0006)
        assert totals.money["chat", "small"].unpriced_joules is None
        assert [row.reference for row in history.prices()] == ["flat"]
        assert rows(history.electricity_prices()) == [(0, 900, 0.3)]


@pytest.mark.parametrize(("unpriced", "expected"), [(None, 0.75), (0.0, 0.75), (3.6e6, None)])
def test_the_view_of_costs_takes_no_part_for_the_whole(path, history, unpriced, expected):
    """A person with sqlite3 sees no cost where a part of the energy had no price."""
    with closing(sqlite3.connect(path)) as beside, beside:
        beside.execute(
            "INSERT INTO hour_usage (hour, engine, model, input_tokens, output_tokens, hardware_cost,"
            " energy_cost, labour_cost, other_cost, unpriced_joules)"
            " VALUES (?, 'chat', 'small', 500000, 500000, 0.5, 0.25, 0, 0, ?)",
            (HOUR, unpriced),
        )
    with closing(sqlite3.connect(path)) as beside:
        found = beside.execute("SELECT tokens, cost, cost_per_mtok FROM cost_per_mtok").fetchone()

    assert found == (1_000_000, expected, expected)
