"""The cost of a million tokens, from sums."""

import pytest

from evenwatt.economics.cost import Costs
from evenwatt.economics.effective import (
    Basis,
    TokenBase,
    api_price_per_mtok,
    break_even_ratio,
    cost_per_mtok,
    phase_costs_per_mtok,
)
from evenwatt.economics.tokens import Tokens

COSTS = Costs(hardware=6.0, energy=2.0, labour=0.0, other=0.0)
TOKENS = Tokens(input_tokens=1_000_000, cached_input_tokens=2_000_000, output_tokens=1_000_000)


@pytest.mark.parametrize(
    ("basis", "base", "expected"),
    [
        (Basis.FULL, TokenBase.TOTAL, 2.0),
        (Basis.FULL, TokenBase.OUTPUT, 8.0),
        (Basis.ENERGY, TokenBase.TOTAL, 0.5),
        (Basis.ENERGY, TokenBase.OUTPUT, 2.0),
    ],
)
def test_cost_per_mtok_names_its_basis_and_base(basis, base, expected):
    """8 in all and 2 for energy, over 4 Mtok in all or 1 Mtok of output."""
    assert cost_per_mtok(COSTS, TOKENS, basis=basis, base=base) == pytest.approx(expected)


def test_no_tokens_no_cost_per_token():
    """The ratio is undefined without tokens of its base, whatever was spent."""
    assert cost_per_mtok(COSTS, Tokens()) is None
    assert cost_per_mtok(COSTS, Tokens(input_tokens=5), base=TokenBase.OUTPUT) is None


def test_unknown_cost_no_cost_per_token():
    """Without the hardware's price only the energy's share can be told."""
    costs = Costs(energy=2.0, labour=0.0, other=0.0)

    assert cost_per_mtok(costs, TOKENS) is None
    assert cost_per_mtok(costs, TOKENS, basis=Basis.ENERGY) == pytest.approx(0.5)


def test_api_price_at_the_mix_that_was_served():
    """A bill of 10 over 4 Mtok is 2.50 per Mtok; an unknown bill or no tokens give none."""
    assert api_price_per_mtok(10.0, TOKENS) == pytest.approx(2.50)
    assert api_price_per_mtok(None, TOKENS) is None
    assert api_price_per_mtok(0.0, Tokens()) is None


@pytest.mark.parametrize(
    ("api_bill", "own_cost", "expected"),
    [
        (4.0, 8.0, 0.5),
        (0.0, 8.0, 0.0),
        (None, 8.0, None),
        (4.0, None, None),
        (4.0, 0.0, None),
        (4.0, -1.0, None),
    ],
    ids=[
        "API was cheaper",
        "free API",
        "no API price",
        "own cost unknown",
        "own cost zero",
        "negative prices",
    ],
)
def test_break_even_ratio(api_bill, own_cost, expected):
    """API over own: below 1 the API was cheaper; undefined without either side."""
    assert break_even_ratio(api_bill, own_cost) == expected


def test_phases_share_the_cost_by_their_time():
    """A quarter of the time in prefill is a quarter of the cost for the computed input."""
    input_cost, output_cost = phase_costs_per_mtok(8.0, TOKENS, prefill_seconds=15, decode_seconds=45)

    assert input_cost == pytest.approx(2.0)
    assert output_cost == pytest.approx(6.0)


@pytest.mark.parametrize(("cost", "seconds"), [(None, 1.0), (8.0, 0.0)], ids=["no cost", "no time"])
def test_phases_need_a_cost_and_their_times(cost, seconds):
    """Nothing is split that is not known, and nothing by times that are not told."""
    assert phase_costs_per_mtok(cost, TOKENS, prefill_seconds=seconds, decode_seconds=0.0) == (None, None)
