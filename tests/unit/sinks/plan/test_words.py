"""The plan in one sentence, and its numbers in words."""

import math

import pytest

from evenwatt.economics.cost import Costs
from evenwatt.economics.planning import BreakEven, Demand
from evenwatt.sinks.plan.words import load_words, money, verdict
from evenwatt.snapshot.plan import PlannedReference, PlanView

HOUR = Costs(hardware=1.0, energy=0.0, labour=0.0, other=0.0)


def reference(name, price, load):
    """Return a comparison with a price that is met at a load."""
    found = BreakEven(price_per_mtok=price, load=load, mtok_per_month=load * 730)
    return PlannedReference(name=name, cached=found, no_cache=found)


CHEAP = reference("cheap", 0.5, math.inf)
DEAR = reference("dear", 4.0, 0.25)


def view(*references, missing=(), demand=None, cost=None):
    """Return a plan of a machine that costs 1 an hour for a million tokens."""
    return PlanView(
        currency="EUR",
        month_hours=730,
        machine="a machine",
        preset=None,
        capacity_tokens_per_second=277.8,
        input_share=0.75,
        cached_share=0.0,
        power=None,
        price_per_kwh=None,
        mtok_per_hour=1.0,
        most_mtok_per_month=730.0,
        curve=(),
        idle_hour=HOUR,
        full_hour=HOUR,
        idle_month=HOUR,
        full_month=HOUR,
        missing=missing,
        references=references,
        demand=demand,
        demand_costs_per_mtok=cost,
    )


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0, "0"),
        (0.45, "0.4500"),
        (2.25, "2.250"),
        (142.58, "142.6"),
        (4_211, "4,211"),
        (0.00001234, "0.000012"),
    ],
)
def test_money_has_four_digits(value, words):
    """Four digits that mean something, and all digits of whole units."""
    assert money(value) == words


@pytest.mark.parametrize(
    ("load", "words"), [(0.5625, "56.2%"), (0.0001, "<0.1%"), (math.inf, "never"), (0, "0.0%")]
)
def test_load_in_words(load, words):
    """Percent with one decimal; never is a word."""
    assert load_words(load) == words


def test_without_a_volume_the_loads_are_the_verdict():
    """From where on which API is dearer; those that never are come last."""
    assert verdict(view(CHEAP, DEAR)) == (
        "The machine is cheaper than dear from 25.0% load (182.5 Mtok a month); never than cheap."
    )


def test_never_cheaper_at_all():
    """Where no load helps against any, that is the verdict."""
    assert verdict(view(CHEAP)) == (
        "At no load is the machine cheaper than cheap: even at full load an API costs less."
    )


def test_nothing_to_compare_with():
    """Without references the cost is what can be said."""
    assert verdict(view()) == (
        "The machine costs 1.000 EUR an hour at full load; there is no API to compare it with."
    )


def test_with_a_volume_the_cost_is_the_verdict():
    """What a million tokens cost at the planned load, less than which API, and which is not reached."""
    demand = Demand(mtok_per_month=365, load=0.5, tokens_per_second=138.9, machines=1)
    cost = Costs(hardware=2.0, energy=0.0, labour=0.0, other=0.0)

    assert verdict(view(CHEAP, DEAR, demand=demand, cost=cost)) == (
        "At 50.0% load (365.0 Mtok a month) a million tokens cost 2.000 EUR, less than dear (4.000) but not "
        "less than cheap (0.5000, never reached)."
    )


def test_a_volume_above_capacity():
    """What one machine cannot serve is told with the number that can."""
    demand = Demand(mtok_per_month=1_095, load=1.5, tokens_per_second=416.7, machines=2)

    assert verdict(view(DEAR, demand=demand, cost=HOUR)).startswith(
        "1,095 Mtok a month are above capacity: they take 2 machines at 75.0% load, and then a million tokens"
    )


def test_what_is_missing_goes_before():
    """A cost without one of its components is never told without saying so."""
    assert verdict(view(DEAR, missing=("electricity",))) == (
        "Without electricity, which is not known: the machine is cheaper than dear from 25.0% load "
        "(182.5 Mtok a month)."
    )
