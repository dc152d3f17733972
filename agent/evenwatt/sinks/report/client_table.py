"""The bills of clients in a terminal: what each one pays, largest first."""

from collections.abc import Sequence

from evenwatt.model import UNALLOCATED
from evenwatt.sinks.report.calendar import window_words
from evenwatt.sinks.report.overview import SIMULATED
from evenwatt.sinks.tables import plain_console, print_table
from evenwatt.sinks.words import UNKNOWN, aligned, clean, money, mtok, percent
from evenwatt.snapshot.report.chargeback import Chargeback, ClientBill

__all__ = ["print_chargeback"]

_COLUMNS = ("client", "model", "engine", "in Mtok", "out Mtok", "share", "cost")
_BASIS = (
    "share: of the model's cost, by its tokens, each weighted as in attribution. "
    f"{UNALLOCATED}: tokens and idle time that no client is known for."
)
_NO_CLIENTS = (
    "No tokens of single clients in this window: an engine's own counters do not tell who asked. Stand "
    "evenwatt proxy before it and name the clients (docs/proxy.md)."
)


def print_chargeback(chargeback: Chargeback) -> None:
    """Print the bills of a window, and what they are."""
    console = plain_console()
    if chargeback.simulated:
        console.print(SIMULATED, style="bold reverse")
    window = chargeback.window
    console.print(clean(f"evenwatt cost by client, {window_words(window)} ({window.zone_name})"), style="dim")
    console.print()
    if all(bill.use is None for bill in chargeback.bills):
        console.print(_NO_CLIENTS)
        console.print()
    bills = sorted(chargeback.bills, key=lambda bill: (-(bill.costs.full or 0.0), bill.client))
    costs = aligned([money(bill.costs.full) for bill in bills])
    columns = (*_COLUMNS[:-1], f"cost, {chargeback.currency}")
    rows = [(*_cells(bill), cost) for bill, cost in zip(bills, costs, strict=True)]
    print_table(console, columns, rows, text_columns=("model", "engine"))
    for note in _notes(bills):
        console.print(note, style="dim")


def _cells(bill: ClientBill) -> tuple[str, ...]:
    use = bill.use
    counts = (UNKNOWN, UNKNOWN) if use is None else (mtok(use.input_tokens), mtok(use.output_tokens))
    return (bill.client, bill.model or UNKNOWN, bill.engine, *counts, percent(bill.share))


def _notes(bills: Sequence[ClientBill]) -> list[str]:
    names = ("hardware", "energy", "labour", "other")
    missing = [name for name in names if any(getattr(bill.costs, name) is None for bill in bills)]
    if not missing:
        return [_BASIS]
    unknown = (
        f"No full cost where a component is not known for all of the window: {', '.join(missing)}. "
        "--format csv has each component for itself."
    )
    return [unknown, _BASIS]
