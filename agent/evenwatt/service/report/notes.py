"""What a reader of a report must know beside its numbers, in sentences."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, tzinfo

from evenwatt.economics.cost import PriceBook
from evenwatt.economics.running import SetupCost
from evenwatt.economics.tariffs import stale_seconds
from evenwatt.ledger import MeterUse
from evenwatt.model import UNALLOCATED
from evenwatt.service.notes import price_notes
from evenwatt.sinks.words import duration
from evenwatt.snapshot.report.comparing import Machine
from evenwatt.snapshot.report.owning import Owning
from evenwatt.snapshot.report.values import ReportHead, ReportTotals
from evenwatt.snapshot.sums import Sums, tokens_of
from evenwatt.units import JOULES_PER_KWH, SECONDS_PER_HOUR, SECONDS_PER_MINUTE

__all__ = ["notes_on", "site_notes"]

_EVEN = 0.005
"""Prices that differ by less are the same."""


def notes_on(
    head: ReportHead, totals: ReportTotals, machine: Machine, sums: Sums, *, hours_from: int | None
) -> tuple[str, ...]:
    """Return the notes on the numbers of a report.

    Args:
        head: What its numbers stand on.
        totals: Its totals.
        machine: The machine as one.
        sums: What the history adds up to.
        hours_from: From when on hours are kept, where that is not all of the window; else None.
    """
    return (
        *_on_time(head),
        *(() if hours_from is None else _on_days(hours_from)),
        *_on_cost(totals),
        *_on_host(totals, sums.meters),
        *_on_load(head, machine),
        *_on_comparisons(machine, sums),
    )


def site_notes(
    head: ReportHead, machine: Machine, owning: Owning, book: PriceBook, zone: tzinfo
) -> tuple[str, ...]:
    """Return the notes on the prices of the site: what is written off, stale, or paid once.

    Args:
        head: What the report stands on.
        machine: The machine as one.
        owning: How it is had and supplied.
        book: In the currency of the report.
        zone: In which days are told.
    """
    return (
        *_on_electricity(head, machine, owning, book),
        *_on_prices(head, book, zone),
        *(_on_setup(head, book.setup, zone) if machine.sums.costs.labour else ()),
    )


def _on_electricity(head: ReportHead, machine: Machine, owning: Owning, book: PriceBook) -> Iterator[str]:
    paid, even = machine.price_per_kwh, owning.even_price_per_kwh
    if paid and even and abs(paid / even - 1) >= _EVEN:
        yield (
            f"A kWh cost {paid:.4f} {head.currency} on average, by when it was drawn; drawn evenly at the "
            f"prices as they are known now it would be {even:.4f}."
        )
    stale = 0.0
    if book.tariff is not None and head.first_utc_seconds is not None:
        stale = stale_seconds(book.tariff, head.first_utc_seconds, head.window.end_utc_seconds)
    if stale >= SECONDS_PER_MINUTE:
        yield (
            f"For {duration(stale)} of the window the electricity feed gave no price: the "
            "last known one was used, and is stale."
        )


def _on_prices(head: ReportHead, book: PriceBook, zone: tzinfo) -> Iterator[str]:
    """Yield what holds of prices where the window ends; of electricity only where it ends now."""
    end = head.window.end_utc_seconds
    is_now = head.generated_utc_seconds - end < SECONDS_PER_HOUR
    for note in price_notes(book, end, zone):
        if note.subject == "hardware" or is_now:
            yield f"{note.text[0].upper()}{note.text[1:]}."


def _on_setup(head: ReportHead, setup: SetupCost | None, zone: tzinfo) -> Iterator[str]:
    if setup is None or setup.begins_utc_seconds >= head.window.end_utc_seconds:
        return
    spread_seconds = setup.spread_months * head.month_hours * SECONDS_PER_HOUR
    if setup.begins_utc_seconds + spread_seconds > head.window.start_utc_seconds:
        begun = datetime.fromtimestamp(setup.begins_utc_seconds, zone).date().isoformat()
        yield (
            f"Labour holds the set-up cost of {setup.cost:,.2f} {head.currency}, spread over "
            f"{setup.spread_months:g} months from {begun} on."
        )


def _on_time(head: ReportHead) -> Iterator[str]:
    first = head.first_utc_seconds
    if first is not None and first > head.window.start_utc_seconds:
        missing = duration(first - head.window.start_utc_seconds)
        yield f"The history begins {missing} after the window does; all sums are of the rest."
    if head.estimated_ratio:
        yield (
            f"In {head.estimated_ratio:.1%} of the time the agent was not looking: what was counted then is "
            "spread evenly over it."
        )
    if head.restarts:
        yield (
            f"Engines restarted {_times(head.restarts)}; what they served between the last look and a "
            "restart is not known, and not counted."
        )


def _on_days(hours_from: int) -> Iterator[str]:
    since = datetime.fromtimestamp(hours_from, UTC).date().isoformat()
    yield (
        f"Before {since} only days of UTC are kept (history.keep_hours_days): sums are of whole ones, and "
        "what is told by hour, day or week is of the time since then."
    )


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count:,} times"


def _on_cost(totals: ReportTotals) -> Iterator[str]:
    if totals.unpriced_seconds:
        yield (
            f"For {duration(totals.unpriced_seconds)} no hardware price was known when they were metered, so "
            "there is no full cost of the window; a part is not the whole."
        )
    if totals.unpriced_kwh:
        yield (
            f"For {totals.unpriced_kwh:,.2f} kWh no electricity price was known when they were metered, so "
            "there is no full cost of the window; a part is not the whole."
        )


def _on_host(totals: ReportTotals, meters: Mapping[str, MeterUse]) -> Iterator[str]:
    told = {name: use.energy_joules for name, use in sorted(meters.items()) if use.energy_joules is not None}
    if not told:
        if totals.kwh is not None:
            yield "Energy is that of the GPUs alone; what the rest of the machine drew was not measured."
        return
    amounts = [f" ({joules / JOULES_PER_KWH:,.2f} kWh)" if len(told) > 1 else "" for joules in told.values()]
    parts = " and ".join(f"{name}{amount}" for name, amount in zip(told, amounts, strict=True))
    yield f"What the machine drew beside its GPUs is told by {parts}."


def _on_load(head: ReportHead, machine: Machine) -> Iterator[str]:
    if machine.load_ratio is None and machine.sums.tokens.total_tokens:
        yield (
            "The load is not known, and so no break-even load: write capacity_tokens_per_second of each "
            "engine, or measure it with evenwatt calibrate."
        )
    for capacity in head.capacities:
        if capacity.is_lower_bound:
            yield (
                f"The capacity of {capacity.engine} is only the most that was seen, so its load is an upper "
                "bound."
            )
    if len([capacity for capacity in head.capacities if capacity.load_ratio]) > 1:
        yield (
            "The load of the machine is that of its busiest engine: as the mix of engines is, that one is "
            "full first."
        )
    if machine.load_ratio is not None and machine.load_ratio > 1:
        yield "The load is above 100 %: the capacity is set too low."
    if machine.idle_power.used == "none" and machine.load_ratio is not None:
        yield (
            "The machine never idled and its idle power cannot be fitted: all electricity counts as fixed, "
            "which puts the break-even load too high rather than too low."
        )


def _on_comparisons(machine: Machine, sums: Sums) -> Iterator[str]:
    if not machine.sums.tokens.total_tokens:
        return
    served = {key: tokens_of(usage).total_tokens for key, usage in sums.usage.items()}
    total = sum(tokens for key, tokens in served.items() if key[0] != UNALLOCATED)
    for reference in sorted({name for *_, name in sums.api}):
        priced = sum(bill.tokens for (*_, name), bill in sums.api.items() if name == reference)
        if priced < total:
            yield (
                f"{reference} is not compared with the whole machine: only {priced / total:.0%} of the "
                "tokens were priced at it."
            )
