"""What holds for a machine on paper whatever its numbers are."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from evenwatt.economics.cost import PriceBook
from evenwatt.economics.ownership import Owned, Rented
from evenwatt.economics.planning import (
    Machine,
    Power,
    break_even_against,
    computed_share,
    cost_curve,
    costs_per_mtok,
    demand_on,
    hour_costs,
    machine_line,
    mix_of_shares,
    month_costs,
    most_mtok_per_month,
)
from evenwatt.economics.running import HourlyLabour, MonthlyCost
from evenwatt.economics.tariffs import flat_tariff

prices = st.floats(1e-3, 1e4)
amounts = st.floats(0.0, 1e5)
loads = st.floats(1e-3, 1.0)
mixes = st.builds(mix_of_shares, st.floats(0.0, 1.0), st.floats(0.0, 0.99))
machines = st.builds(
    lambda hardware, kwh, labour, other, month_hours, capacity, mix, idle, extra: Machine(
        book=PriceBook(
            hardware=hardware,
            tariff=flat_tariff(kwh, pue=1.2),
            labour=labour,
            other=other,
            month_hours=month_hours,
        ),
        utc_seconds=0.0,
        capacity_tokens_per_second=capacity,
        mix=mix,
        power=Power(idle_watts=idle, full_watts=idle + extra),
    ),
    st.builds(Owned, purchase_price=st.floats(1.0, 1e6), lifetime_years=st.floats(0.5, 10))
    | st.builds(Rented, rent_per_hour=st.floats(0.01, 1e3)),
    st.floats(0.0, 2.0),
    st.none() | st.builds(HourlyLabour, hours_per_month=st.floats(0, 100), rate_per_hour=st.floats(0, 200)),
    st.lists(st.builds(MonthlyCost, name=st.just("line"), per_month=amounts), max_size=2).map(tuple),
    st.sampled_from([730, 720]),
    st.floats(1.0, 1e6),
    mixes,
    st.floats(0.0, 5e3),
    st.floats(0.0, 5e3),
)


@given(machines, loads, loads)
def test_cost_per_token_never_rises_with_load(machine, one, other):
    """The busier of two machines that are the same serves its tokens for no more."""
    idle, busy = sorted((one, other))

    low, high = (point.costs_per_mtok.full for point in cost_curve(machine, (idle, busy)))
    assert high <= low * (1 + 1e-9)


@given(machines, prices)
def test_break_even_load_put_back_in_gives_equal_costs(machine, price):
    """At the break-even load a million tokens cost the price; a volume of that load costs the API's bill."""
    found = break_even_against(machine, price)

    if math.isfinite(found.load):
        assert 0 < found.load <= 1
        assert costs_per_mtok(machine, found.load).full == pytest.approx(price, rel=1e-6)
        assert found.mtok_per_month == pytest.approx(found.load * most_mtok_per_month(machine))


@given(machines, prices, loads)
def test_never_means_at_no_load(machine, price, load):
    """Where break-even is never reached, no load up to full load makes own tokens as cheap as the API's."""
    found = break_even_against(machine, price)

    assert math.isinf(found.load) == math.isinf(found.mtok_per_month)
    if math.isinf(found.load):
        assert costs_per_mtok(machine, load).full >= price * (1 - 1e-9)


@given(machines, prices)
def test_ratio_is_1_at_the_break_even_volume(machine, price):
    """Asked for the break-even volume, the machine costs what the API bills."""
    volume = break_even_against(machine, price).mtok_per_month

    if math.isfinite(volume):
        per_day = volume * 1e6 / (machine.month_hours / 24)
        assert break_even_against(machine, price, demand_on(machine, per_day)).ratio == pytest.approx(1.0)


@given(machines, prices)
def test_what_is_paid_for_is_worth_keeping_from_no_later_load(machine, price):
    """Keep-or-switch never asks for more load than buying does; only what was bought has the question."""
    found = break_even_against(machine, price)

    if isinstance(machine.book.hardware, Owned):
        assert found.keep_or_switch_load <= found.load * (1 + 1e-9)
    else:
        assert found.keep_or_switch_load is None


@given(machines, prices, st.floats(1.0, 1e12))
def test_payback_put_back_in_gives_equal_money(machine, price, tokens_per_day):
    """After the months of payback, the API's bill has paid for the machines and their running cost."""
    demand = demand_on(machine, tokens_per_day)
    months = break_even_against(machine, price, demand).payback_months

    if months is not None and math.isfinite(months):
        running = replace(month_costs(machine, demand), hardware=0.0).full
        paid = machine.book.hardware.purchase_price * demand.machines + running * months
        assert paid == pytest.approx(price * demand.mtok_per_month * months, rel=1e-6)


@given(machines, st.floats(1.0, 1e12))
def test_as_many_machines_as_are_needed(machine, tokens_per_day):
    """The machines of a demand can serve it, and one fewer could not."""
    demand = demand_on(machine, tokens_per_day)

    assert demand.load_of_each <= 1 + 1e-9
    assert demand.machines == 1 or demand.load / (demand.machines - 1) > 1 - 1e-9


@given(machines, st.floats(1.0, 1e12))
def test_the_bill_is_the_cost_of_its_tokens(machine, tokens_per_day):
    """A month's bill is the cost per Mtok at the load of each machine, times the Mtok of the month."""
    demand = demand_on(machine, tokens_per_day)
    per_mtok = costs_per_mtok(machine, demand.load_of_each).full

    assert month_costs(machine, demand).full == pytest.approx(per_mtok * demand.mtok_per_month, rel=1e-9)


@given(machines, loads)
def test_the_line_is_the_bill(machine, load):
    """F + V x load is what an hour at that load costs."""
    line = machine_line(machine)

    by_line = line.fixed_cost_per_hour + line.load_cost_per_hour * load
    assert hour_costs(machine, load).full == pytest.approx(by_line, rel=1e-9)


@given(st.floats(0.0, 1.0), st.floats(0.0, 1.0))
def test_kinds_of_tokens_add_up(input_share, cached_share):
    """The three kinds are all tokens; those to compute are all but the cached ones."""
    mix = mix_of_shares(input_share, cached_share)
    tokens = mix.tokens(1e6)

    assert tokens.total_tokens == pytest.approx(1e6)
    assert computed_share(mix) * 1e6 == pytest.approx(tokens.input_tokens + tokens.output_tokens)
    assert tokens.logical_input_tokens == pytest.approx(input_share * 1e6, abs=1e-3)
