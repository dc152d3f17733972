"""A plan in a terminal: the verdict first, then how it comes about, then what nobody has said."""

import math
import string
from collections.abc import Iterator, Sequence
from itertools import chain, repeat
from typing import TYPE_CHECKING

from evenwatt.economics.planning import BreakEven
from evenwatt.sinks.curve.geometry import curve_of
from evenwatt.sinks.curve.terminal import LABEL_DISTANCE, curve_lines
from evenwatt.sinks.plan.words import load_words, money, verdict, volume_words
from evenwatt.sinks.tables import plain_console, print_table
from evenwatt.sinks.words import UNKNOWN, clean
from evenwatt.snapshot.plan import PlannedReference, PlanView

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["print_plan"]

_Lettered = Sequence[tuple[str, PlannedReference]]
"""References with the letters that they go by in tables and picture."""

_COMPONENTS = ("hardware", "energy", "labour", "other")
_NARROWEST_CHART = 50
_WIDEST_CHART = 100


def print_plan(view: PlanView) -> None:
    """Print a plan; without a terminal the same text, without colours."""
    console = plain_console()
    console.print(verdict(view), style="bold")
    if view.assumptions:
        console.print(f"{len(view.assumptions)} values are assumed; what makes them true is at the end.")
    console.print()
    # Beyond the alphabet a name has no letter of its own; the table still has the name.
    letters = chain(string.ascii_uppercase, repeat("+"))
    lettered = tuple(zip(letters, view.references, strict=False))
    _print_curve(console, view, lettered)
    _print_chart(console, view, lettered)
    _print_break_even(console, view, lettered)
    _print_demand(console, view)
    _print_planned(console, view, lettered)
    _print_bill(console, view)
    _print_inputs(console, view)


def _print_curve(console: "Console", view: PlanView, lettered: _Lettered) -> None:
    shown = _shown_components(view)
    points = [(load_words(point.load), point.load, point.costs_per_mtok) for point in view.curve]
    if view.demand is not None and view.demand_costs_per_mtok is not None:
        load = view.demand.load_of_each
        points.append((f"{load_words(load)} planned", load, view.demand_costs_per_mtok))
    columns = ("load", "Mtok/month", "per Mtok", *map(_component_words, shown), "cheaper than")
    rows = [
        (
            label,
            money(view.most_mtok_per_month * load),
            money(costs.known or 0.0),
            *(_amount(getattr(costs, component)) for component in shown),
            _beaten(costs.known or 0.0, lettered),
        )
        for label, load, costs in points
    ]
    print_table(console, columns, rows, text_columns={"cheaper than"})


def _beaten(cost_per_mtok: float, lettered: _Lettered) -> str:
    """Return the letters of the APIs that cost more."""
    dearer = [letter for letter, r in lettered if cost_per_mtok < r.cached.price_per_mtok]
    return "".join(dearer) or "none"


def _print_chart(console: "Console", view: PlanView, lettered: _Lettered) -> None:
    if console.width < _NARROWEST_CHART:
        return
    idle, full = view.idle_hour.known or 0.0, view.full_hour.known or 0.0
    curve = curve_of(
        fixed_cost_per_hour=idle,
        load_cost_per_hour=full - idle,
        mtok_per_hour=view.mtok_per_hour,
        observed=_planned_point(view),
        prices=[
            (f"{letter} {clean(reference.name)}", reference.cached.price_per_mtok, reference.cached.load)
            for letter, reference in lettered
        ],
        label_distance=LABEL_DISTANCE,
    )
    if curve is None:
        return
    plot, legend = curve_lines(
        curve,
        currency=view.currency,
        observed="as planned",
        encoding=console.encoding,
        width=min(console.width, _WIDEST_CHART),
    )
    for line in plot:
        console.print(line, no_wrap=True, crop=True)
    for line in legend:
        console.print(line)
    if plot:
        console.print()


def _planned_point(view: PlanView) -> tuple[float, float] | None:
    if view.demand is None or view.demand_costs_per_mtok is None:
        return None
    return view.demand.load_of_each, view.demand_costs_per_mtok.known or 0.0


def _print_break_even(console: "Console", view: PlanView, lettered: _Lettered) -> None:
    has_purchase = any(r.cached.keep_or_switch_load is not None for r in view.references)
    columns = ["own is cheaper than", "per Mtok", "from load", "Mtok/month"]
    columns += ["if paid for"] if has_purchase else []
    rows = []
    for label, found in _all_scenarios(view, lettered):
        cells = [label, money(found.price_per_mtok), load_words(found.load)]
        cells.append(volume_words(found.mtok_per_month))
        if found.keep_or_switch_load is not None:
            cells.append(load_words(found.keep_or_switch_load))
        rows.append(tuple(cells))
    print_table(console, tuple(columns), rows)


