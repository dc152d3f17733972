"""The machine against the APIs: cost against load, break-even in its forms, and the bills of the window."""

import math
from collections.abc import Iterator

from evenwatt.sinks.report.parts import Column, Kind, Row, Section, Stress, Table, name_cell
from evenwatt.sinks.words import UNKNOWN, money, number, per_mtok, percent, ratio
from evenwatt.snapshot.report.comparison import Comparison
from evenwatt.snapshot.report.values import Report

__all__ = ["api_section", "load_section", "never_or"]

_LOADS = (0.01, 0.02, 0.05, 0.10, 0.20, 0.30, 0.40, 0.50, 0.60, 0.80, 1.0)


def never_or(value: float | None, words: str) -> str:
    """Return the words, `never` where the value is infinite, and not known where it is None."""
    if value is None:
        return UNKNOWN
    return "never" if math.isinf(value) else words


def load_section(report: Report) -> Section:
    """Return cost against load and from where on own tokens are cheaper."""
    tables = [_break_even(report)] if report.comparisons else []
    if report.curve is not None:
        tables.append(_curve(report))
    return Section(
        name="load",
        title="Cost against load",
        leads=tuple(_load_leads(report)),
        tables=tuple(tables),
        notes=tuple(_load_notes(report)),
    )


def _load_leads(report: Report) -> Iterator[str]:
    curve = report.curve
    if curve is None:
        yield f"The curve is not known: {_why_no_curve(report)}"
        return
    observed = curve.observed
    currency = report.head.currency
    at_most = "at most " if curve.is_load_upper_bound else ""
    full = (curve.line.fixed_cost_per_hour + curve.line.load_cost_per_hour) / curve.line.mtok_per_hour
    yield (
        f"At the load of this window, {at_most}{percent(observed.load_ratio)}, a million tokens cost "
        f"{per_mtok(observed.cost_per_mtok)} {currency}; at full load they would cost {per_mtok(full)}."
    )


def _why_no_curve(report: Report) -> str:
    if not report.totals.tokens.total_tokens:
        return "no token was served in this window."
    if report.totals.costs.full is None:
        return "it needs the full cost, of which a part is not known."
    if report.load_ratio is None:
        return (
            "it needs the load, and so what the engine can sustain. Write capacity_tokens_per_second for the "
            "engine, or measure it with: evenwatt calibrate"
        )
    return "the window has too little of what it is worked out from."


def _load_notes(report: Report) -> Iterator[str]:
    if report.curve is None:
        return
    line = report.curve.line
    if report.idle_power.used == "none":
        yield (
            f"An hour costs {per_mtok(line.fixed_cost_per_hour)} {report.head.currency}; full load is "
            f"{number(line.mtok_per_hour, 3)} Mtok an hour at the mix of this window. Power without load is "
            "not known, so that electricity counts as the same at any load."
        )
    else:
        yield (
            f"An hour costs {per_mtok(line.fixed_cost_per_hour)} {report.head.currency} without load and "
            f"{per_mtok(line.fixed_cost_per_hour + line.load_cost_per_hour)} at full load, "
            f"which is {number(line.mtok_per_hour, 3)} Mtok an hour at the mix of this window."
        )
    if report.curve.is_load_upper_bound:
        yield "The capacity is only the most that was ever seen: the true load is lower, or equal."


def _break_even(report: Report) -> Table:
    currency = report.head.currency
    has_payback = any(item.payback_months is not None for item in report.comparisons)
    has_keep = any(item.keep_saved is not None for item in report.comparisons)
    columns = [
        Column(title="API", kind=Kind.NAME),
        Column(title=f"per Mtok, {currency}"),
        Column(title="own cheaper from load"),
        Column(title="Mtok a month"),
    ]
    if has_payback:
        columns.append(Column(title="payback, months"))
    if has_keep:
        columns += [
            Column(title=f"hardware paid: saved, {currency}", is_wide=True),
            Column(title="then", kind=Kind.TEXT, is_wide=True),
        ]
    rows = []
    for item in report.comparisons:
        cells = [
            name_cell(item.reference),
            per_mtok(item.price_per_mtok),
            never_or(item.break_even_load_ratio, percent(item.break_even_load_ratio)),
            never_or(item.break_even_mtok_per_month, _volume(item.break_even_mtok_per_month)),
        ]
        if has_payback:
            cells.append(never_or(item.payback_months, number(item.payback_months, 1)))
        if has_keep:
            cells += [money(item.keep_saved), _keep_or_switch(item)]
        rows.append(Row(cells=tuple(cells)))
    return Table(title="Break-even", columns=tuple(columns), rows=tuple(rows))


def _volume(mtok_per_month: float | None) -> str:
    small = 10
    return number(mtok_per_month, 2 if mtok_per_month is not None and mtok_per_month < small else 0)


def _keep_or_switch(item: Comparison) -> str:
    if item.keep_saved is None:
        return UNKNOWN
    return "keep" if item.keep_saved > 0 else "switch"


