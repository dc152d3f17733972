"""From which load, volume or month on our own machine is cheaper."""

import math

import pytest
from msgspec.structs import replace

from evenwatt.economics.breakeven import (
    CostLine,
    WindowSums,
    break_even_load,
    break_even_mtok_per_month,
    cost_line,
    cost_per_mtok_at_load,
    keep_or_switch_costs,
    payback_months,
    purchase_of,
    token_load,
)
from evenwatt.economics.cost import Costs
from evenwatt.economics.ownership import Owned, OwnedParts
from evenwatt.economics.tokens import Tokens

LINE = CostLine(fixed_cost_per_hour=1.0, load_cost_per_hour=0.5, mtok_per_hour=5.0)

TEN_HOURS = WindowSums(
    costs=Costs(hardware=7.0, energy=3.0, labour=2.0, other=1.0),
    tokens=Tokens(input_tokens=4_000_000, output_tokens=6_000_000),
    seconds=36_000,
    idle_seconds=18_000,
    joules=30_000_000.0,
    idle_joules=9_000_000.0,
)
"""500 W for 5 idle hours, of 30 MJ in all: idle power would have drawn 18 MJ, three fifths."""


def test_load_by_one_capacity():
    """30 input and 20 output tokens/s of 100 are half a load."""
    load = token_load(input_tokens_per_second=30, output_tokens_per_second=20, capacity_tokens_per_second=100)

    assert load == pytest.approx(0.5)


def test_load_by_the_capacity_of_each_phase():
    """300 of 1,000 in prefill and 20 of 100 in decode are half a load, whatever the combined capacity."""
    load = token_load(
        input_tokens_per_second=300,
        output_tokens_per_second=20,
        capacity_tokens_per_second=1.0,
        prefill_tokens_per_second=1_000,
        decode_tokens_per_second=100,
    )

    assert load == pytest.approx(0.5)


@pytest.mark.parametrize("prefill", [None, 1_000.0], ids=["nothing", "one phase alone"])
def test_load_is_unknown_without_a_capacity(prefill):
    """No capacity is not full load and not no load."""
    assert (
        token_load(input_tokens_per_second=1, output_tokens_per_second=1, prefill_tokens_per_second=prefill)
        is None
    )


def test_line_from_what_was_observed():
    """Idle power is fixed, the rest of the electricity comes with load, and tokens scale to full load."""
    line = cost_line(TEN_HOURS, 0.25)

    assert line.fixed_cost_per_hour == pytest.approx(1.0 + 0.18)
    assert line.load_cost_per_hour == pytest.approx(0.12 / 0.25)
    assert line.mtok_per_hour == pytest.approx(4.0)


def test_line_goes_through_what_was_observed():
    """At the observed load the line gives the observed cost of 13 for 10 Mtok."""
    assert cost_per_mtok_at_load(cost_line(TEN_HOURS, 0.25), 0.25) == pytest.approx(1.30)


@pytest.mark.parametrize(
    "changes",
    [
        {"idle_seconds": 0.0, "idle_joules": None},
        {"idle_joules": None},
        {"joules": None, "idle_joules": None},
        {"down_seconds": 18_000},
        {"idle_joules": 20_000_000.0},
    ],
    ids=[
        "never idle",
        "idle energy not measured",
        "energy not measured",
        "idle only while down",
        "idle power above the mean",
    ],
)
def test_electricity_is_fixed_where_no_lower_power_was_seen_idle(changes):
    """Without a credible idle power all electricity is fixed, which never makes break-even look nearer."""
    line = cost_line(replace(TEN_HOURS, **changes), 0.25)

    assert line.fixed_cost_per_hour == pytest.approx(1.30)
    assert line.load_cost_per_hour == 0.0


def test_a_machine_that_was_off_drew_no_idle_power_then():
    """Idle watts come from idle time that was up, and are laid under time that was up."""
    sums = replace(TEN_HOURS, idle_seconds=27_000, down_seconds=9_000)

    line = cost_line(sums, 0.25)

    idle_joules = 500 * 27_000
    assert line.fixed_cost_per_hour == pytest.approx(1.0 + 0.30 * idle_joules / 30_000_000)


