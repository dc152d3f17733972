"""Numbers of a plan in words, and the one sentence that it comes to."""

import math
from collections.abc import Sequence

from evenwatt.snapshot.plan import PlannedReference, PlanView

__all__ = ["load_words", "money", "verdict", "volume_words"]

_SIGNIFICANT = 4
_MOST_DECIMALS = 6
_LEAST_PERCENT = 0.001


def money(value: float) -> str:
    """Return an amount with four significant digits, and never fewer than its whole units."""
    if not value:
        return "0"
    decimals = _SIGNIFICANT - 1 - math.floor(math.log10(abs(value)))
    return f"{value:,.{min(max(decimals, 0), _MOST_DECIMALS)}f}"


def load_words(load: float) -> str:
    """Return a load in percent, or the word never."""
    if math.isinf(load):
        return "never"
    return "<0.1%" if 0 < load < _LEAST_PERCENT else f"{load:.1%}"


def volume_words(mtok: float) -> str:
    """Return a volume in Mtok, or the word never."""
    return "never" if math.isinf(mtok) else money(mtok)


def verdict(view: PlanView) -> str:
    """Return the plan in one sentence: what a million tokens cost, and which APIs that is less than."""
    body = _by_load(view) if view.demand is None else _at_demand(view)
    if not view.missing:
        return body[0].upper() + body[1:]
    return f"Without {' and '.join(view.missing)}, which is not known: {body}"


def _by_load(view: PlanView) -> str:
    reached = sorted(
        (reference for reference in view.references if math.isfinite(reference.cached.load)),
        key=lambda reference: reference.cached.load,
    )
    never = [reference.name for reference in view.references if math.isinf(reference.cached.load)]
    if not view.references:
        full = f"{money(view.full_hour.known or 0.0)} {view.currency} an hour at full load"
        return f"the machine costs {full}; there is no API to compare it with."
    parts = [
        f"than {reference.name} from {load_words(reference.cached.load)} load "
        f"({volume_words(reference.cached.mtok_per_month)} Mtok a month)"
        for reference in reached
    ]
    if not reached:
        return (
            f"at no load is the machine cheaper than {_listed(never)}: even at full load an API costs less."
        )
    ending = f"; never than {_listed(never)}" if never else ""
    return f"the machine is cheaper {_listed(parts)}{ending}."


def _at_demand(view: PlanView) -> str:
    demand, costs = view.demand, view.demand_costs_per_mtok
    if demand is None or costs is None:
        return _by_load(view)
    cost = costs.known or 0.0
    where = (
        f"{money(demand.mtok_per_month)} Mtok a month are above capacity: they take {demand.machines} "
        f"machines at {load_words(demand.load_of_each)} load, and then"
        if not demand.is_feasible
        else f"at {load_words(demand.load)} load ({money(demand.mtok_per_month)} Mtok a month)"
    )
    beaten = [r for r in view.references if r.cached.price_per_mtok > cost]
    dearer = [r for r in view.references if r.cached.price_per_mtok <= cost]
    parts = []
    if beaten:
        parts.append(f"less than {_listed(list(map(_priced, beaten)))}")
    if dearer:
        parts.append(f"not less than {_listed(list(map(_priced_with_way_out, dearer)))}")
    compared = f", {' but '.join(parts)}" if parts else ""
    return f"{where} a million tokens cost {money(cost)} {view.currency}{compared}."


def _priced(reference: PlannedReference) -> str:
    return f"{reference.name} ({money(reference.cached.price_per_mtok)})"


def _priced_with_way_out(reference: PlannedReference) -> str:
    price, load = money(reference.cached.price_per_mtok), reference.cached.load
    way_out = "never reached" if math.isinf(load) else f"reached at {load_words(load)} load"
    return f"{reference.name} ({price}, {way_out})"


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
