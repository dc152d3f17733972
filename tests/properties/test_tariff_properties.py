"""What holds for every tariff: cutting time changes no bill, and the mean is what a steady load pays."""

from datetime import UTC, date, datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evenwatt.economics.bands import DAYS, HOLIDAY, Band, BandTariff
from evenwatt.economics.ownership import Owned, OwnedParts, hardware_cost
from evenwatt.economics.running import SetupCost, setup_cost_per_second
from evenwatt.economics.tariffs import (
    DatedPrice,
    FeedPrices,
    Tariff,
    energy_cost,
    mean_price_per_kwh,
    price_per_kwh_at,
)
from evenwatt.ledger.spans import Span, cut

MINUTE = 60
QUARTER = 900
DAY = 86_400
BEGIN = int(datetime(2028, 3, 25, tzinfo=UTC).timestamp())
"""A day before the clocks of Europe are set."""
UNUSUAL_DAYS = (
    BEGIN,
    int(datetime(2028, 10, 28, tzinfo=UTC).timestamp()),
    int(datetime(2028, 2, 28, tzinfo=UTC).timestamp()),
)
"""Before a day of 23 hours, before one of 25, and before the leap day."""

prices = st.floats(-0.5, 2.0)
zones = st.sampled_from(
    [
        ZoneInfo(name)
        for name in ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe")
    ]
)
quarters_of_day = st.integers(0, 95).map(lambda number: number * 15)
kinds = st.none() | st.frozensets(st.sampled_from([*DAYS, HOLIDAY]), min_size=1)
begins = st.sampled_from(UNUSUAL_DAYS)


@st.composite
def bands(draw):
    """Draw a band on quarter hours, at times over midnight."""
    start = draw(quarters_of_day)
    end = draw(quarters_of_day.filter(lambda minute: minute != start))
    return Band(name="band", price_per_kwh=draw(prices), start_minute=start, end_minute=end, days=draw(kinds))


@st.composite
def feeds(draw, begin):
    """Draw a feed of quarter hours with holes that begins somewhere in the days after a moment."""
    starts = draw(st.sets(st.integers(0, 5 * 96), max_size=12).map(sorted))
    return FeedPrices(
        starts_utc_seconds=[float(begin + QUARTER * number) for number in starts],
        ends_utc_seconds=[float(begin + QUARTER * (number + 1)) for number in starts],
        prices_per_kwh=[draw(prices) for _ in starts],
    )


@st.composite
def tariffs(draw, begin):
    """Draw a tariff whose prices change at quarter hours: flat, by bands of two dates, by a feed."""
    band_sets = [
        BandTariff(
            bands=tuple(draw(st.lists(bands(), max_size=3))),
            zone=draw(zones),
            default_price_per_kwh=draw(prices),
            holidays=frozenset({date(2028, 3, 27), date(2028, 10, 28)}),
            valid_from_utc_seconds=float(begin + QUARTER * draw(st.integers(0, 3 * 96))),
        )
        for _ in range(draw(st.integers(0, 2)))
    ]
    return Tariff(
        prices=(DatedPrice(price_per_kwh=draw(prices)), *band_sets),
        pue=draw(st.floats(1.0, 2.0)),
        fees_per_kwh=draw(st.floats(0.0, 0.2)),
        feed=draw(st.none() | feeds(begin)),
    )


def bill(tariff, start, end, watts=1_000.0):
    """Return what a steady load costs from one moment to another, cut as the ledger cuts it."""
    span = Span(end_utc_seconds=end, utc_seconds=end - start, length_seconds=end - start)
    joules = watts * (end - start)
    return sum(
        energy_cost(tariff, utc_seconds=piece.minute, joules=joules * piece.share) for piece in cut(span)
    )


@settings(deadline=None)
@given(data=st.data(), begin=begins)
def test_cutting_time_anywhere_changes_no_bill(data, begin):
    """A bill for a stretch is the sum of the bills for its parts, wherever it is cut, down to a second."""
    tariff = data.draw(tariffs(begin))
    length = data.draw(st.integers(2, DAY))
    moments = data.draw(st.lists(st.integers(1, length - 1), max_size=4).map(sorted))
    edges = [begin, *(begin + moment for moment in moments), begin + length]
    whole = bill(tariff, begin, begin + length)
    parts = sum(bill(tariff, start, end) for start, end in pairwise(edges) if start < end)

    assert parts == pytest.approx(whole, rel=1e-9, abs=1e-9)


@settings(deadline=None)
@given(data=st.data(), begin=begins)
def test_a_long_absence_is_billed_as_if_it_had_been_watched(data, begin):
    """Days that are cut at quarter hours cost what their minutes do: no price changes within a quarter."""
    tariff = data.draw(tariffs(begin))
    start = begin + data.draw(st.integers(0, DAY))
    days = data.draw(st.integers(2, 4))
    watched = sum(bill(tariff, start + DAY * day, start + DAY * (day + 1)) for day in range(days))

    assert bill(tariff, start, start + DAY * days) == pytest.approx(watched, rel=1e-9, abs=1e-9)


@settings(deadline=None)
@given(data=st.data(), begin=begins)
def test_the_mean_price_is_what_a_steady_load_pays(data, begin):
    """Over whole minutes, the mean is the mean of the minutes' prices, and lies between them."""
    tariff = data.draw(tariffs(begin))
    start = begin + MINUTE * data.draw(st.integers(0, 2_000))
    minutes = data.draw(st.integers(1, 3_000))
    each = [price_per_kwh_at(tariff, start + MINUTE * number) for number in range(minutes)]
    mean = mean_price_per_kwh(tariff, start, start + MINUTE * minutes)

    assert mean == pytest.approx(sum(each) / minutes, rel=1e-9, abs=1e-9)
    assert min(each) - 1e-9 <= mean <= max(each) + 1e-9


@settings(deadline=None)
@given(
    ages=st.lists(st.integers(-3, 3), min_size=1, max_size=3),
    lives=st.integers(1, 4),
    month_hours=st.sampled_from([720, 730]),
)
def test_parts_and_setup_add_up_to_what_was_paid(ages, lives, month_hours):
    """Over all of their lives, parts cost what was paid for them, and setting up what it took."""
    parts = tuple(
        Owned(
            name=str(number),
            purchase_price=1_000.0,
            residual_value=100.0,
            lifetime_years=lives,
            purchased_utc_seconds=float(BEGIN + age * DAY),
        )
        for number, age in enumerate(ages)
    )
    setup = SetupCost(cost=500.0, spread_months=1, begins_utc_seconds=float(BEGIN))
    days = range(BEGIN - 5 * DAY, BEGIN + 1_500 * DAY, DAY)
    paid = sum(hardware_cost(OwnedParts(parts=parts), utc_seconds=day, seconds=DAY) for day in days)
    hours = range(BEGIN - 5 * DAY, BEGIN + 40 * DAY, 3_600)
    set_up = sum(setup_cost_per_second(setup, hour, month_hours=month_hours) * 3_600 for hour in hours)

    assert paid == pytest.approx(900.0 * len(parts))
    assert set_up == pytest.approx(500.0)
