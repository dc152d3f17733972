"""What would move the verdict: elasticities and break-even values, by hand and put back in."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from evenwatt.economics.breakeven import WindowSums, break_even_load, cost_line
from evenwatt.economics.cost import Costs
from evenwatt.economics.sensitivity import Facts, Input, sensitivities
from evenwatt.economics.tokens import Tokens

FACTS = Facts(
    api_cost=8.0,
    hardware_cost=6.0,
    energy_cost=3.0,
    labour_cost=1.0,
    other_cost=0.0,
    idle_energy_cost=1.0,
    load_ratio=0.5,
    api_price_per_mtok=4.0,
    price_per_kwh=0.3,
    idle_watts=100.0,
    month_share=0.5,
)
"""10 spent here, 8 there: 2 of the electricity comes with load."""


def by_input(facts=FACTS):
    """Return the sensitivities by input."""
    return {found.input: found for found in sensitivities(facts)}


@pytest.mark.parametrize(
    ("varied", "elasticity", "factor", "value"),
    [
        (Input.API_PRICE, 1.0, 10 / 8, 5.0),
        (Input.LOAD, 0.8, 8 / 6, 0.5 * 8 / 6),
        (Input.ELECTRICITY_PRICE, -0.3, 1 / 3, 0.1),
        (Input.HARDWARE_PRICE, -0.6, 4 / 6, 8.0),
        (Input.IDLE_POWER, -0.1, math.inf, math.inf),
        (Input.LABOUR, -0.1, math.inf, math.inf),
    ],
)
def test_each_input_by_hand(varied, elasticity, factor, value):
    """10 here against 8 there: each input alone would have to take up the 2 between them."""
    found = by_input()[varied]

    assert found.elasticity == pytest.approx(elasticity)
    assert found.break_even_factor == pytest.approx(factor)
    assert found.break_even_value == pytest.approx(value)


def test_the_nearest_comes_first():
    """The input that has to change least is told first, those that never would last."""
    ranked = [found.input for found in sensitivities(FACTS)]

    assert ranked[:4] == [Input.API_PRICE, Input.LOAD, Input.HARDWARE_PRICE, Input.ELECTRICITY_PRICE]
    assert {*ranked[4:]} == {Input.IDLE_POWER, Input.LABOUR}


def test_load_cannot_grow_beyond_the_machine():
    """At 80 % load the break-even of 107 % is never reached, unless the machine may do more than is known."""
    busy = replace(FACTS, load_ratio=0.8)

    assert by_input(busy)[Input.LOAD].break_even_factor == math.inf
    open_ended = by_input(replace(busy, is_load_upper_bound=True))[Input.LOAD]
    assert open_ended.break_even_factor == pytest.approx(8 / 6)


def test_tokens_dearer_than_their_electricity_never_pay():
    """Where the API takes less than the electricity of load, no load helps."""
    assert by_input(replace(FACTS, api_cost=2.0))[Input.LOAD].break_even_factor == math.inf


def test_what_is_not_known_is_left_out():
    """Without idle power there is no answer for load; parts that cost nothing are no inputs."""
    found = by_input(replace(FACTS, idle_energy_cost=None, labour_cost=0.0, load_ratio=None))

    assert set(found) == {Input.API_PRICE, Input.ELECTRICITY_PRICE, Input.HARDWARE_PRICE}


@pytest.mark.parametrize(
    "facts",
    [
        replace(FACTS, api_cost=0.0),
        Facts(api_cost=1.0, hardware_cost=0.0, energy_cost=0.0, labour_cost=0.0, other_cost=0.0),
    ],
)
def test_nothing_to_compare(facts):
    """Where either side costs nothing there is no ratio to vary."""
    assert sensitivities(facts) == ()


money = st.floats(0.01, 1e6)


@given(
    api_cost=money,
    hardware_cost=money,
    idle=money,
    load_energy=money,
    labour_cost=money,
    load_ratio=st.floats(0.001, 1.0),
)
def test_break_even_put_back_in_gives_equal_costs(
    api_cost, hardware_cost, idle, load_energy, labour_cost, load_ratio
):
    """Whatever the input, at its break-even value both sides cost the same."""
    facts = Facts(
        api_cost=api_cost,
        hardware_cost=hardware_cost,
        energy_cost=idle + load_energy,
        labour_cost=labour_cost,
        other_cost=0.0,
        idle_energy_cost=idle,
        load_ratio=load_ratio,
    )
    for found in sensitivities(facts):
        factor = found.break_even_factor
        if not math.isfinite(factor):
            continue
        api = api_cost * (factor if found.input in {Input.API_PRICE, Input.LOAD} else 1)
        parts = {
            Input.HARDWARE_PRICE: hardware_cost,
            Input.ELECTRICITY_PRICE: facts.energy_cost,
            Input.IDLE_POWER: idle,
            Input.LABOUR: labour_cost,
            Input.LOAD: facts.energy_cost - idle,
            Input.API_PRICE: 0.0,
        }
        own = facts.own_cost + (factor - 1) * parts[found.input]

        assert api == pytest.approx(own, rel=1e-6, abs=1e-6 * facts.own_cost)


@given(
    api_cost=money,
    hardware_cost=money,
    idle=st.floats(0, 1e3),
    load_energy=st.floats(0, 1e3),
    load_ratio=st.floats(0.01, 1.0),
)
def test_load_agrees_with_the_break_even_load(api_cost, hardware_cost, idle, load_energy, load_ratio):
    """The load at which the verdict turns is the break-even load of the cost line."""
    tokens = Tokens(input_tokens=1_000_000)
    energy = idle + load_energy
    sums = WindowSums(
        costs=Costs(hardware=hardware_cost, energy=energy, labour=0.0, other=0.0),
        tokens=tokens,
        seconds=3_600.0,
        idle_seconds=3_600.0,
        joules=energy or None,
        idle_joules=idle,
    )
    facts = Facts(
        api_cost=api_cost,
        hardware_cost=hardware_cost,
        energy_cost=energy,
        labour_cost=0.0,
        other_cost=0.0,
        idle_energy_cost=idle,
        load_ratio=load_ratio,
    )

    expected = break_even_load(cost_line(sums, load_ratio), api_cost)
    found = by_input(facts)[Input.LOAD].break_even_value

    if abs(expected - 1) > 1e-6:
        assert found == pytest.approx(expected, rel=1e-6) or abs(found - 1) < 1e-6
