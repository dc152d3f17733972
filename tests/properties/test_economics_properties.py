"""What holds for the economics whatever the numbers are."""

import math
from itertools import pairwise

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from msgspec.structs import replace

from evenwatt.economics.api import ReferencePrice, api_cost, reference_price_from_usd
from evenwatt.economics.breakeven import (
    CostLine,
    WindowSums,
    break_even_load,
    break_even_mtok_per_month,
    cost_line,
    cost_per_mtok_at_load,
)
from evenwatt.economics.cost import Costs, PriceBook, StateUse, minute_costs, summed_costs
from evenwatt.economics.effective import api_price_per_mtok, cost_per_mtok
from evenwatt.economics.ownership import Owned, Rented, Sunk, end_of_life_utc_seconds, hardware_cost
from evenwatt.economics.running import HourlyLabour, MonthlyCost, SalariedLabour
from evenwatt.economics.tariffs import DatedPrice, Tariff, energy_cost, flat_tariff
from evenwatt.economics.tokens import Tokens
from evenwatt.model import State

MINUTE = 60
CHANGE = 30 * MINUTE

money = st.floats(0.0, 1e6)
positive_money = st.floats(1e-3, 1e6)
counts = st.integers(0, 10**12)
shares = st.floats(0.0, 1.0)
tokens_served = st.builds(
    Tokens, input_tokens=counts, cached_input_tokens=st.none() | counts, output_tokens=counts
)
some_tokens = tokens_served.filter(lambda tokens: tokens.total_tokens > 0)
reference_prices = st.builds(
    ReferencePrice,
    name=st.just("api"),
    valid_from_utc_seconds=st.just(0.0),
    input_per_mtok=money,
    output_per_mtok=money,
    cached_input_per_mtok=st.none() | money,
)
hardware_kinds = st.one_of(
    st.builds(
        Owned,
        purchase_price=money,
        residual_value=money,
        lifetime_years=st.floats(0.5, 20),
        maintenance_per_year=shares,
        purchased_utc_seconds=st.none() | st.just(0.0) | st.just(float(CHANGE)),
    ),
    st.builds(Rented, rent_per_hour=money, is_active_only=st.booleans()),
    st.just(Sunk()),
)
price_books = st.builds(
    PriceBook,
    hardware=hardware_kinds,
    tariff=st.builds(
        Tariff,
        prices=st.tuples(
            st.builds(DatedPrice, price_per_kwh=money),
            st.builds(DatedPrice, price_per_kwh=money, valid_from_utc_seconds=st.just(float(CHANGE))),
        ),
        pue=st.floats(1.0, 3.0),
    ),
    labour=st.none()
    | st.builds(SalariedLabour, fte=shares, salary_per_year=money)
    | st.builds(HourlyLabour, hours_per_month=st.floats(0, 730), rate_per_hour=money),
    other=st.lists(st.builds(MonthlyCost, name=st.just("rent"), per_month=money), max_size=3).map(tuple),
    month_hours=st.sampled_from([730, 720]),
)


def state_uses(seconds: float = MINUTE):
    """Generate what a part of a machine did in one state."""
    return st.builds(
        lambda total, down, joules: StateUse(seconds=total, down_seconds=down * total, joules=joules),
        st.floats(0.0, seconds),
        shares,
        st.floats(0.0, 1e6),
    )


minutes_of_use = st.dictionaries(st.sampled_from(State), state_uses(), min_size=1)


def part(use: StateUse, share: float) -> StateUse:
    """Return a share of a use."""
    return StateUse(
        seconds=use.seconds * share, down_seconds=use.down_seconds * share, joules=use.joules * share
    )


def same(value: float | None) -> object:
    """Compare to 1e-9, as conservation is promised."""
    return value if value is None else pytest.approx(value, rel=1e-9, abs=1e-9)


def same_costs(costs: Costs) -> Costs:
    """Return costs that compare component by component."""
    return Costs(
        hardware=same(costs.hardware),
        energy=same(costs.energy),
        labour=same(costs.labour),
        other=same(costs.other),
    )


