"""The verdict in one sentence: what it says in every case, and what it refuses to say."""

import math

import pytest

from evenwatt.economics.cost import Costs
from evenwatt.model import Assumption
from evenwatt.snapshot.report.comparison import Comparison
from evenwatt.snapshot.report.verdict import Outcome, VerdictFacts, verdict_on

WHOLE = Costs(hardware=6.0, energy=3.0, labour=1.0, other=0.0)


def against(reference, bill, *, break_even=None):
    """Return a comparison of 10 spent here with a bill."""
    return Comparison(
        reference=reference,
        price_per_mtok=bill / 10,
        price_per_mtok_no_cache=bill / 10,
        api_cost=bill,
        api_cost_no_cache=bill,
        own_cost=10.0,
        ratio=bill / 10,
        ratio_no_cache=bill / 10,
        saved=bill - 10,
        saved_no_cache=bill - 10,
        break_even_load_ratio=break_even,
        break_even_mtok_per_month=None,
        payback_months=None,
        keep_saved=None,
        is_observed_cache=True,
    )


def verdict(*comparisons, **changes):
    """Return the verdict on 10 Mtok for 10."""
    told = {
        "window": "the last 30d",
        "currency": "EUR",
        "simulated": False,
        "coverage_ratio": 1.0,
        "watched_seconds": 30 * 86_400.0,
        "tokens": 10_000_000,
        "costs": WHOLE,
        "own_cost_per_mtok": 1.0,
        "load_ratio": 0.2,
        "comparisons": comparisons,
    }
    return verdict_on(VerdictFacts(**{**told, **changes}))


def test_cheaper_says_by_how_much():
    """An API that would have taken 25 for what cost 10."""
    found = verdict(against("api", 25.0))

    assert found.outcome is Outcome.CHEAPER
    assert found.sentence == (
        "Over the last 30d, a million tokens cost 1.00 EUR here, "
        "cheaper than api (2.5 times our cost, 15.00 EUR saved)."
    )


def test_dearer_says_what_was_lost_and_from_where_on_it_pays():
    """An API that would have taken 4, with a break-even at 50 % load."""
    found = verdict(against("api", 4.0, break_even=0.5))

    assert found.outcome is Outcome.DEARER
    assert found.sentence.endswith(
        "dearer than api (40% of our cost, 6.00 EUR lost; even from 50% load, now 20%)."
    )


@pytest.mark.parametrize(
    ("break_even", "load", "said"),
    [
        (math.inf, 0.2, "lost; not even at full load)."),
        (0.5, None, "lost; even from 50% load)."),
        (None, 0.2, "6.00 EUR lost)."),
    ],
    ids=["never", "load not known", "break-even not known"],
)
def test_break_even_is_said_as_far_as_it_is_known(break_even, load, said):
    """Never is said, and nothing is said of what is not known."""
    assert verdict(against("api", 4.0, break_even=break_even), load_ratio=load).sentence.endswith(said)


def test_mixed_verdicts_group_what_they_say():
    """Cheaper ones first; two dearer ones share their word; what is the same is neither."""
    found = verdict(against("a", 4.0), against("b", 9.0), against("c", 15.0), against("d", 10.01))

    assert found.outcome is Outcome.MIXED
    assert found.sentence.endswith(
        "here, cheaper than c (150% of our cost, 5.00 EUR saved), the same as d, dearer than b (90% of our "
        "cost, 1.00 EUR lost) and a (40% of our cost, 6.00 EUR lost)."
    )


def test_no_tokens_still_cost():
    """A window without a token has no unit cost, and says what the machine cost all the same."""
    found = verdict(tokens=0, own_cost_per_mtok=None)
    part = verdict(tokens=0, own_cost_per_mtok=None, costs=Costs(energy=3.0))
    nothing = verdict(tokens=0, own_cost_per_mtok=None, costs=Costs())

    assert found.outcome is Outcome.NO_TOKENS
    assert found.sentence == (
        "No token was served over the last 30d; the machine cost 10.00 EUR all the same."
    )
    assert "what is known of the machine's cost came to 3.00 EUR" in part.sentence
    assert "nothing is known" in nothing.sentence


@pytest.mark.parametrize(
    ("changes", "reason", "line"),
    [
        ({"costs": Costs(energy=3.0)}, "price of the hardware", "hardware: {purchase_price: PRICE}"),
        ({"costs": Costs(hardware=3.0)}, "energy was not measured, or not all", None),
        ({"costs": Costs(hardware=3.0, energy=1.0)}, "not all of its cost", None),
        (
            {"costs": Costs(hardware=0.0, energy=0.0, labour=0.0, other=0.0), "own_cost_per_mtok": 0.0},
            "cost nothing",
            None,
        ),
        ({"own_cost_per_mtok": 1.0}, "no API was compared", "references: [provider:model]"),
    ],
    ids=["no hardware price", "no energy", "a part", "free", "no reference"],
)
def test_what_cannot_be_told_says_why(changes, reason, line):
    """The reason is named, and the line of the configuration that would help."""
    assumed = Assumption(setting="hardware", text="", line_to_write="hardware: {purchase_price: PRICE}")
    found = verdict(**{"own_cost_per_mtok": None, "assumptions": (assumed,), **changes})

    assert found.outcome is Outcome.UNKNOWN
    assert "cannot be told" in found.sentence
    assert reason in found.sentence
    assert found.line_to_write == line


def test_too_little_watched_is_no_verdict():
    """Of a window that was hardly watched, only what was seen is told."""
    found = verdict(against("api", 25.0), coverage_ratio=0.1, watched_seconds=40.0)

    assert found.outcome is Outcome.UNKNOWN
    assert found.sentence.startswith(
        "Too early to judge the last 30d, of which only 40 seconds were watched; in that, "
    )


@pytest.mark.parametrize(
    ("seconds", "words"), [(43, "43 seconds"), (600, "10 minutes"), (7_200, "2 hours"), (86_000, "24 hours")]
)
def test_less_than_a_day_is_told(seconds, words):
    """A verdict on the whole of a short history says how short it is."""
    found = verdict(against("api", 25.0), window="the whole history", watched_seconds=seconds)

    assert found.sentence.startswith(f"Over the whole history ({words}), a million tokens cost ")


def test_assumed_prices_are_named():
    """A verdict that stands on prices nobody wrote says so."""
    assumptions = [
        Assumption(setting=setting, text="", line_to_write="")
        for setting in ("electricity.price_per_kwh", "hardware", "references")
    ]

    both = verdict(against("api", 25.0), assumptions=assumptions)
    one = verdict(against("api", 25.0), assumptions=assumptions[:1])

    assert both.sentence.endswith("; the hardware and electricity prices are assumed.")
    assert one.sentence.endswith("; the electricity price is assumed.")


def test_simulated_says_so_itself():
    """The sentence may be quoted alone: it says that nothing was measured."""
    assert verdict(against("api", 25.0), simulated=True).sentence.startswith("SIMULATED, nothing")


def test_small_money_keeps_its_digits():
    """Less than a cent is not shown as nothing, and thousands are grouped."""
    found = verdict(against("api", 100_000.0), own_cost_per_mtok=0.00123)

    assert "cost 0.00123 EUR" in found.sentence
    assert "10,000 times our cost, 99,990 EUR saved" in found.sentence
