"""A machine on paper: which tokens its capacity counts, what it costs by load, and when it is not enough."""

import math

import pytest
from msgspec.structs import replace

from evenwatt.economics.cost import PriceBook
from evenwatt.economics.ownership import Owned, Rented, Sunk
from evenwatt.economics.planning import (
    Machine,
    Power,
    break_even_against,
    cost_curve,
    costs_per_mtok,
    demand_on,
    hour_costs,
    machine_line,
    mean_tariff,
    mix_of_shares,
    month_costs,
    most_mtok_per_month,
    year_costs,
)
from evenwatt.economics.running import MonthlyCost
from evenwatt.economics.tariffs import DatedPrice, Tariff, flat_tariff, price_per_kwh_at

DAY = 86_400

MACHINE = Machine(
    book=PriceBook(
        hardware=Owned(purchase_price=8_760, lifetime_years=1),
        tariff=flat_tariff(0.50),
        other=(MonthlyCost(name="line", per_month=73),),
    ),
    utc_seconds=0.0,
    capacity_tokens_per_second=1_000_000 / 3_600,
    mix=mix_of_shares(0.5, 0.0),
    power=Power(idle_watts=200, full_watts=1_000),
)
"""A million tokens an hour at full load; 1 for the hardware, 0.1 for the line, 0.1 to 0.5 for electricity."""


def with_hardware(hardware):
    """Return the machine, had in another way."""
    return replace(MACHINE, book=replace(MACHINE.book, hardware=hardware))


def test_an_hour_costs_its_time_and_its_power():
    """Power grows with load from idle to full; everything else is due whatever the load."""
    assert hour_costs(MACHINE, 0.0).full == pytest.approx(1.2)
    assert hour_costs(MACHINE, 0.5).full == pytest.approx(1.4)
    assert hour_costs(MACHINE, 1.0).energy == pytest.approx(0.5)


def test_a_million_tokens_by_load():
    """At full load an hour's cost is that of a million tokens; at half load there are half as many."""
    full, half = cost_curve(MACHINE, (1.0, 0.5))

    assert full.costs_per_mtok.full == pytest.approx(1.6)
    assert half.costs_per_mtok.full == pytest.approx(2.8)
    assert half.costs_per_mtok.hardware == pytest.approx(2.0)


def test_capacity_counts_what_is_computed_and_cost_is_over_all_tokens():
    """With half the input cached, a quarter of all tokens costs no work: a third more are served."""
    cached = replace(MACHINE, mix=mix_of_shares(0.5, 0.5))

    assert cached.mtok_per_hour == pytest.approx(4 / 3)
    assert most_mtok_per_month(cached) == pytest.approx(730 * 4 / 3)
    assert costs_per_mtok(cached, 1.0).full == pytest.approx(1.6 * 3 / 4)
    assert demand_on(cached, 16e6).load == pytest.approx(0.5)


def test_break_even_in_every_form():
    """1.2 fixed against 2.8 less 0.4 a million: half load, 365 Mtok; without the hardware 0.2 is fixed."""
    demand = demand_on(MACHINE, 24e6)
    found = break_even_against(MACHINE, 2.8, demand)

    assert found.load == pytest.approx(0.5)
    assert found.mtok_per_month == pytest.approx(365)
    assert found.keep_or_switch_load == pytest.approx(0.2 / 2.4)
    assert found.ratio == pytest.approx(2.8 / 1.6)
    assert found.payback_months == pytest.approx(8_760 / (730 * (2.8 - 0.6)))


def test_maintenance_is_no_part_of_what_is_paid_back_but_of_what_runs_on():
    """A tenth of the price a year is 0.1 an hour, due on top of electricity and the line."""
    kept_up = with_hardware(Owned(purchase_price=8_760, lifetime_years=1, maintenance_per_year=0.10))
    found = break_even_against(kept_up, 2.8, demand_on(kept_up, 24e6))

    assert found.payback_months == pytest.approx(8_760 / (730 * (2.8 - 0.7)))


def test_never_in_every_form():
    """Against 0.50 the electricity and the line alone cost more at full load."""
    found = break_even_against(MACHINE, 0.50, demand_on(MACHINE, 24e6))

    assert (found.load, found.mtok_per_month) == (math.inf, math.inf)
    assert (found.keep_or_switch_load, found.payback_months) == (math.inf, math.inf)
    assert found.ratio == pytest.approx(0.50 / 1.6)


