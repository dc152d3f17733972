"""A plan for programs: JSON, and the curve as CSV.

What is never reached, or cannot be known, is null; the word beside it says which of the two.
"""

import csv
import io
import json
import math
from typing import Any

from msgspec import to_builtins

from evenwatt.economics.cost import Costs
from evenwatt.economics.planning import BreakEven
from evenwatt.sinks.plan.words import verdict
from evenwatt.snapshot.plan import PlannedReference, PlanView

__all__ = ["render_csv", "render_json"]


def render_json(view: PlanView) -> str:
    """Return the whole plan as a JSON document."""
    document = {
        "verdict": verdict(view),
        "currency": view.currency,
        "month_hours": view.month_hours,
        "token_base": "total",
        "machine": _machine(view),
        "mix": {"input_share": view.input_share, "cached_share": view.cached_share},
        "cost_per_hour": {"no_load": _costs(view.idle_hour), "full_load": _costs(view.full_hour)},
        "cost_per_month": {"no_load": _costs(view.idle_month), "full_load": _costs(view.full_month)},
        "missing": view.missing,
        "curve": [
            {
                "load": point.load,
                "cost_per_mtok": point.costs_per_mtok.known,
                **to_builtins(point.costs_per_mtok),
            }
            for point in view.curve
        ],
        "break_even": [_reference(view, reference) for reference in view.references],
        "planned": _planned(view),
        "assumptions": [to_builtins(assumption) for assumption in view.assumptions],
        "notes": view.notes,
    }
    return json.dumps(document, indent=2, allow_nan=False)


def render_csv(view: PlanView) -> str:
    """Return the curve as CSV, with the price of each API beside it; a cell that is not known is empty."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    names = [f"price_per_mtok {_plain(reference.name)}" for reference in view.references]
    writer.writerow(
        ["load", "mtok_per_month", "cost_per_mtok", "hardware", "energy", "labour", "other", *names]
    )
    prices = [reference.cached.price_per_mtok for reference in view.references]
    for point in view.curve:
        costs = point.costs_per_mtok
        parts = (costs.known, costs.hardware, costs.energy, costs.labour, costs.other)
        volume = view.most_mtok_per_month * point.load
        writer.writerow(map(_cell, (point.load, volume, *parts, *prices)))
    return text.getvalue()


def _machine(view: PlanView) -> dict[str, Any]:
    power = view.power
    return {
        "about": view.machine,
        "preset": view.preset,
        "capacity_tokens_per_second": view.capacity_tokens_per_second,
        "mtok_per_hour": view.mtok_per_hour,
        "most_mtok_per_month": view.most_mtok_per_month,
        "idle_watts": None if power is None else power.idle_watts,
        "full_watts": None if power is None else power.full_watts,
        "price_per_kwh": view.price_per_kwh,
        "lifetime_months": view.lifetime_months,
    }


def _reference(view: PlanView, reference: PlannedReference) -> dict[str, Any]:
    return {
        "reference": reference.name,
        **_break_even(view, reference.cached),
        "no_cache": _break_even(view, reference.no_cache),
        "batch": None if reference.batch is None else _break_even(view, reference.batch),
        "note": reference.note,
    }


def _break_even(view: PlanView, found: BreakEven) -> dict[str, Any]:
    return {
        "price_per_mtok": found.price_per_mtok,
        "outcome": "never" if math.isinf(found.load) else "from load",
        "load": _finite(found.load),
        "mtok_per_month": _finite(found.mtok_per_month),
        "payback": _payback_outcome(view, found),
        "payback_months": _finite(found.payback_months),
        "keep_or_switch": _keep_outcome(view, found.keep_or_switch_load),
        "keep_or_switch_load": _finite(found.keep_or_switch_load),
        "ratio": found.ratio,
    }


def _keep_outcome(view: PlanView, load: float | None) -> str:
    if load is None:
        return "electricity not known" if view.power is None else "nothing bought"
    return "never" if math.isinf(load) else "from load"


def _payback_outcome(view: PlanView, found: BreakEven) -> str:
    if found.payback_months is None:
        if view.demand is None:
            return "no volume planned"
        return "electricity not known" if view.power is None else "nothing bought"
    if math.isinf(found.payback_months):
        return "never"
    life = view.lifetime_months
    return "after its lifetime" if life is not None and found.payback_months > life else "after months"


def _planned(view: PlanView) -> dict[str, Any] | None:
    demand, costs, month, year = view.demand, view.demand_costs_per_mtok, view.month, view.year
    if demand is None or costs is None or month is None or year is None:
        return None
    return {
        **to_builtins(demand),
        "feasible": demand.is_feasible,
        "load_of_each": demand.load_of_each,
        "cost_per_mtok": costs.known,
        "costs_per_mtok": to_builtins(costs),
        "month": _costs(month),
        "year": _costs(year),
        "api_month": {r.name: r.cached.price_per_mtok * demand.mtok_per_month for r in view.references},
    }


def _costs(costs: Costs) -> dict[str, float | None]:
    return {**to_builtins(costs), "known": costs.known}


def _cell(value: float | None) -> str:
    return "" if value is None else f"{value:.10g}"


def _finite(value: float | None) -> float | None:
    return None if value is None or math.isinf(value) else value


def _plain(name: str) -> str:
    # A spreadsheet takes what begins like this for a formula; a name is only a name.
    return name if name[:1] not in "=+-@\t\r" else f"'{name}"
