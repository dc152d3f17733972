"""What tokens would cost at an API."""

from decimal import Decimal

import pytest

from evenwatt.economics.api import (
    ApiCost,
    PriceTier,
    RateTier,
    ReferencePrice,
    api_cost,
    batch_cost,
    reference_price_at,
    reference_price_from_usd,
    request_cost,
)
from evenwatt.economics.batch import batch_scenario
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


GEMINI = ReferencePrice(
    name="google:gemini-2.5-pro",
    valid_from_utc_seconds=0.0,
    input_per_mtok=1.25,
    cached_input_per_mtok=0.125,
    output_per_mtok=10.0,
    tiers=(
        PriceTier(
            above_input_tokens=200_000, input_per_mtok=2.5, cached_input_per_mtok=0.25, output_per_mtok=15.0
        ),
    ),
)


def test_sums_over_requests_never_reach_the_long_context_tier():
    """50 M input and 1 M output tokens are 72.50 whatever the tiers, and not the 140.00 of one request."""
    tokens = Tokens(input_tokens=50 * MILLION, output_tokens=MILLION)

    assert api_cost(tokens, GEMINI).no_cache == pytest.approx(72.50)
    assert request_cost(tokens, GEMINI).no_cache == pytest.approx(140.00)


@pytest.mark.parametrize(
    ("computed", "cached", "expected"),
    [(200_000, 0, 0.26), (200_001, 0, 0.515), (100_000, 100_001, 0.29)],
    ids=["at the threshold", "one above it", "cached tokens count for the size"],
)
def test_one_request_above_the_threshold_pays_the_tier_for_all_of_its_tokens(computed, cached, expected):
    """Not the tokens above the threshold alone: all of them, output too, at the tier's rates."""
    request = Tokens(input_tokens=computed, cached_input_tokens=cached, output_tokens=1_000)

    assert request_cost(request, GEMINI).observed_cache == pytest.approx(expected, abs=1e-5)


def test_the_size_of_a_request_is_what_the_api_would_count():
    """150,000 tokens here are 225,000 there at a ratio of 1.5, and above the threshold."""
    request = Tokens(input_tokens=150_000)

    assert request_cost(request, GEMINI, token_ratio=1.5).no_cache == pytest.approx(0.225 * 2.5)


def test_the_highest_tier_that_is_passed_holds():
    """Of several thresholds the last one below the size decides."""
    tiers = tuple(
        PriceTier(above_input_tokens=above, input_per_mtok=rate, output_per_mtok=0.0)
        for above, rate in ((100, 2.0), (200, 3.0))
    )
    tiered = price(tiers=tiers)

    assert [
        request_cost(Tokens(input_tokens=size), tiered).no_cache * MILLION / size for size in (100, 101, 201)
    ] == pytest.approx([1.0, 2.0, 3.0])


def test_cache_writes_are_left_out_unless_asked_for():
    """With the surcharge, computed input costs 1.25 where the cache is used; the other bound stays."""
    written = price(cache_write_per_mtok=1.25)

    assert api_cost(TOKENS, written) == ApiCost(no_cache=14.0, observed_cache=pytest.approx(11.3))
    assert api_cost(TOKENS, written, has_cache_write_surcharge=True) == ApiCost(
        no_cache=14.0, observed_cache=pytest.approx(11.55)
    )


def test_an_api_without_a_cache_write_price_has_no_surcharge():
    """Where writing to the cache has no price, computed input is billed as input."""
    assert api_cost(TOKENS, price(), has_cache_write_surcharge=True) == api_cost(TOKENS, price())


def test_batch_is_half_by_both_bounds():
    """Batch rates of half the price make half the bill."""
    batch = price(batch_input_per_mtok=0.5, batch_cached_input_per_mtok=0.05, batch_output_per_mtok=2.5)

    assert batch_cost(TOKENS, batch) == ApiCost(no_cache=7.0, observed_cache=pytest.approx(5.65))


def test_batch_without_a_cached_price_bills_batch_input():
    """What batch has no cached price for is batch input, never the standard cached price."""
    batch = price(batch_input_per_mtok=0.5, batch_output_per_mtok=2.5)

    assert batch_cost(TOKENS, batch, token_ratio=2.0) == ApiCost(no_cache=14.0, observed_cache=14.0)


def test_no_batch_price_is_no_batch_bill():
    """The standard price is never taken for a batch price."""
    assert batch_cost(TOKENS, price()) is None
    assert batch_cost(TOKENS, price(batch_input_per_mtok=0.5)) is None


def test_batch_over_dated_prices_says_how_much_of_it_has_a_price():
    """Of two million tokens before and four million after batch came, the bill is for the four million."""
    before, after = price(), price(batch_input_per_mtok=0.5, batch_output_per_mtok=2.5)
    early = Tokens(input_tokens=2 * MILLION, cached_input_tokens=0)
    late = Tokens(input_tokens=3 * MILLION, cached_input_tokens=0, output_tokens=MILLION)

    part = batch_scenario([(early, before), (late, after), (Tokens(), before)])
    whole = batch_scenario([(late, after), (late, after)])

    assert (part.cost, part.priced_tokens, part.total_tokens, part.is_whole) == (
        ApiCost(no_cache=4.0, observed_cache=4.0),
        4 * MILLION,
        6 * MILLION,
        False,
    )
    assert whole.is_whole
    assert whole.cost == ApiCost(no_cache=8.0, observed_cache=8.0)
    assert batch_scenario([(early, before)]).cost is None


def test_batch_over_a_time_without_known_cache_hits_has_one_bound():
    """Where one period does not tell its hits, the sum has no bound with them."""
    batch = price(batch_input_per_mtok=0.5, batch_output_per_mtok=2.5)
    unknown = Tokens(input_tokens=MILLION)

    assert batch_scenario([(unknown, batch), (TOKENS, batch)]).cost == ApiCost(
        no_cache=7.5, observed_cache=None
    )


def test_all_rates_and_tiers_are_converted():
    """At 0.5 for one USD, every rate of the list is half of it."""
    converted = reference_price_from_usd(
        name="haiku",
        valid_from_utc_seconds=0.0,
        input_usd_per_mtok=Decimal(2),
        cached_input_usd_per_mtok=Decimal("0.2"),
        output_usd_per_mtok=Decimal(10),
        cache_write_usd_per_mtok=Decimal("2.5"),
        batch_input_usd_per_mtok=Decimal(1),
        batch_cached_input_usd_per_mtok=Decimal("0.1"),
        batch_output_usd_per_mtok=Decimal(5),
        tiers=[
            RateTier(above_input_tokens=above, input_usd_per_mtok=Decimal(4), output_usd_per_mtok=Decimal(20))
            for above in (300, 100)
        ],
        usd_rate=0.5,
    )

    assert converted == price(
        cached=0.1,
        cache_write_per_mtok=1.25,
        batch_input_per_mtok=0.5,
        batch_cached_input_per_mtok=0.05,
        batch_output_per_mtok=2.5,
        tiers=tuple(
            PriceTier(above_input_tokens=above, input_per_mtok=2.0, output_per_mtok=10.0)
            for above in (100, 300)
        ),
    )
