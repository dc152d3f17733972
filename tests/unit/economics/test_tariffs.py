"""The electricity price, and energy at it."""

import pytest

from evenwatt.economics.tariffs import DatedPrice, Tariff, energy_cost, flat_tariff, price_per_kwh_at

KWH = 3_600_000
CHANGE = 1_000_000.0


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
