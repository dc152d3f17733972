"""From a minute's physics to money."""

import dataclasses

import pytest
from msgspec.structs import replace

from evenwatt.economics.api import ReferencePrice
from evenwatt.economics.cost import (
    Costs,
    ModelRule,
    PriceBook,
    StateUse,
    api_costs,
    minute_costs,
    model_rule,
    summed_costs,
)
from evenwatt.economics.ownership import Rented
from evenwatt.economics.running import HourlyLabour, MonthlyCost, SetupCost
from evenwatt.economics.tariffs import DatedPrice, Tariff, flat_tariff
from evenwatt.economics.tokens import Tokens
from evenwatt.model import State

KWH = 3_600_000
BOOK = PriceBook(
    hardware=Rented(rent_per_hour=60),
    tariff=flat_tariff(0.50),
    labour=HourlyLabour(hours_per_month=73, rate_per_hour=60),
    other=(MonthlyCost(name="colocation", per_month=730 * 12),),
)
"""1 a minute for hardware, 0.50 a kWh, 0.10 a minute for labour, 0.20 a minute for other."""

BUSY_THEN_IDLE = {
    State.ACTIVE: StateUse(seconds=30, joules=2 * KWH),
    State.IDLE_LOADED: StateUse(seconds=30, joules=KWH),
}


def reference(name: str, *, valid_from: float = 0.0) -> ReferencePrice:
    """Return a reference at 1 per Mtok."""
    return ReferencePrice(
        name=name, valid_from_utc_seconds=valid_from, input_per_mtok=1.0, output_per_mtok=1.0
    )


def test_a_minute_by_component_and_its_idle_half():
    """Half a minute active and half loaded: all components, and the idle half of them with its own energy."""
    minute = minute_costs(BOOK, utc_seconds=0.0, uses=BUSY_THEN_IDLE)

    assert minute.costs.hardware == pytest.approx(1)
    assert minute.costs.energy == pytest.approx(1.50)
    assert minute.costs.labour == pytest.approx(0.10)
    assert minute.costs.other == pytest.approx(0.20)
    assert minute.costs.time == pytest.approx(1.30)
    assert minute.costs.full == pytest.approx(2.80)
    assert minute.idle == {State.IDLE_LOADED: pytest.approx(0.65 + 0.50)}


def test_unknown_hardware_price_leaves_the_full_cost_unknown():
    """Energy is still known and the whole is not: unknown is not zero."""
    minute = minute_costs(PriceBook(tariff=flat_tariff(0.50)), utc_seconds=0.0, uses=BUSY_THEN_IDLE)

    assert minute.costs == Costs(hardware=None, energy=pytest.approx(1.50), labour=0.0, other=0.0)
    assert minute.costs.full is None
    assert minute.idle == {State.IDLE_LOADED: None}


@pytest.mark.parametrize(
    "book",
    [
        PriceBook(hardware=Rented(rent_per_hour=60)),
        PriceBook(
            hardware=Rented(rent_per_hour=60),
            tariff=Tariff(prices=(DatedPrice(price_per_kwh=0.5, valid_from_utc_seconds=1.0),)),
        ),
    ],
    ids=["no tariff", "no price yet"],
)
def test_unknown_electricity_price_leaves_energy_unknown(book):
    """Without a price in force the joules have no cost that anyone could tell."""
    minute = minute_costs(book, utc_seconds=0.0, uses=BUSY_THEN_IDLE)

    assert minute.costs.energy is None
    assert minute.costs.time == pytest.approx(1)
    assert minute.unpriced_joules == 3 * KWH


def test_only_energy_without_a_price_is_unpriced():
    """What was not measured is not unpriced, and what has a price is not either."""
    uses = {State.ACTIVE: StateUse(seconds=30), State.IDLE_EMPTY: StateUse(seconds=30, joules=KWH)}

    assert minute_costs(BOOK, utc_seconds=0.0, uses=uses).unpriced_joules is None


def test_setting_up_is_labour():
    """7,300 over 10 months of 730 hours are 1 an hour, on top of the 6 that labour costs."""
    book = replace(BOOK, setup=SetupCost(cost=7_300, spread_months=10, begins_utc_seconds=0.0))
    minute = minute_costs(book, utc_seconds=0.0, uses={State.ACTIVE: StateUse(seconds=3_600, joules=0.0)})

    assert minute.costs.labour == pytest.approx(6 + 1)