def _print_planned(console: "Console", view: PlanView, lettered: _Lettered) -> None:
    if view.demand is None or view.month is None:
        return
    own = money(view.month.known or 0.0)
    has_payback = any(r.cached.payback_months is not None for r in view.references)
    columns = ["as planned, a month", "API", "own", "API/own", *(["pays back"] if has_payback else [])]
    rows = []
    for label, found in _all_scenarios(view, lettered):
        bill = money(found.price_per_mtok * view.demand.mtok_per_month)
        payback = (_months(found.payback_months),) if has_payback else ()
        rows.append((label, bill, own, _amount(found.ratio), *payback))
    print_table(console, tuple(columns), rows)
    _print_late_payback(console, view, lettered)


def _print_late_payback(console: "Console", view: PlanView, lettered: _Lettered) -> None:
    life = view.lifetime_months
    paybacks = [found.payback_months or 0.0 for _, found in _all_scenarios(view, lettered)]
    if life is not None and any(life < months < math.inf for months in paybacks):
        console.print(f"Written off over {life:g} months: what takes longer does not pay back.")
        console.print()


def _all_scenarios(view: PlanView, lettered: _Lettered) -> Iterator[tuple[str, BreakEven]]:
    for letter, reference in lettered:
        yield from _scenarios(view, reference, letter)


def _scenarios(view: PlanView, reference: PlannedReference, letter: str) -> Iterator[tuple[str, BreakEven]]:
    yield f"{letter} {clean(reference.name)}", reference.cached
    if view.cached_share and reference.no_cache != reference.cached:
        yield "    if its cache hits nothing", reference.no_cache
    if reference.batch is not None:
        yield "    at its batch price", reference.batch


def _print_demand(console: "Console", view: PlanView) -> None:
    demand, capacity = view.demand, view.capacity_tokens_per_second
    if demand is None:
        return
    asked = f"{money(demand.tokens_per_second)} of {money(capacity)} tokens a second, averaged over the day"
    if demand.is_feasible:
        console.print(f"Capacity: {asked}: within capacity, {load_words(demand.load)} load.")
    else:
        console.print(
            f"Above capacity: {asked}. One machine serves {money(view.most_mtok_per_month)} Mtok a month at "
            f"most; {demand.machines} are needed, and the planned bill is for all of them.",
            style="bold yellow",
        )
    console.print()


def _print_bill(console: "Console", view: PlanView) -> None:
    month = f"month of {view.month_hours:g} h"
    bills = [
        ("hour, no load", view.idle_hour),
        ("hour, full load", view.full_hour),
        (f"{month}, no load", view.idle_month),
        (f"{month}, full load", view.full_month),
    ]
    if view.month is not None and view.year is not None:
        bills += [(f"{month}, planned", view.month), ("year, planned", view.year)]
    columns = (f"bill in {view.currency}", *map(_component_words, _COMPONENTS), "together")
    rows = [
        (label, *(_amount(getattr(costs, name)) for name in _COMPONENTS), _amount(costs.known))
        for label, costs in bills
    ]
    print_table(console, columns, rows)


def _print_inputs(console: "Console", view: PlanView) -> None:
    from rich.padding import Padding  # noqa: PLC0415 -- see plain_console
    from rich.text import Text  # noqa: PLC0415

    for line in _inputs(view):
        console.print(clean(line))
    for note in (*view.notes, *(f"{r.name}: {r.note}." for r in view.references if r.note)):
        console.print(clean(note), style="dim")
    for assumption in view.assumptions:
        console.print(f"not written: {clean(assumption.text)}")
        written = Text(f"to make it true: {clean(assumption.line_to_write)}", style="dim")
        console.print(Padding(written, (0, 0, 0, 4)))


def _inputs(view: PlanView) -> Iterator[str]:
    power = view.power
    yield f"Machine: {view.machine}."
    cached = f", {view.cached_share:.0%} of it from the cache" if view.cached_share else ""
    yield (
        f"Capacity: {money(view.capacity_tokens_per_second)} tokens a second, computed input and output; "
        f"{view.input_share:.0%} of all tokens are input{cached}: {money(view.mtok_per_hour)} Mtok an hour."
    )
    if power is not None and power.full_watts:
        price = "" if view.price_per_kwh is None else f" at {view.price_per_kwh:.4g} {view.currency} per kWh"
        yield f"Electricity: {power.idle_watts:g} W idle, {power.full_watts:g} W at full load{price}."


def _shown_components(view: PlanView) -> list[str]:
    """Return the components that cost something, or are not known: the others would be columns of zeros."""
    return [name for name in _COMPONENTS if getattr(view.full_hour, name) != 0]


def _component_words(name: str) -> str:
    return "electricity" if name == "energy" else name


def _amount(value: float | None) -> str:
    return UNKNOWN if value is None else money(value)


def _months(value: float | None) -> str:
    if value is None:
        return UNKNOWN
    return "never" if math.isinf(value) else f"{value:,.1f} months"