def _curve(report: Report) -> Table:
    currency, curve = report.head.currency, report.curve
    if curve is None:
        raise ValueError("a report without a curve has no table of it")
    costs = {round(point.load_ratio, 6): point.cost_per_mtok for point in curve.points}
    points = [(load, costs[load]) for load in _LOADS if load in costs]
    points.append((curve.observed.load_ratio, curve.observed.cost_per_mtok))
    rows = []
    for load, cost in sorted(set(points)):
        is_observed = (load, cost) == (curve.observed.load_ratio, curve.observed.cost_per_mtok)
        cheaper = [name_cell(name) for name, price in curve.api_prices.items() if price > cost]
        rows.append(
            Row(
                cells=(
                    f"{percent(load)}{' (this window)' if is_observed else ''}",
                    per_mtok(cost),
                    ", ".join(cheaper) or "none",
                ),
                stress=Stress.TOTAL if is_observed else Stress.PLAIN,
            )
        )
    return Table(
        title="Cost at each load",
        columns=(
            Column(title="Load", kind=Kind.TEXT),
            Column(title=f"per Mtok, {currency}"),
            Column(title="cheaper than", kind=Kind.NAME),
        ),
        rows=tuple(rows),
        is_detail=True,
    )


def api_section(report: Report) -> Section:
    """Return what the same tokens would have cost at each API, by both bounds and as batch."""
    if not report.comparisons:
        return Section(name="apis", title="Against the APIs", leads=(_why_no_api(report),))
    return Section(
        name="apis",
        title="Against the APIs",
        leads=tuple(_api_leads(report)),
        tables=(_prices(report), _bills(report)),
        notes=tuple(_api_notes(report)),
    )


def _why_no_api(report: Report) -> str:
    if not report.totals.tokens.total_tokens:
        return "No token was served, so there is no bill to compare with."
    return (
        "No API was compared with all tokens of this window: a reference needs a price for all of its time."
    )


def _api_leads(report: Report) -> Iterator[str]:
    for item in report.comparisons:
        if item.saved is None or not item.own_cost:
            continue
        verb = "saved" if item.saved >= 0 else "cost"
        than = "against" if item.saved >= 0 else "more than"
        yield (
            f"Serving here {verb} {money(abs(item.saved))} {report.head.currency} {than} "
            f"{name_cell(item.reference)}."
        )


def _prices(report: Report) -> Table:
    currency = report.head.currency
    rows = [
        Row(
            cells=(
                name_cell(item.reference),
                per_mtok(item.price_per_mtok),
                per_mtok(item.price_per_mtok_no_cache),
                "none" if item.price_per_mtok_batch is None else per_mtok(item.price_per_mtok_batch),
                ratio(item.ratio),
                ratio(item.ratio_no_cache),
            )
        )
        for item in report.comparisons
    ]
    own = report.totals.cost_per_mtok.full_total
    same = "" if own is None else "1.00"
    rows.append(
        Row(
            cells=("this machine", per_mtok(own), per_mtok(own), per_mtok(own), same, same),
            stress=Stress.TOTAL,
        )
    )
    return Table(
        title=f"Price of a million tokens at the mix that was served, {currency}",
        columns=(
            Column(title="API", kind=Kind.NAME),
            Column(title="with cache hits"),
            Column(title="without cache"),
            Column(title="batch"),
            Column(title="API / own"),
            Column(title="without cache"),
        ),
        rows=tuple(rows),
    )


def _bills(report: Report) -> Table:
    currency = report.head.currency
    rows = [
        Row(
            cells=(
                name_cell(item.reference),
                money(item.api_cost),
                money(item.api_cost_no_cache),
                "none" if item.api_cost_batch is None else money(item.api_cost_batch),
                money(item.saved),
                money(item.saved_no_cache),
            )
        )
        for item in report.comparisons
    ]
    own = money(report.totals.costs.full)
    rows.append(Row(cells=("this machine", own, own, own, "", ""), stress=Stress.TOTAL))
    return Table(
        title=f"Bill for the tokens of this window, {currency}",
        columns=(
            Column(title="API", kind=Kind.NAME),
            Column(title="with cache hits"),
            Column(title="without cache"),
            Column(title="batch"),
            Column(title="saved here"),
            Column(title="without cache"),
        ),
        rows=tuple(rows),
    )


def _api_notes(report: Report) -> Iterator[str]:
    serving = {row.engine for row in report.rows if row.tokens.total_tokens}
    silent = {
        row.engine
        for row in report.rows
        if row.tokens.total_tokens and row.tokens.cached_input_tokens is None
    }
    is_told = any(item.is_observed_cache for item in report.comparisons) or silent < serving
    if is_told:
        yield (
            "With cache hits: our own hits stand for the API's, the most that its cache could take off. "
            "Without: as if it hit nothing. The true bill lies between."
        )
    if silent and is_told:
        names = " and ".join(name_cell(engine) for engine in sorted(silent))
        yield f"No cache hits are told by {names}: its tokens are without cache in both bounds."
    elif not is_told:
        yield "No engine tells its cache hits: both bounds are without cache."
    yield "API / own: below 1 the API was cheaper. Saved: below zero, serving here cost more."
    if any(item.price_per_mtok_batch is not None for item in report.comparisons):
        yield "Batch: for requests that can wait for hours. None: no batch price is known of that API."
