"""What a window says: from sums alone, and only where everything it needs is known."""

import math

import pytest
from msgspec.structs import replace

from evenwatt.economics.capacity import Capacity, CapacitySource
from evenwatt.economics.effective import Basis, TokenBase
from evenwatt.economics.tariffs import Tariff
from evenwatt.ledger import Usage
from evenwatt.snapshot import ALL, Sums, sums_with, window_view
from sink_fixtures import FLAT, HOUR, MINUTE, book_with, idle, rule, served, sums_of, tick

FULL_TOTAL = (Basis.FULL, TokenBase.TOTAL)
SMALL = (HOUR, "chat", "small")
LARGE = (HOUR + MINUTE, "chat", "large")
NOBODY = (HOUR, "unallocated", "")


def view_of(sums, *, seconds=3_600.0, **capacities):
    """Return the window of some sums; a capacity that is a number is a configured one."""
    known = {
        engine: capacity
        if isinstance(capacity, Capacity)
        else Capacity(tokens_per_second=capacity, source=CapacitySource.CONFIGURED)
        for engine, capacity in capacities.items()
    }
    return window_view(sums, name="1h", start_utc_seconds=float(HOUR), seconds=seconds, capacities=known)


def labels(view):
    """Return whose rows a window has."""
    return [(row.engine, row.model) for row in view.rows]


def test_a_window_without_anything_has_the_machine_alone():
    """Where nothing happened there are no tokens, no cost per token, and nothing to compare with."""
    view = view_of(Sums())
    row = view.row()

    assert labels(view) == [(ALL, ALL)]
    assert row.cost_per_mtok == {}
    assert row.money.costs.full is None
    assert row.load_ratio is None
    assert row.references == ()
    assert view.coverage_ratio == 0.0
    assert view.row("chat") is None


def test_rows_are_models_engines_and_the_machine():
    """What no engine used has no row of its own and is in the machine's."""
    view = view_of(sums_of({SMALL: served(), LARGE: idle(), NOBODY: idle()}))

    assert labels(view) == [("chat", "large"), ("chat", "small"), ("chat", ALL), (ALL, ALL)]
    assert view.row("chat").money.hardware == pytest.approx(0.12)
    assert view.row().money.hardware == pytest.approx(0.18)
    assert view.row().usage.idle_loaded_joules == 2_400.0


def test_idle_cost_is_in_the_cost_of_a_token():
    """The engine's tokens carry the minutes in which it served none."""
    view = view_of(sums_of({SMALL: served(), (HOUR + MINUTE, "chat", "small"): idle()}))

    cost = view.row("chat", "small").cost_per_mtok
    assert cost[FULL_TOTAL] == pytest.approx((0.12 + 0.00072) / 1.6)
    assert cost[Basis.ENERGY, TokenBase.OUTPUT] == pytest.approx(0.00072 / 0.1)


def test_an_unknown_part_makes_the_whole_unknown():
    """Without a known energy there is no full cost per token; the energy's own is left out too."""
    joules = {"active_joules": None}
    row = view_of(sums_of({SMALL: served(**joules)})).row("chat")

    assert row.money.costs.hardware == pytest.approx(0.06)
    assert row.cost_per_mtok == {}
    assert row.references[0].ratio is None
    assert row.references[0].price_per_mtok is not None


def test_both_bounds_of_an_api_are_shown():
    """The observed cache is compared with; the price without one stands beside it."""
    (reference,) = view_of(sums_of({SMALL: served()})).row("chat").references

    assert reference.price_per_mtok == pytest.approx(1.55 / 1.6)
    assert reference.price_per_mtok_no_cache == pytest.approx(2.0 / 1.6)
    assert reference.ratio == pytest.approx(1.55 / 0.0606)


@pytest.mark.parametrize(
    "rows",
    [
        {SMALL: served(cached=None)},
        {SMALL: served(), (HOUR + MINUTE, "chat", "small"): served(cached=None)},
    ],
    ids=["never told", "not told at first"],
)
def test_cache_hits_that_were_not_all_told_are_compared_without(rows):
    """A bill with the observed cache for a part of a model's tokens is not the bill for all of them."""
    (reference,) = view_of(sums_of(rows)).row("chat").references

    assert reference.price_per_mtok == reference.price_per_mtok_no_cache


