"""The electricity price, and energy at it."""

from zoneinfo import ZoneInfo

import pytest

from evenwatt.economics.bands import Band, BandTariff
from evenwatt.economics.tariffs import (
    DatedPrice,
    FeedPrices,
    Tariff,
    band_name_at,
    energy_cost,
    flat_tariff,
    is_stale_at,
    mean_price_per_kwh,
    price_per_kwh_at,
    stale_seconds,
)

KWH = 3_600_000
CHANGE = 1_000_000.0
HOUR = 3_600
DAY = 86_400


def test_flat_price_holds_at_any_time():
    """One price is the price since ever."""
    assert price_per_kwh_at(flat_tariff(0.30), -1e12) == 0.30
    assert price_per_kwh_at(flat_tariff(0.30), 1e12) == 0.30


@pytest.mark.parametrize(
    ("utc_seconds", "expected"),
    [(CHANGE - 1, 0.30), (CHANGE, 0.20), (CHANGE + 100, 0.25)],
    ids=["before", "from the first second", "the latest one"],
)
def test_latest_price_that_has_begun_holds(utc_seconds, expected):
    """A dated price takes over at its first second, in whatever order the prices are written."""
    tariff = Tariff(
        prices=(
            DatedPrice(price_per_kwh=0.25, valid_from_utc_seconds=CHANGE + 100),
            DatedPrice(price_per_kwh=0.30),
            DatedPrice(price_per_kwh=0.20, valid_from_utc_seconds=CHANGE),
        )
    )

    assert price_per_kwh_at(tariff, utc_seconds) == expected


def test_no_price_before_the_first_one():
    """Before the first dated price the cost of energy is not known, and not zero."""
    tariff = Tariff(prices=(DatedPrice(price_per_kwh=0.30, valid_from_utc_seconds=CHANGE),))

    assert price_per_kwh_at(tariff, CHANGE - 1) is None
    assert energy_cost(tariff, utc_seconds=CHANGE - 1, joules=KWH) is None


def test_pue_is_paid_for_and_is_no_part_of_the_price():
    """10 kWh at 0.30 cost 3; with a PUE of 1.5 they cost 4.50 and the price stays 0.30."""
    tariff = flat_tariff(0.30, pue=1.5)

    assert energy_cost(flat_tariff(0.30), utc_seconds=0.0, joules=10 * KWH) == pytest.approx(3)
    assert energy_cost(tariff, utc_seconds=0.0, joules=10 * KWH) == pytest.approx(4.50)
    assert price_per_kwh_at(tariff, 0.0) == 0.30


NIGHT = BandTariff(
    bands=(Band(name="night", price_per_kwh=0.20, start_minute=0, end_minute=6 * 60),),
    zone=ZoneInfo("UTC"),
    default_price_per_kwh=0.40,
    valid_from_utc_seconds=10 * DAY,
)
FEED = FeedPrices(
    starts_utc_seconds=[20 * DAY, 20 * DAY + 900, 21 * DAY],
    ends_utc_seconds=[20 * DAY + 900, 20 * DAY + 1_800, 21 * DAY + 900],
    prices_per_kwh=[0.10, -0.02, 0.50],
)
SITE = Tariff(prices=(NIGHT, DatedPrice(price_per_kwh=0.30)), feed=FEED)


@pytest.mark.parametrize(
    ("utc_seconds", "expected"),
    [
        (10 * DAY - 1, (0.30, None, False)),
        (10 * DAY, (0.20, "night", False)),
        (10 * DAY + 6 * HOUR, (0.40, None, False)),
        (20 * DAY - 1, (0.40, None, False)),
        (20 * DAY, (0.10, None, False)),
        (20 * DAY + 900, (-0.02, None, False)),
        (20 * DAY + 1_800, (-0.02, None, True)),
        (21 * DAY, (0.50, None, False)),
        (22 * DAY, (0.50, None, True)),
    ],
    ids=["flat", "band", "outside", "last second", "feed", "next", "hole", "after the hole", "after the end"],
)
def test_price_by_date_by_band_and_by_feed(utc_seconds, expected):
    """One price, then bands, then a feed, whose last known price is kept and stale where it has none."""
    found = (
        price_per_kwh_at(SITE, utc_seconds),
        band_name_at(SITE, utc_seconds),
        is_stale_at(SITE, utc_seconds),
    )

    assert found == expected


