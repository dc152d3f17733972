"""The head of a report: which machine and span, and the row of key figures."""

import math
from collections.abc import Iterator

from evenwatt.sinks.report.calendar import moment_words, window_words
from evenwatt.sinks.report.parts import Figure, name_cell
from evenwatt.sinks.words import money, mtok, per_mtok, percent
from evenwatt.snapshot.report.values import Report, ReportHead
from evenwatt.units import SECONDS_PER_DAY

__all__ = ["SIMULATED", "colophon", "figures", "is_a_day", "masthead", "missing_costs"]

SIMULATED = "SIMULATED: nothing below was measured."


def masthead(report: Report) -> tuple[str, str]:
    """Return what the report is of, and of when."""
    head = report.head
    window = f"{window_words(head.window)} ({head.window.zone_name})"
    return f"What a million tokens cost on {name_cell(head.machine)}", window


def colophon(report: Report) -> str:
    """Return the last line."""
    head = report.head
    made = moment_words(head.generated_utc_seconds, head.window.zone_name)
    return f"Made by evenwatt {head.version} on {made}. Money in {head.currency}."


def is_a_day(head: ReportHead) -> bool:
    """Return whether a day at least is accounted for: less says nothing of a month."""
    return head.accounted_seconds >= SECONDS_PER_DAY


def figures(report: Report) -> tuple[Figure, ...]:
    """Return the key figures, the most telling first."""
    return tuple(_figures(report))


def _figures(report: Report) -> Iterator[Figure]:
    currency = report.head.currency
    own = report.totals.cost_per_mtok
    energy = "" if own.energy_total is None else f"electricity alone {per_mtok(own.energy_total)}"
    yield Figure(
        label=f"Own cost, {currency} per Mtok",
        value=None if own.full_total is None else per_mtok(own.full_total),
        note=energy if own.full_total is not None else _why_no_cost(report),
    )
    yield from _cheapest_api(report)
    yield _full_cost(report)
    yield _idle(report)
    yield _load(report)
    yield _tokens(report)


def _why_no_cost(report: Report) -> str:
    if not report.totals.tokens.total_tokens:
        return "no token was served, so there is nothing to divide by"
    missing = missing_costs(report)
    return f"{' and '.join(missing)} not known" if missing else ""


def missing_costs(report: Report) -> list[str]:
    """Return the components of the cost that are not known."""
    costs = report.totals.costs
    return [
        name
        for name, cost in (
            ("hardware", costs.hardware),
            ("electricity", costs.energy),
            ("labour", costs.labour),
            ("other", costs.other),
        )
        if cost is None
    ]


def _cheapest_api(report: Report) -> Iterator[Figure]:
    priced = [item for item in report.comparisons if item.price_per_mtok is not None]
    if priced:
        yield Figure(
            label=f"Cheapest API, {report.head.currency} per Mtok",
            value=per_mtok(priced[0].price_per_mtok),
            note=name_cell(priced[0].reference),
        )


def _full_cost(report: Report) -> Figure:
    costs, label = report.totals.costs, f"Full cost, {report.head.currency}"
    if costs.full is None:
        known = "" if costs.known is None else f"; what is known of it: {money(costs.known)}"
        return Figure(label=label, value=None, note=f"{' and '.join(missing_costs(report))} not known{known}")
    monthly = report.decision.own_cost_per_month if is_a_day(report.head) else None
    return Figure(
        label=label,
        value=money(costs.full),
        note="" if monthly is None else f"{money(monthly)} for a month like this",
    )


def _idle(report: Report) -> Figure:
    idle, full = report.totals.idle_cost, report.totals.costs.full
    label = "Spent while idle"
    if idle is None or not full:
        return Figure(label=label, value=None, note="needs the full cost")
    return Figure(
        label=label,
        value=percent(idle / full),
        note=f"{money(idle)} {report.head.currency} of the full cost",
    )


def _load(report: Report) -> Figure:
    label = "Token load"
    if report.load_ratio is None:
        if not report.totals.tokens.total_tokens:
            return Figure(label=label, value=percent(0.0), note="no token was served")
        return Figure(
            label=label,
            value=None,
            note="needs capacity_tokens_per_second, or evenwatt calibrate",
        )
    at_most = "≤ " if report.curve is not None and report.curve.is_load_upper_bound else ""
    return Figure(label=label, value=f"{at_most}{percent(report.load_ratio)}", note=_even_at(report))


def _even_at(report: Report) -> str:
    loads = [(item.break_even_load_ratio, item.reference) for item in report.comparisons]
    known = [(load, name) for load, name in loads if load is not None]
    if not known:
        return ""
    reachable = [(load, name) for load, name in known if math.isfinite(load)]
    if not reachable:
        return "no load would make it cheaper than an API"
    load, name = min(reachable)
    return f"cheaper than {name_cell(name)} from {percent(load)}"


def _tokens(report: Report) -> Figure:
    tokens = report.totals.tokens
    total = tokens.total_tokens
    if not total:
        return Figure(label="Tokens, millions", value="0", note="the costs went on")
    cached = tokens.cached_input_tokens
    parts = [f"input {percent(tokens.input_tokens / total)}"]
    if cached is not None:
        parts.append(f"cached {percent(cached / total)}")
    parts.append(f"output {percent(tokens.output_tokens / total)}")
    return Figure(label="Tokens, millions", value=mtok(total), note=", ".join(parts))
