"""What a reader of a report must know beside its numbers, in sentences."""

from collections.abc import Iterator

from evenwatt.economics.cost import PriceBook
from evenwatt.economics.ownership import Owned, end_of_life_utc_seconds
from evenwatt.model import UNALLOCATED
from evenwatt.snapshot.report.comparing import Machine
from evenwatt.snapshot.report.values import ReportHead, ReportTotals
from evenwatt.snapshot.sums import Sums, tokens_of
from evenwatt.units import SECONDS_PER_HOUR

__all__ = ["notes_on"]


def notes_on(
    head: ReportHead, totals: ReportTotals, machine: Machine, sums: Sums, book: PriceBook
) -> tuple[str, ...]:
    """Return the notes on a report.

    Args:
        head: What its numbers stand on.
        totals: Its totals.
        machine: The machine as one.
        sums: What the history adds up to.
        book: The prices of the site.
    """
    return (
        *_on_time(head),
        *_on_cost(head, totals, book),
        *_on_load(head, machine),
        *_on_comparisons(machine, sums),
    )


def _on_time(head: ReportHead) -> Iterator[str]:
    first = head.first_utc_seconds
    if first is not None and first > head.window.start_utc_seconds:
        missing = (first - head.window.start_utc_seconds) / SECONDS_PER_HOUR
        yield f"The history begins {missing:,.0f} h after the window does; all sums are of the rest."
    if head.estimated_ratio:
        yield (
            f"In {head.estimated_ratio:.1%} of the time the agent was not looking: what was counted then is "
            "spread evenly over it."
        )
    if head.restarts:
        yield (
            f"Engines restarted {head.restarts} times; what they served between the last look and a restart "
            "is not known, and not counted."
        )


def _on_cost(head: ReportHead, totals: ReportTotals, book: PriceBook) -> Iterator[str]:
    if totals.unpriced_seconds:
        hours = totals.unpriced_seconds / SECONDS_PER_HOUR
        yield (
            f"For {hours:,.1f} h no hardware price was known when they were metered, so there is no full "
            "cost of the window; a part is not the whole."
        )
    if totals.kwh is not None and totals.host_kwh is None:
        yield "Energy is that of the GPUs alone; what the rest of the machine drew was not measured."
    end = end_of_life_utc_seconds(book.hardware) if isinstance(book.hardware, Owned) else None
    if end is not None and end < head.window.end_utc_seconds:
        yield "The hardware is written off; from then on it costs nothing here."


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
    if machine.sums.tokens.cached_input_tokens is None:
        yield "The engines do not tell their cache hits: both bounds of an API's price are the one without."