def test_cache_hits_count_for_the_models_that_tell_them():
    """One model that does not tell its hits takes nothing from those of another."""
    (reference,) = view_of(sums_of({SMALL: served(), LARGE: served(cached=None)})).row("chat").references

    assert reference.price_per_mtok == pytest.approx((1.55 + 1.5) / 2.7)
    assert reference.price_per_mtok_no_cache == pytest.approx((2.0 + 1.5) / 2.7)


def test_a_hardware_price_that_came_midway_leaves_the_full_cost_out():
    """What was priced for a part of the window is not the hardware cost of all of it."""
    unpriced = replace(book_with(FLAT), hardware=None)
    before = sums_of({SMALL: served()}, book=unpriced)
    row = view_of(sums_with(before, tick({(HOUR + MINUTE, "chat", "small"): served()}))).row("chat")

    assert row.money.hardware == pytest.approx(0.06)
    assert row.money.unpriced_seconds == pytest.approx(60.0)
    assert (Basis.FULL, TokenBase.TOTAL) not in row.cost_per_mtok
    assert (Basis.ENERGY, TokenBase.TOTAL) in row.cost_per_mtok


def test_an_electricity_price_that_came_midway_leaves_the_energy_cost_out():
    """Energy without a price is not free: what was priced for a part of it is not the cost of all of it."""
    unpriced = replace(book_with(FLAT), tariff=Tariff(prices=()))
    before = sums_of({SMALL: served()}, book=unpriced)
    row = view_of(sums_with(before, tick({(HOUR + MINUTE, "chat", "small"): served()}))).row("chat")

    assert row.money.energy == pytest.approx(0.0006)
    assert row.money.unpriced_joules == 6_000.0
    assert row.money.whole_costs.energy is None
    assert row.money.whole_costs.hardware == pytest.approx(0.12)
    assert not row.cost_per_mtok


def test_an_api_that_one_model_was_not_compared_with_is_left_out_of_the_sum():
    """A model's own comparison stands; the engine's and the machine's need all that was served."""
    book = book_with(FLAT, rules=(rule("large", references=()),))
    view = view_of(sums_of({SMALL: served(), LARGE: served()}, book=book))

    assert [reference.reference for reference in view.row("chat", "small").references] == ["flat"]
    assert view.row("chat", "large").references == ()
    assert view.row("chat").references == ()
    assert view.row().references == ()


def test_a_model_that_served_nothing_does_not_stand_in_the_way():
    """Idle models and what no engine used have no tokens to price."""
    view = view_of(sums_of({SMALL: served(), LARGE: idle(), NOBODY: idle()}))

    assert [reference.reference for reference in view.row().references] == ["flat"]
    assert view.row("chat", "large").references == ()


def test_an_api_that_came_later_is_left_out():
    """A bill for a part of the window's tokens is no bill for the window."""
    compared = sums_of({SMALL: served()})
    uncompared = sums_of({SMALL: served(), LARGE: served()}, book=book_with())

    both = Sums(usage=uncompared.usage, money=uncompared.money, api=compared.api, host=uncompared.host)
    assert len(view_of(both).row("chat", "small").references) == 1
    assert view_of(both).row("chat").references == ()


def test_load_and_break_even():
    """An hour with one busy minute at capacity is a load of a sixtieth; the break-even follows from it."""
    rows = {SMALL: served(read=500_000, wrote=100_000, cached=0)}
    rows |= {(HOUR + number * MINUTE, "chat", "small"): idle() for number in range(1, 60)}
    row = view_of(sums_of(rows), chat=10_000.0).row("chat")
    (reference,) = row.references

    assert row.load_ratio == pytest.approx(1 / 60)
    fixed = 3.6 + 0.0072
    at_full_load = 36.0 * (1.0 / 0.6)
    margin = at_full_load - (0.00768 - 0.0072) * 60
    assert reference.break_even_load_ratio == pytest.approx(fixed / margin, rel=1e-3)


def test_never_is_an_answer():
    """Where even full load costs more than the API, no load pays."""
    rows = {SMALL: served(read=1_000, wrote=0, cached=0)}
    row = view_of(sums_of(rows), chat=100.0).row("chat")

    assert row.references[0].break_even_load_ratio == math.inf


