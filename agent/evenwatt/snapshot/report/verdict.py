"""The verdict of a window in one sentence, honest in every case."""

import math
from collections.abc import Sequence
from enum import StrEnum

from msgspec import Struct

from evenwatt.economics.cost import Costs
from evenwatt.model import Assumption
from evenwatt.snapshot.report.comparison import Comparison
from evenwatt.units import SECONDS_PER_DAY, SECONDS_PER_HOUR, SECONDS_PER_MINUTE

__all__ = ["Outcome", "Verdict", "VerdictFacts", "verdict_on"]

LEAST_COVERAGE = 0.5
"""A window of which less was watched is not judged."""

EVEN = 0.005
"""Costs that differ by less are the same."""


_CHEAPER, _SAME, _DEARER = "cheaper than", "the same as", "dearer than"
_WORDS = (_CHEAPER, _SAME, _DEARER)


class Outcome(StrEnum):
    """What a verdict comes to; a renderer may colour by it."""

    CHEAPER = "cheaper"
    """Own tokens were cheaper than every reference."""
    DEARER = "dearer"
    """Own tokens were dearer than every reference."""
    MIXED = "mixed"
    """Cheaper than some, dearer than others."""
    UNKNOWN = "unknown"
    """A cost or a price is not known, or too little of the window was watched."""
    NO_TOKENS = "no_tokens"
    """Nothing was served."""


class Verdict(Struct, frozen=True, kw_only=True):
    """One sentence that a person reads first.

    Attributes:
        outcome: What it comes to.
        sentence: Complete, with the numbers; no markup.
        line_to_write: The line of the configuration that would make it known, where one would.
    """

    outcome: Outcome
    sentence: str
    line_to_write: str | None = None


class VerdictFacts(Struct, frozen=True, kw_only=True):
    """All that a verdict is judged by.

    Attributes:
        window: As a person says it: `2026-10`, `the last 30d`.
        watched_seconds: For how long the agent looked, within the window.
        tokens: Of all kinds.
        own_cost_per_mtok: Full.
        load_ratio: None where not known.
        comparisons: As in the report.
        assumptions: Settings that nobody wrote.
    """

    window: str
    currency: str
    simulated: bool
    coverage_ratio: float
    watched_seconds: float
    tokens: float
    costs: Costs
    own_cost_per_mtok: float | None
    load_ratio: float | None
    comparisons: Sequence[Comparison]
    assumptions: Sequence[Assumption] = ()


def verdict_on(facts: VerdictFacts) -> Verdict:
    """Return the verdict on a window."""
    found = _judged(facts)
    if not facts.simulated:
        return found
    return Verdict(
        outcome=found.outcome,
        sentence=f"SIMULATED, nothing of it was measured: {found.sentence}",
        line_to_write=found.line_to_write,
    )


def _judged(facts: VerdictFacts) -> Verdict:
    if not facts.tokens:
        return Verdict(outcome=Outcome.NO_TOKENS, sentence=_without_tokens(facts))
    told = [item for item in facts.comparisons if item.ratio is not None and item.saved is not None]
    if facts.own_cost_per_mtok is None or not told:
        return _untold(facts)
    cost = f"a million tokens cost {_unit_price(facts.own_cost_per_mtok)} {facts.currency} here"
    against = _against(facts, told)
    assumed = f"; {_assumed(facts.assumptions)}" if _assumed(facts.assumptions) else ""
    if facts.coverage_ratio < LEAST_COVERAGE:
        return Verdict(
            outcome=Outcome.UNKNOWN,
            sentence=(
                f"Too early to judge {facts.window}, of which only {_span(facts.watched_seconds)} were "
                f"watched; in that, {cost}, {against}{assumed}."
            ),
        )
    so_far = f" ({_span(facts.watched_seconds)})" if facts.watched_seconds < SECONDS_PER_DAY else ""
    return Verdict(
        outcome=_outcome(told), sentence=f"Over {facts.window}{so_far}, {cost}, {against}{assumed}."
    )


def _without_tokens(facts: VerdictFacts) -> str:
    said = f"No token was served over {facts.window}"
    if facts.costs.full is not None:
        return f"{said}; the machine cost {_money(facts.costs.full)} {facts.currency} all the same."
    known = facts.costs.known
    if not known:
        return f"{said}, and nothing is known of what the machine cost."
    return (
        f"{said}; what is known of the machine's cost came to {_money(known)} {facts.currency} all the same."
    )


