"""What tokens would cost at an API."""

from decimal import Decimal

import pytest

from evenwatt.economics.api import ReferencePrice, api_cost, reference_price_at, reference_price_from_usd
from evenwatt.economics.tokens import Tokens

MILLION = 1_000_000
TOKENS = Tokens(input_tokens=MILLION, cached_input_tokens=3 * MILLION, output_tokens=2 * MILLION)


def price(cached: float | None = 0.10, **changes) -> ReferencePrice:
    """Return 1 for input and 5 for output per Mtok."""
    return ReferencePrice(
        **{
            "name": "haiku",
            "valid_from_utc_seconds": 0.0,
            "input_per_mtok": 1.0,
            "output_per_mtok": 5.0,
            "cached_input_per_mtok": cached,
            **changes,
        }
    )


def test_both_bounds_of_the_cache():
    """Without a cache all input costs the input price; with our own hits the cached part costs its own."""
    cost = api_cost(TOKENS, price())

    assert cost.no_cache == pytest.approx(4 + 10)
    assert cost.observed_cache == pytest.approx(1 + 0.3 + 10)


def test_api_without_a_cached_price_bills_input():
    """No cached price means the input price, and the price says that it has none."""
    no_cached = price(cached=None)

    assert api_cost(TOKENS, no_cached).observed_cache == pytest.approx(14)


def test_free_cached_input_is_a_price():
    """A cached price of zero is known, and is not the input price."""
    assert api_cost(TOKENS, price(cached=0.0)).observed_cache == pytest.approx(11)


def test_unknown_cache_hits_leave_the_lower_bound_unknown():
    """Where the engine does not tell its hits, the bill without a cache is all that is known."""
    cost = api_cost(Tokens(input_tokens=4 * MILLION, output_tokens=2 * MILLION), price())

    assert cost.observed_cache is None


def test_token_ratio_scales_the_bill():
    """Where the API would count a fifth more tokens, it would bill a fifth more."""
    cost = api_cost(TOKENS, price(), token_ratio=1.2)

    assert cost.no_cache == pytest.approx(14 * 1.2)
    assert cost.observed_cache == pytest.approx(11.3 * 1.2)


@pytest.mark.parametrize(("utc_seconds", "expected"), [(-1.0, None), (0.0, 10.0), (99.0, 10.0), (100.0, 2.0)])
def test_price_of_the_time_of_use(utc_seconds, expected):
    """The latest entry of that name that has begun applies; before the first there is no price."""
    prices = (
        price(name="o3", valid_from_utc_seconds=100.0, input_per_mtok=2.0),
        price(name="o3", valid_from_utc_seconds=0.0, input_per_mtok=10.0),
        price(name="other", valid_from_utc_seconds=50.0),
    )

    found = reference_price_at(prices, "o3", utc_seconds)

    assert (found and found.input_per_mtok) == expected


def test_usd_prices_become_the_sites_currency():
    """At 0.92 for one USD, 1 / 0.1 / 5 USD are 0.92 / 0.092 / 4.60."""
    converted = reference_price_from_usd(
        name="haiku",
        valid_from_utc_seconds=7.0,
        input_usd_per_mtok=Decimal(1),
        cached_input_usd_per_mtok=Decimal("0.1"),
        output_usd_per_mtok=Decimal(5),
        usd_rate=0.92,
    )

    assert converted == price(
        valid_from_utc_seconds=7.0,
        input_per_mtok=0.92,
        cached=pytest.approx(0.092),
        output_per_mtok=pytest.approx(4.60),
    )


def test_missing_cached_price_stays_missing_through_the_conversion():
    """The currency makes no price out of none."""
    converted = reference_price_from_usd(
        name="haiku", valid_from_utc_seconds=0.0, input_usd_per_mtok=1, output_usd_per_mtok=5, usd_rate=0.92
    )

    assert converted.cached_input_per_mtok is None