def test_a_load_by_the_most_that_was_seen_is_an_upper_bound():
    """An engine that may do more has at most this load, and a never beyond what was seen is not known."""
    rows = {SMALL: served(read=500_000, wrote=100_000, cached=0)}
    rows |= {(HOUR + number * MINUTE, "chat", "small"): idle() for number in range(1, 60)}
    seen = Capacity(tokens_per_second=10_000.0, source=CapacitySource.PEAK_SEEN, is_lower_bound=True)
    small = replace(seen, tokens_per_second=300.0)
    bounded = view_of(sums_of(rows), chat=seen).row("chat")
    open_ended = view_of(sums_of(rows), chat=small).row("chat")

    assert bounded.load_is_upper_bound
    assert bounded.load_ratio == pytest.approx(1 / 60)
    assert 0 < bounded.references[0].break_even_load_ratio < 1
    assert view_of(sums_of(rows), chat=300.0).row("chat").references[0].break_even_load_ratio == math.inf
    assert open_ended.references[0].break_even_load_ratio is None


def test_never_is_sure_where_each_token_costs_more_electricity_than_the_api_takes():
    """No load helps there, however much the engine may do."""
    seen = Capacity(tokens_per_second=100.0, source=CapacitySource.PEAK_SEEN, is_lower_bound=True)
    rows = {
        SMALL: served(read=10, wrote=0, cached=0),
        (HOUR + MINUTE, "chat", "small"): idle(),
    }
    row = view_of(sums_of(rows), chat=seen).row("chat")

    assert row.references[0].break_even_load_ratio == math.inf


def test_phases_split_the_cost():
    """A minute with a quarter of its time in prefill: that much for the input, the rest for output."""
    rows = {SMALL: served(read=500_000, wrote=100_000, cached=0, prefill_seconds=20.0, decode_seconds=60.0)}
    row = view_of(sums_of(rows)).row("chat")
    cost = row.money.whole_costs.full

    assert row.input_cost_per_mtok == pytest.approx(cost * 0.25 / 0.5)
    assert row.output_cost_per_mtok == pytest.approx(cost * 0.75 / 0.1)
    assert view_of(sums_of(rows)).row().input_cost_per_mtok is None
    assert view_of(sums_of({SMALL: served()})).row("chat").output_cost_per_mtok is None


def test_without_a_capacity_there_is_no_load():
    """An unknown capacity makes the load unknown, not 100 %, and the break-even load with it."""
    row = view_of(sums_of({SMALL: served()})).row("chat")

    assert row.load_ratio is None
    assert row.references[0].break_even_load_ratio is None
    assert row.references[0].ratio is not None


def test_a_model_has_a_load_where_no_other_was_served():
    """The engine's capacity is that of the one model in use; of several none has a load of its own."""
    alone = view_of(sums_of({SMALL: served(), LARGE: idle()}), chat=50_000.0)
    together = view_of(sums_of({SMALL: served(), LARGE: served()}), chat=50_000.0)

    assert alone.row("chat", "small").load_ratio == alone.row("chat").load_ratio
    assert alone.row("chat", "large").load_ratio is None
    assert together.row("chat", "small").load_ratio is None
    assert together.row("chat").load_ratio == pytest.approx(2 * alone.row("chat").load_ratio)
    assert together.row().load_ratio is None


def test_a_model_named_like_the_sum_has_no_row_of_its_own():
    """A label stands for one row, whatever an engine calls its model."""
    view = view_of(sums_of({(HOUR, "chat", ALL): served(), SMALL: served()}))

    assert labels(view) == [("chat", "small"), ("chat", ALL), (ALL, ALL)]
    assert view.row("chat").tokens.output_tokens == 200_000


@pytest.mark.parametrize(
    ("seconds", "estimated", "coverage"),
    [(120.0, 0.0, 0.5), (60.0, 15.0, 0.75), (30.0, 0.0, 1.0), (0.0, 0.0, 0.0)],
)
def test_coverage_is_what_was_watched(seconds, estimated, coverage):
    """The share of the window in which the agent looked: not before it began, nor while it was away."""
    sums = sums_of({SMALL: served()}, estimated_seconds=estimated)

    assert view_of(sums, seconds=seconds).coverage_ratio == pytest.approx(coverage)


def test_flags_show_in_the_sum():
    """A row that holds an estimate says so."""
    view = view_of(sums_of({SMALL: served(estimated=1), LARGE: Usage(restarted=1)}))

    assert (view.row("chat").usage.estimated, view.row("chat").usage.restarted) == (1, 1)