def test_a_fee_by_the_kwh_is_energy_and_no_cost_of_time():
    """A grid fee of 0.10 on 3 kWh is 0.30 more of energy; what accrues with time stays as it was."""
    book = replace(BOOK, tariff=dataclasses.replace(BOOK.tariff, fees_per_kwh=0.10))
    minute = minute_costs(book, utc_seconds=0.0, uses=BUSY_THEN_IDLE)

    assert minute.costs.energy == pytest.approx(1.50 + 0.30)
    assert minute.costs.time == pytest.approx(1.30)


def test_energy_that_was_not_measured_has_no_cost():
    """Time is paid for, idle too; what it drew is not known."""
    minute = minute_costs(BOOK, utc_seconds=0.0, uses={State.IDLE_EMPTY: StateUse(seconds=60)})

    assert minute.costs.energy is None
    assert minute.costs.time == pytest.approx(1.30)
    assert minute.idle == {State.IDLE_EMPTY: pytest.approx(1.30)}


def test_known_energy_counts_beside_unknown():
    """The joules that were measured are paid for, as they are counted."""
    uses = {State.ACTIVE: StateUse(seconds=30, joules=KWH), State.IDLE_EMPTY: StateUse(seconds=30)}

    minute = minute_costs(BOOK, utc_seconds=0.0, uses=uses)

    assert minute.costs.energy == pytest.approx(0.50)
    assert minute.idle == {State.IDLE_EMPTY: pytest.approx(0.65)}


@pytest.mark.parametrize(
    ("is_active_only", "idle_cost"), [(False, 1.30), (True, 0.30)], ids=["always on", "given back"]
)
def test_a_machine_that_is_off_costs_its_time(is_active_only, idle_cost):
    """Nobody measures a machine that is off: its idle cost is known without joules."""
    book = PriceBook(
        hardware=Rented(rent_per_hour=60, is_active_only=is_active_only),
        tariff=BOOK.tariff,
        labour=BOOK.labour,
        other=BOOK.other,
    )
    off = StateUse(seconds=60.0, down_seconds=60.0)

    minute = minute_costs(book, utc_seconds=0.0, uses={State.IDLE_EMPTY: off})

    assert minute.idle == {State.IDLE_EMPTY: pytest.approx(idle_cost)}


def test_sum_is_unknown_only_where_nothing_is_known():
    """Unknown adds nothing to what is known, and stays unknown beside unknown."""
    total = summed_costs(
        [Costs(hardware=1.0, energy=None, labour=0.0), Costs(hardware=2.0, energy=5.0, labour=0.0)]
    )

    assert total == Costs(hardware=3.0, energy=5.0, labour=0.0, other=None)


def test_month_hours_apply_to_what_is_paid_by_the_month():
    """A site that counts 720 hours a month pays 8,760 a month as 730 / 720 of 12 an hour."""
    book = PriceBook(other=BOOK.other, labour=BOOK.labour, month_hours=720)

    minute = minute_costs(book, utc_seconds=0.0, uses={State.ACTIVE: StateUse(seconds=60)})

    assert minute.costs.other == pytest.approx(0.20 * 730 / 720)
    assert minute.costs.labour == pytest.approx(0.10 * 730 / 720)


def test_first_rule_that_fits_applies():
    """Patterns are globs, tried in their order, and mind the case."""
    special = ModelRule(pattern="llama-70b", token_ratio=1.1)
    general = ModelRule(pattern="llama-*", token_ratio=1.2)
    book = PriceBook(rules=(special, general))

    assert model_rule(book, "llama-70b") is special
    assert model_rule(book, "llama-8b") is general
    assert model_rule(book, "Llama-8b").token_ratio == 1.0


def test_model_is_compared_with_the_references_of_its_rule():
    """A rule narrows the references and scales the tokens; a model without one sees all of the book."""
    book = PriceBook(
        references=(reference("haiku"), reference("mini"), reference("mini", valid_from=5.0)),
        rules=(ModelRule(pattern="llama-*", references=("mini",), token_ratio=2.0),),
    )
    million = Tokens(output_tokens=1_000_000)

    narrowed = api_costs(book, utc_seconds=9.0, model="llama-8b", tokens=million)
    everything = api_costs(book, utc_seconds=9.0, model="qwen", tokens=million)

    assert {name: cost.no_cache for name, cost in narrowed.items()} == {"mini": 2.0}
    assert {name: cost.no_cache for name, cost in everything.items()} == {"haiku": 1.0, "mini": 1.0}


def test_reference_without_a_price_at_that_time_is_left_out():
    """Before its first price an API's bill is absent, not zero."""
    book = PriceBook(references=(reference("haiku", valid_from=100.0),))

    assert api_costs(book, utc_seconds=99.0, model="", tokens=Tokens(output_tokens=1)) == {}