@given(price_books, minutes_of_use, shares, st.sampled_from([0.0, CHANGE - MINUTE, CHANGE]))
def test_cutting_a_minute_changes_no_bill(book, uses, share, utc_seconds):
    """Wherever a minute is cut in two, the bills of the pieces add up to the bill of the whole."""
    whole = minute_costs(book, utc_seconds=utc_seconds, uses=uses)
    pieces = [
        minute_costs(
            book, utc_seconds=utc_seconds, uses={state: part(use, cut) for state, use in uses.items()}
        )
        for cut in (share, 1 - share)
    ]

    assert summed_costs(piece.costs for piece in pieces) == same_costs(whole.costs)
    for state, idle_cost in whole.idle.items():
        assert sum(piece.idle[state] for piece in pieces) == same(idle_cost)


@given(price_books, minutes_of_use, st.lists(shares, min_size=2, max_size=5))
def test_parts_of_the_machine_pay_for_the_whole(book, uses, weights):
    """However a machine's minute is shared among engines and models, together they pay what it costs."""
    total = sum(weights)
    assume(total > 1e-6)
    whole = minute_costs(book, utc_seconds=0.0, uses=uses)
    parts = [
        minute_costs(
            book, utc_seconds=0.0, uses={state: part(use, weight / total) for state, use in uses.items()}
        ).costs
        for weight in weights
    ]

    assert summed_costs(parts) == same_costs(whole.costs)
    assert sum(costs.full for costs in parts) == same(whole.costs.full)


@given(price_books, minutes_of_use)
def test_components_and_states_add_up(book, uses):
    """The full cost is the sum of its components, and no idle state costs more than all states together."""
    minute = minute_costs(book, utc_seconds=0.0, uses=uses)
    costs = minute.costs
    active = {state: use for state, use in uses.items() if state is State.ACTIVE}
    active_cost = minute_costs(book, utc_seconds=0.0, uses=active).costs.full or 0.0

    assert costs.full == same(costs.hardware + costs.energy + costs.labour + costs.other)
    assert costs.full == same(costs.time + costs.energy)
    assert active_cost + sum(minute.idle.values()) == same(costs.full)


@given(st.floats(1.0, 1e6), shares, st.integers(1, 10), shares, st.lists(st.integers(1, 10**8), max_size=20))
def test_a_life_of_ownership_costs_price_less_residual_value_plus_maintenance(
    price, residual_share, years, maintenance, cuts
):
    """Over the whole life, however it is cut, the cost is P - R + m P Y; after it nothing is added."""
    owned = Owned(
        purchase_price=price,
        residual_value=price * residual_share,
        lifetime_years=years,
        maintenance_per_year=maintenance,
        purchased_utc_seconds=0.0,
    )
    end = end_of_life_utc_seconds(owned)
    edges = sorted({0.0, end, 2 * end, *(cut for cut in cuts if cut < end)})

    paid = sum(
        hardware_cost(owned, utc_seconds=start, seconds=stop - start) for start, stop in pairwise(edges)
    )

    assert paid == same(price - price * residual_share + maintenance * price * years)


@given(reference_prices, tokens_served, tokens_served, st.floats(0.5, 2.0))
def test_api_bill_is_linear_in_the_tokens(price, some, more, token_ratio):
    """The bill for two lots of tokens is the sum of their bills, by either bound."""
    assume((some.cached_input_tokens is None) == (more.cached_input_tokens is None))
    both = Tokens(
        input_tokens=some.input_tokens + more.input_tokens,
        cached_input_tokens=(
            None if some.cached_input_tokens is None else some.cached_input_tokens + more.cached_input_tokens
        ),
        output_tokens=some.output_tokens + more.output_tokens,
    )
    one, other, whole = (api_cost(tokens, price, token_ratio=token_ratio) for tokens in (some, more, both))

    assert one.no_cache + other.no_cache == same(whole.no_cache)
    if whole.observed_cache is not None:
        assert one.observed_cache + other.observed_cache == same(whole.observed_cache)


@given(reference_prices, tokens_served)
def test_cache_hits_never_raise_the_bill_above_the_dearer_input_price(price, tokens):
    """The observed bound lies below the bound without a cache unless cached input is dearer than input."""
    cost = api_cost(tokens, price)
    assume(cost.observed_cache is not None)
    assume((price.cached_input_per_mtok or 0.0) <= price.input_per_mtok)

    assert cost.observed_cache <= cost.no_cache * (1 + 1e-12)


@given(positive_money, some_tokens, counts)
def test_more_tokens_never_raise_the_cost_per_token(cost, tokens, more):
    """At equal cost a million tokens cost less, or the same, the more were served."""
    costs = Costs(hardware=cost, energy=0.0, labour=0.0, other=0.0)
    busier = replace(tokens, output_tokens=tokens.output_tokens + more)

    assert cost_per_mtok(costs, busier) <= cost_per_mtok(costs, tokens)


