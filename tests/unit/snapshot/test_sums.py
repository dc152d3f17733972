"""A tick that is not written yet is added to sums as the history would add it."""

import pytest
from msgspec import to_builtins

from evenwatt.ledger import SourceTotals
from evenwatt.snapshot import ApiBill, Money, Sums, sums_with, tokens_of
from evenwatt.snapshot.sums import total_money
from sink_fixtures import HOUR, MINUTE, idle, served, sums_of, tick


def test_ticks_add_up():
    """Two minutes of a model are one row; what only one of them knows is known."""
    sums = sums_of({(HOUR, "chat", "small"): served(), (HOUR + MINUTE, "chat", "small"): idle()})

    usage = sums.usage["chat", "small"]
    assert (usage.input_tokens, usage.active_joules, usage.idle_loaded_joules) == (
        1_000_000,
        6_000.0,
        1_200.0,
    )
    assert sums.money["chat", "small"].hardware == pytest.approx(0.12)
    assert sums.money["chat", "small"].energy == pytest.approx(0.00072)
    assert sums.money["chat", "small"].idle_loaded == pytest.approx(0.06 + 0.00012)
    assert sums.host.seconds == 120.0
    assert sums.gpus["GPU-a"].energy_joules == 12_000.0


def test_bills_say_for_how_many_tokens_they_are():
    """A bill with the observed cache is only for the tokens whose hits were told."""
    sums = sums_of({(HOUR, "chat", "small"): served(), (HOUR + MINUTE, "chat", "small"): served(cached=None)})

    assert sums.api["chat", "small", "flat"] == ApiBill(
        tokens=2_700_000,
        no_cache=pytest.approx(2.0 + 1.5),
        observed_tokens=1_600_000,
        observed_cache=pytest.approx(1.0 + 0.05 + 0.5),
    )


def test_nothing_that_is_added_is_changed():
    """Sums and ticks are left as they were: both are used again when a write failed."""
    priced = tick({(HOUR, "chat", "small"): served()}, sources={"chat": SourceTotals(restarts=1)})
    before = sums_with(Sums(), priced)
    kept = to_builtins(before), to_builtins(priced.posting)
    after = sums_with(before, priced)

    assert after.usage["chat", "small"].input_tokens == 2_000_000
    assert (to_builtins(before), to_builtins(priced.posting)) == kept


def test_a_row_without_a_price_costs_what_nobody_knows():
    """Money of which nothing is known is None in each part, and so is the sum of several."""
    assert total_money([]) == Money()
    assert total_money([Money(), Money()]) == Money()
    assert total_money([Money(energy=1.0), Money(energy=2.0, labour=0.0)]) == Money(energy=3.0, labour=0.0)


def test_tokens_that_nobody_told_apart_stay_unknown():
    """A row without tokens has none; cached ones are only known where they were told."""
    assert tokens_of(idle()).total_tokens == 0
    assert tokens_of(idle()).cached_input_tokens is None
    assert tokens_of(served(cached=0)).cached_input_tokens == 0