@pytest.mark.parametrize("hardware", [Rented(rent_per_hour=1.0), Sunk()], ids=["rented", "sunk"])
def test_what_was_not_bought_is_not_paid_back(hardware):
    """A rent ends with the use, and a price that is out of the question has no payback."""
    found = break_even_against(with_hardware(hardware), 2.8, demand_on(MACHINE, 24e6))

    assert found.payback_months is None
    assert found.keep_or_switch_load is None


def test_without_a_demand_there_is_no_ratio_and_no_payback():
    """Both depend on how much is asked for."""
    found = break_even_against(MACHINE, 2.8)

    assert found.ratio is None
    assert found.payback_months is None


@pytest.mark.parametrize(
    ("tokens_per_day", "machines", "load"),
    [(12e6, 1, 0.5), (24e6, 1, 1.0), (36e6, 2, 0.75), (49e6, 3, 49 / 72)],
    ids=["half", "just full", "one and a half", "a little above two"],
)
def test_as_many_machines_as_it_takes(tokens_per_day, machines, load):
    """24 million a day fill a machine; what is above is shared by as few as can serve it."""
    demand = demand_on(MACHINE, tokens_per_day)

    assert demand.machines == machines
    assert demand.is_feasible == (machines == 1)
    assert demand.load_of_each == pytest.approx(load)


def test_bills_are_for_all_machines():
    """36 million a day take two machines at three quarters: twice 1.5 an hour."""
    demand = demand_on(MACHINE, 36e6)

    assert month_costs(MACHINE, demand).full == pytest.approx(2 * 1.5 * 730)
    assert year_costs(MACHINE, demand).full == pytest.approx(2 * 1.5 * 8_760)
    assert demand.mtok_per_month == pytest.approx(36 * 730 / 24)


def test_a_month_of_720_hours():
    """The same hours cost the same; a month has fewer of them."""
    machine = replace(MACHINE, book=replace(MACHINE.book, other=(), month_hours=720))
    demand = demand_on(machine, 24e6)

    assert demand.mtok_per_month == pytest.approx(720)
    assert month_costs(machine, demand).full == pytest.approx(1.5 * 720)
    assert year_costs(machine, demand).full == pytest.approx(1.5 * 8_760)


def test_power_that_is_not_known_is_not_zero():
    """Without power there is no energy cost and no full cost; what is known is the line all the same."""
    machine = replace(MACHINE, power=None)

    assert hour_costs(machine, 1.0).energy is None
    assert costs_per_mtok(machine, 1.0).full is None
    assert costs_per_mtok(machine, 1.0).known == pytest.approx(1.1)
    assert machine_line(machine).load_cost_per_hour == 0.0


def test_a_plan_has_one_price_for_all_hours():
    """The tariff of a plan is flat and keeps what the building draws on top; unknown stays unknown."""
    tariff = Tariff(
        prices=(
            DatedPrice(price_per_kwh=0.2, valid_from_utc_seconds=0.0),
            DatedPrice(price_per_kwh=0.4, valid_from_utc_seconds=3_000 * DAY),
        ),
        pue=1.5,
    )

    flat = mean_tariff(tariff, 10 * DAY)
    assert flat.pue == 1.5
    assert price_per_kwh_at(flat, 9_999 * DAY) == pytest.approx(0.2)
    assert mean_tariff(tariff, -1.0) is None
    assert mean_tariff(None, 0.0) is None


def test_once_paid_for_a_machine_of_unknown_power_tells_nothing():
    """Without the electricity there is next to nothing left to compare: that is no break-even at any load."""
    found = break_even_against(replace(MACHINE, power=None), 2.0)

    assert found.keep_or_switch_load is None
    assert found.load == pytest.approx(1.1 / 2.0)


def test_without_its_electricity_nothing_says_when_it_pays_back():
    """Electricity that is not known is not free: it would pay back too early."""
    unknown = replace(MACHINE, power=None)
    found = break_even_against(unknown, 2.8, demand_on(unknown, 24e6))

    assert (found.payback_months, found.keep_or_switch_load) == (None, None)