@given(some_tokens, positive_money)
def test_price_per_mtok_gives_the_bill_back(tokens, bill):
    """The price per Mtok times the tokens is the bill that it came from."""
    assert api_price_per_mtok(bill, tokens) * tokens.total_tokens / 1e6 == same(bill)


cost_lines = st.builds(
    CostLine, fixed_cost_per_hour=positive_money, load_cost_per_hour=money, mtok_per_hour=st.floats(1e-3, 1e3)
)


@given(cost_lines, positive_money)
def test_break_even_load_gives_equal_costs_when_put_back_in(line, price):
    """At the break-even load a million tokens cost the API's price; where never, full load costs more."""
    load = break_even_load(line, price)

    if math.isinf(load):
        assert cost_per_mtok_at_load(line, 1.0) >= price * (1 - 1e-9)
    else:
        assert 0 < load <= 1
        assert cost_per_mtok_at_load(line, load) == pytest.approx(price, rel=1e-6)


@given(cost_lines, positive_money)
def test_break_even_volume_is_the_break_even_load_for_a_month(line, price):
    """730 F / (p - V / T), within what the machine can serve, and never where the load says never."""
    load, volume = break_even_load(line, price), break_even_mtok_per_month(line, price)

    if math.isinf(load):
        assert math.isinf(volume)
    else:
        by_formula = 730 * line.fixed_cost_per_hour / (price - line.load_cost_per_hour / line.mtok_per_hour)
        assert volume == pytest.approx(by_formula, rel=1e-4)
        assert volume <= 730 * line.mtok_per_hour * (1 + 1e-9)


@given(cost_lines, positive_money, st.floats(1.0, 10.0))
def test_dearer_api_is_broken_even_with_no_later(line, price, factor):
    """A higher API price never asks for more load."""
    assert break_even_load(line, price * factor) <= break_even_load(line, price)


windows = st.builds(
    lambda costs, tokens, seconds, idle_share, down_share, idle_joules: WindowSums(
        costs=costs,
        tokens=tokens,
        seconds=seconds,
        idle_seconds=seconds * idle_share,
        down_seconds=seconds * idle_share * down_share,
        joules=1e6,
        idle_joules=idle_joules,
    ),
    st.builds(Costs, hardware=money, energy=positive_money, labour=money, other=money),
    some_tokens,
    st.floats(60, 1e7),
    shares,
    shares,
    st.none() | st.floats(0.0, 1e6),
)


@given(windows, st.floats(1e-3, 1.0))
def test_line_goes_through_the_observed_cost(sums, load):
    """At the observed load the line gives the observed cost, however much of the electricity was idle."""
    line = cost_line(sums, load)

    assert line.fixed_cost_per_hour >= 0
    assert line.load_cost_per_hour >= 0
    assert cost_per_mtok_at_load(line, load) == pytest.approx(
        cost_per_mtok(sums.costs, sums.tokens), rel=1e-9
    )


@given(reference_prices, st.floats(1e-3, 1e3))
def test_currency_conversion_returns(price, rate):
    """There and back at one rate, a price is what it was; a missing cached price stays missing."""

    def converted(listed: ReferencePrice, usd_rate: float) -> ReferencePrice:
        return reference_price_from_usd(
            name=listed.name,
            valid_from_utc_seconds=listed.valid_from_utc_seconds,
            input_usd_per_mtok=listed.input_per_mtok,
            cached_input_usd_per_mtok=listed.cached_input_per_mtok,
            output_usd_per_mtok=listed.output_per_mtok,
            usd_rate=usd_rate,
        )

    there_and_back = converted(converted(price, rate), 1 / rate)

    assert there_and_back == replace(
        price,
        input_per_mtok=same(price.input_per_mtok),
        cached_input_per_mtok=same(price.cached_input_per_mtok),
        output_per_mtok=same(price.output_per_mtok),
    )


@given(st.floats(0.0, 1e9), positive_money)
def test_joules_and_kwh_agree(kwh, price_per_kwh):
    """So many kWh in joules cost so many times the price of one."""
    tariff = flat_tariff(price_per_kwh)

    assert energy_cost(tariff, utc_seconds=0.0, joules=kwh * 3_600_000) == same(kwh * price_per_kwh)