def test_of_two_prices_of_one_date_the_later_entry_holds():
    """The order of the entries decides where their dates do not."""
    tariff = Tariff(prices=(DatedPrice(price_per_kwh=0.30), DatedPrice(price_per_kwh=0.20)))

    assert price_per_kwh_at(tariff, 0.0) == 0.20


def test_a_feed_that_never_gave_a_price_leaves_the_others_in_force():
    """Until the first price of a feed nothing of it is known, and nothing is stale."""
    tariff = Tariff(prices=(DatedPrice(price_per_kwh=0.30),), feed=FeedPrices())

    assert price_per_kwh_at(tariff, 0.0) == 0.30
    assert not is_stale_at(tariff, 0.0)
    assert price_per_kwh_at(Tariff(prices=(), feed=FeedPrices()), 0.0) is None


def test_fees_are_paid_for_each_kwh_and_are_a_part_of_the_price():
    """0.30 and a grid fee of 0.08 are 0.38; where there is no price, a fee alone is not one."""
    tariff = Tariff(
        prices=(DatedPrice(price_per_kwh=0.30, valid_from_utc_seconds=CHANGE),), fees_per_kwh=0.08, pue=1.5
    )

    assert price_per_kwh_at(tariff, CHANGE) == pytest.approx(0.38)
    assert energy_cost(tariff, utc_seconds=CHANGE, joules=10 * KWH) == pytest.approx(5.70)
    assert price_per_kwh_at(tariff, CHANGE - 1) is None


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        (10 * DAY, 11 * DAY, (6 * 0.20 + 18 * 0.40) / 24),
        (9 * DAY, 11 * DAY, (24 * 0.30 + 6 * 0.20 + 18 * 0.40) / 48),
        (20 * DAY, 20 * DAY + 1_800, 0.04),
        (19 * DAY + 23 * HOUR, 20 * DAY + 900, (HOUR * 0.40 + 900 * 0.10) / 4_500),
        (10 * DAY, 10 * DAY, 0.20),
    ],
    ids=["a day of bands", "over a change", "two quarters", "into the feed", "no time"],
)
def test_mean_price_weighs_every_moment_alike(start, end, expected):
    """A day of 6 hours at 0.20 and 18 at 0.40 costs 0.35 on average."""
    assert mean_price_per_kwh(SITE, start, end) == pytest.approx(expected)


def test_no_mean_where_a_part_has_no_price():
    """An hour without a price and one with it have no price together."""
    tariff = Tariff(
        prices=(DatedPrice(price_per_kwh=0.30, valid_from_utc_seconds=CHANGE),), fees_per_kwh=0.08
    )

    assert mean_price_per_kwh(tariff, CHANGE - HOUR, CHANGE + HOUR) is None
    assert mean_price_per_kwh(tariff, CHANGE, CHANGE + HOUR) == pytest.approx(0.38)


@pytest.mark.parametrize(
    ("begin", "end", "expected"), [(0, 200, 0), (0, 1_000, 400), (250, 320, 50), (700, 900, 200)]
)
def test_a_feed_is_stale_from_the_end_of_a_price_to_the_next(begin, end, expected):
    """Prices for 100 to 200 and for 300 to 700: the first stands in until 300, the second after 700."""
    feed = FeedPrices(
        starts_utc_seconds=[100.0, 300.0], ends_utc_seconds=[200.0, 700.0], prices_per_kwh=[0.1, 0.2]
    )
    tariff = Tariff(prices=(), feed=feed)

    assert stale_seconds(tariff, begin, end) == expected
    assert stale_seconds(flat_tariff(0.3), begin, end) == 0