def _untold(facts: VerdictFacts) -> Verdict:
    line = None
    if facts.costs.energy is None:
        reason = "energy was not measured, or not all of it had a price"
    elif facts.costs.hardware is None:
        reason = "the price of the hardware is not known for all of it"
        line = next((a.line_to_write for a in facts.assumptions if a.setting == "hardware"), None)
    elif facts.costs.full is None:
        reason = "not all of its cost is known"
    elif not facts.costs.full:
        reason = "the machine cost nothing"
    else:
        reason = "no API was compared with all of its tokens"
        line = "references: [provider:model]"
    return Verdict(
        outcome=Outcome.UNKNOWN,
        sentence=f"Whether an API would have been cheaper over {facts.window} cannot be told: {reason}.",
        line_to_write=line,
    )


def _outcome(told: Sequence[Comparison]) -> Outcome:
    dearer = [item for item in told if (item.ratio or 0.0) < 1]
    if not dearer:
        return Outcome.CHEAPER
    return Outcome.DEARER if len(dearer) == len(told) else Outcome.MIXED


def _against(facts: VerdictFacts, told: Sequence[Comparison]) -> str:
    """Say each comparison, the APIs that were dearer than we are first."""
    by_ratio = sorted(told, key=lambda item: -(item.ratio or 0.0))
    groups = {word: [item for item in by_ratio if _word(item) == word] for word in _WORDS}
    said = [
        f"{word} {_listed([_words(facts, item) for item in items])}"
        for word, items in groups.items()
        if items
    ]
    return ", ".join(said)


def _word(item: Comparison) -> str:
    ratio = item.ratio or 0.0
    if abs(ratio - 1) < EVEN:
        return _SAME
    return _CHEAPER if ratio > 1 else _DEARER


def _listed(items: Sequence[str]) -> str:
    return " and ".join((", ".join(items[:-1]), items[-1])) if len(items) > 1 else items[0]


def _words(facts: VerdictFacts, item: Comparison) -> str:
    word = _word(item)
    if word == _SAME:
        return item.reference
    saved = f"{_money(abs(item.saved or 0.0))} {facts.currency} {'saved' if word == _CHEAPER else 'lost'}"
    even = _break_even(facts, item) if word == _DEARER else ""
    return f"{item.reference} ({_share(item.ratio or 0.0)} our cost, {saved}{even})"


def _break_even(facts: VerdictFacts, item: Comparison) -> str:
    load = item.break_even_load_ratio
    if load is None:
        return ""
    if math.isinf(load):
        return "; not even at full load"
    now = "" if facts.load_ratio is None else f", now {facts.load_ratio:.0%}"
    return f"; even from {load:.0%} load{now}"


def _assumed(assumptions: Sequence[Assumption]) -> str:
    """Say which prices that the verdict stands on nobody wrote."""
    names = []
    if any(a.setting.startswith("hardware") for a in assumptions):
        names.append("hardware")
    if any(a.setting.startswith("electricity") for a in assumptions):
        names.append("electricity")
    verb = "prices are" if len(names) > 1 else "price is"
    return f"the {' and '.join(names)} {verb} assumed" if names else ""


def _span(seconds: float) -> str:
    """Return a span in its largest unit of which there are at least two."""
    for unit, length in (
        ("days", SECONDS_PER_DAY),
        ("hours", SECONDS_PER_HOUR),
        ("minutes", SECONDS_PER_MINUTE),
    ):
        if seconds >= 2 * length:
            return f"{seconds / length:,.0f} {unit}"
    return f"{seconds:.0f} seconds"


_LARGE, _SMALL = 100, 0.1


def _money(amount: float) -> str:
    if amount >= _LARGE:
        return f"{amount:,.0f}"
    return f"{amount:.2f}" if amount >= _SMALL else f"{amount:.2g}"


def _unit_price(amount: float) -> str:
    return f"{amount:,.2f}" if amount >= _SMALL else f"{amount:.3g}"


_DOUBLE, _TENFOLD = 2, 10


def _share(ratio: float) -> str:
    """Say what an API costs as a share of our own cost."""
    if ratio < _DOUBLE:
        return f"{ratio:.0%} of"
    return f"{ratio:,.0f} times" if ratio >= _TENFOLD else f"{ratio:.1f} times"
