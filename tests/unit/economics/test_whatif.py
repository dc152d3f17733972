"""What if: another load, electricity price or hardware price."""

import math

import pytest

from evenwatt.economics.whatif import Change, CostParts, changed_line, what_if

PARTS = CostParts(
    hardware_cost_per_hour=0.5,
    labour_cost_per_hour=0.2,
    other_cost_per_hour=0.1,
    idle_energy_cost_per_hour=0.2,
    load_energy_cost_per_hour=0.6,
    mtok_per_hour=10.0,
)


def test_without_a_change_it_is_what_was():
    """At half load an hour costs 1 + 0.3 for 5 Mtok."""
    found = what_if(PARTS, Change(load_ratio=0.5), price_per_mtok=0.5, month_hours=100.0)

    assert found.cost_per_mtok == pytest.approx(0.26)
    assert found.own_cost_per_month == pytest.approx(130.0)
    assert found.mtok_per_month == pytest.approx(500.0)
    assert found.api_cost_per_month == pytest.approx(250.0)
    assert found.saved_per_month == pytest.approx(120.0)
    assert found.break_even_load_ratio == pytest.approx(1 / 4.4)


def test_electricity_and_hardware_are_scaled_by_their_own_factor():
    """Twice the electricity price touches idling and load, half the hardware price only the hardware."""
    line = changed_line(PARTS, Change(load_ratio=0.5, electricity_factor=2.0, hardware_factor=0.5))

    assert line.fixed_cost_per_hour == pytest.approx(0.25 + 0.2 + 0.1 + 0.4)
    assert line.load_cost_per_hour == pytest.approx(1.2)
    assert line.mtok_per_hour == 10.0


def test_no_load_has_no_cost_of_a_token_and_a_cheap_api_is_never_reached():
    """None is not known; infinite is never."""
    found = what_if(PARTS, Change(load_ratio=0.0), price_per_mtok=0.05)

    assert found.cost_per_mtok is None
    assert found.break_even_load_ratio == math.inf
    assert found.saved_per_month == pytest.approx(-730.0)