@pytest.mark.parametrize(
    ("changes", "load"),
    [
        ({}, None),
        ({}, 0.0),
        ({"seconds": 0.0}, 0.25),
        ({"costs": Costs(energy=3.0, labour=0.0, other=0.0)}, 0.25),
        ({"costs": Costs(hardware=7.0, labour=0.0, other=0.0)}, 0.25),
    ],
    ids=["no capacity known", "no load", "empty window", "hardware unknown", "energy unknown"],
)
def test_no_line_from_what_is_not_known(changes, load):
    """Break-even stays unknown where load, time or a component of the cost is."""
    line = cost_line(replace(TEN_HOURS, **changes), load)

    assert line is None
    assert break_even_load(line, 1.0) is None
    assert break_even_mtok_per_month(line, 1.0) is None


def test_cost_per_mtok_is_undefined_at_no_load():
    """A machine that serves nothing has no cost per token."""
    assert cost_per_mtok_at_load(LINE, 0.0) is None


@pytest.mark.parametrize(
    ("price", "expected"),
    [(0.5, 0.5), (0.3, 1.0), (0.29, math.inf), (0.1, math.inf), (0.05, math.inf), (None, None)],
    ids=["half load", "just at full load", "above full load", "energy alone", "less than energy", "no price"],
)
def test_break_even_load(price, expected):
    """F / (T p - V), never beyond full load or where load costs what it earns, unknown without a price."""
    assert break_even_load(LINE, price) == (expected if expected is None else pytest.approx(expected))


def test_a_machine_without_fixed_cost_breaks_even_at_once():
    """What costs nothing at rest, or is paid for at negative prices, is cheaper from the first token on."""
    assert break_even_load(replace(LINE, fixed_cost_per_hour=0.0), 0.5) == 0.0
    assert break_even_load(replace(LINE, fixed_cost_per_hour=-0.2, load_cost_per_hour=-0.1), 0.5) == 0.0


def test_break_even_volume_of_a_month():
    """730 x 1 / (0.5 - 0.1) Mtok; never where full load is too little; unknown without a price."""
    assert break_even_mtok_per_month(LINE, 0.5) == pytest.approx(1_825)
    assert break_even_mtok_per_month(LINE, 0.5, month_hours=720) == pytest.approx(1_800)
    assert break_even_mtok_per_month(LINE, 0.2) == math.inf
    assert break_even_mtok_per_month(LINE, None) is None


@pytest.mark.parametrize(
    ("bill", "expected"), [(150, 10.0), (50, math.inf), (40, math.inf)], ids=["pays", "no saving", "loses"]
)
def test_payback(bill, expected):
    """1,000 against a saving of 100 a month are ten months; without a saving never."""
    months = payback_months(purchase_price=1_000, api_bill_per_month=bill, running_cost_per_month=50)

    assert months == pytest.approx(expected)


def test_keep_or_switch_leaves_the_hardware_out():
    """The price of a machine that is paid for is spent either way, even where nobody knows it."""
    costs = keep_or_switch_costs(Costs(hardware=None, energy=3.0, labour=2.0, other=1.0))

    assert costs.full == pytest.approx(6.0)


YEAR_SECONDS = 8_760 * 3_600.0


@pytest.mark.parametrize(
    ("years", "price", "maintenance"), [(0.5, 8_760, 1.0), (2.5, 26_280, 1.5), (3.5, 26_280, 0.5)]
)
def test_what_was_bought_by_a_moment_has_to_be_paid_back(years, price, maintenance):
    """A server for 3 years, and GPUs after one year: the server's maintenance ends with its life."""
    server = Owned(
        purchase_price=8_760, lifetime_years=3, maintenance_per_year=1.0, purchased_utc_seconds=0.0
    )
    gpus = Owned(
        purchase_price=17_520,
        lifetime_years=3,
        maintenance_per_year=0.25,
        purchased_utc_seconds=YEAR_SECONDS,
    )
    found = purchase_of(OwnedParts(parts=(server, gpus)), years * YEAR_SECONDS)

    assert (found.price, found.maintenance_per_hour) == (price, pytest.approx(maintenance))


def test_what_is_yet_to_be_bought_is_nothing_to_pay_back():
    """Before the first purchase there is none."""
    later = Owned(purchase_price=1, lifetime_years=1, purchased_utc_seconds=10.0)

    assert purchase_of(later, 5.0) is None
