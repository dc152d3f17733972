"""What a span costs at other prices, beside what is written: as tables and as a document."""

import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from evenwatt.economics.sums import known_sum
from evenwatt.sinks.tables import plain_console, print_table
from evenwatt.sinks.words import UNKNOWN, clean, money, percent
from evenwatt.snapshot import ApiBill, Money
from evenwatt.snapshot.repricing import MoneySums, Repricing

__all__ = ["print_repricing", "render_repricing"]

_COMPONENTS = ("hardware", "energy", "labour", "other")
_BOUNDS = ("no_cache", "observed_cache")
_NEAR = 1e-9
"""What is left by the order in which sums are added is no difference."""


def print_repricing(repricing: Repricing) -> None:
    """Print the difference: the machine by component, each model, and each API bill."""
    console = plain_console()
    if repricing.is_simulated:
        console.print("SIMULATED: nothing below was measured.", style="bold reverse")
    start, end = (_moment(at, repricing.zone_name) for at in _ends(repricing))
    changes = f", with {', '.join(repricing.changes)}" if repricing.changes else ""
    console.print(clean(f"{start} to {end}, money in {repricing.currency}{changes}"))
    console.print()
    columns = ("as written", "repriced", "difference", "")
    print_table(console, ("cost", *columns), map(_cells, _cost_rows(repricing)))
    print_table(console, ("at an API, without its cache", *columns), map(_cells, _bill_rows(repricing)))
    for note in _notes(repricing):
        console.print(f"note: {note}")


def render_repricing(repricing: Repricing) -> str:
    """Return the difference as JSON; what is not known is null."""
    total = {"before": repricing.before.total, "after": repricing.after.total}
    return json.dumps(
        {
            "start_utc_seconds": repricing.start_utc_seconds,
            "end_utc_seconds": repricing.end_utc_seconds,
            "currency": repricing.currency,
            "simulated": repricing.is_simulated,
            "assumptions": repricing.assumptions,
            "changes": repricing.changes,
            "changes_nothing": repricing.changes_nothing,
            "kept_from_utc_seconds": repricing.kept_from_utc_seconds,
            "hours_until_utc_seconds": repricing.hours_until_utc_seconds,
            "total": {when: _costs(sums) for when, sums in total.items()},
            "models": [
                {
                    "engine": engine,
                    "model": model,
                    "before": _costs(repricing.before.money[engine, model]),
                    "after": _costs(repricing.after.money[engine, model]),
                }
                for engine, model in repricing.before.money
            ],
            "references": [
                {
                    "engine": engine,
                    "model": model,
                    "reference": reference,
                    "before": _bill(repricing.before, (engine, model, reference)),
                    "after": _bill(repricing.after, (engine, model, reference)),
                }
                for engine, model, reference in dict.fromkeys(
                    (*repricing.before.bills, *repricing.after.bills)
                )
            ],
        },
        allow_nan=False,
    )


Line = tuple[str, float | None, float | None]
"""What it is about, as written, repriced."""


def _cost_rows(repricing: Repricing) -> Iterator[Line]:
    before, after = repricing.before.total, repricing.after.total
    for name in _COMPONENTS:
        yield name, getattr(before.whole_costs, name), getattr(after.whole_costs, name)
    yield "all of it", before.whole_costs.full, after.whole_costs.full
    for (engine, model), row in repricing.before.money.items():
        told = f"{engine} / {model}" if model else engine
        now = repricing.after.money[engine, model]
        yield f"  {told}", row.whole_costs.full, now.whole_costs.full


def _bill_rows(repricing: Repricing) -> Iterator[Line]:
    names = dict.fromkeys(name for _, _, name in (*repricing.before.bills, *repricing.after.bills))
    for name in names:
        before, after = (
            known_sum(bill.no_cache for (_, _, of), bill in sums.bills.items() if of == name)
            for sums in (repricing.before, repricing.after)
        )
        yield name, before, after


def _cells(line: Line) -> tuple[str, ...]:
    name, before, after = line
    if before is None or after is None:
        return name, money(before), money(after), UNKNOWN, ""
    change = after - before
    if abs(change) <= _NEAR * abs(before):
        return name, money(before), money(after), "0", ""
    sign = "+" if change > 0 else ""
    share = f"{sign}{percent(change / before)}" if before else ""
    return name, money(before), money(after), f"{sign}{money(change)}", share


def _notes(repricing: Repricing) -> Iterable[str]:
    yield from map(clean, repricing.assumptions)
    if repricing.changes_nothing:
        yield "nothing changes: these are the prices that it is written with"
    if repricing.kept_from_utc_seconds is not None:
        first = _moment(repricing.kept_from_utc_seconds, repricing.zone_name)
        yield f"what is older than {first} keeps its money: only days are kept of it, which mix prices"
    if repricing.hours_until_utc_seconds is not None:
        until = _moment(repricing.hours_until_utc_seconds, repricing.zone_name)
        yield (
            f"up to {until} only hours are kept: where a price changed within one, its use counts as even, "
            "and API bills are at the prices of its beginning"
        )


def _costs(sums: Money) -> dict[str, float | None]:
    return {**{name: getattr(sums.whole_costs, name) for name in _COMPONENTS}, "full": sums.whole_costs.full}


def _bill(sums: MoneySums, whose: tuple[str, str, str]) -> dict[str, Any]:
    bill = sums.bills.get(whose, ApiBill())
    return {"tokens": bill.tokens, **{name: getattr(bill, name) for name in _BOUNDS}}


def _ends(repricing: Repricing) -> tuple[float, float]:
    return repricing.start_utc_seconds, repricing.end_utc_seconds


def _moment(utc_seconds: float, zone_name: str) -> str:
    try:
        zone = ZoneInfo(zone_name)
    except (LookupError, OSError, ValueError):
        return datetime.fromtimestamp(utc_seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")
    return datetime.fromtimestamp(utc_seconds, zone).strftime("%Y-%m-%d %H:%M %Z")
