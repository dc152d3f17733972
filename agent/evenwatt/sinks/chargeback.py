"""The bills of clients as CSV, for whoever charges them on: a line for each client, model and engine."""

import csv
import io
from collections.abc import Iterable

from evenwatt.snapshot.chargeback import ClientBill

__all__ = ["CHARGEBACK_COLUMNS", "render_chargeback"]

CHARGEBACK_COLUMNS = (
    "from_utc",
    "to_utc",
    "engine",
    "model",
    "client",
    "input_tokens",
    "cached_input_tokens",
    "output_tokens",
    "requests",
    "share",
    "hardware_cost",
    "energy_cost",
    "labour_cost",
    "other_cost",
    "cost",
    "currency",
    "basis",
)
_BASIS = "allocated by tokens"
_FORMULA_MARKS = ("=", "+", "-", "@", "\t", "\r")


def render_chargeback(bills: Iterable[ClientBill], *, from_utc: str, to_utc: str, currency: str) -> str:
    """Return the bills of a span; a cell is empty where a value is not known.

    Args:
        bills: In the order of the lines.
        from_utc: When the span began, as it is to be shown.
        to_utc: When it ended.
        currency: Of all money.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(CHARGEBACK_COLUMNS)
    for bill in bills:
        writer.writerow(
            [
                from_utc,
                to_utc,
                *(_harmless(name) for name in (bill.engine, bill.model, bill.client)),
                *_counts(bill),
                f"{bill.share:.9f}",
                *(_money(value) for value in _components(bill)),
                _money(bill.cost),
                currency,
                _BASIS,
            ]
        )
    return text.getvalue()


def _harmless(name: str) -> str:
    """Return a name that no spreadsheet takes for a formula: engines and clients make names up."""
    return f"'{name}" if name.startswith(_FORMULA_MARKS) else name


def _counts(bill: ClientBill) -> list[int | str]:
    use = bill.use
    if use is None:
        return [""] * 4
    requests = [use.requests_completed, use.requests_aborted, use.requests_failed]
    known = [count for count in requests if count is not None]
    counts = [use.input_tokens, use.cached_input_tokens, use.output_tokens, sum(known) if known else None]
    return ["" if count is None else count for count in counts]


def _components(bill: ClientBill) -> tuple[float | None, ...]:
    money = bill.money
    return money.hardware, money.energy, money.labour, money.other


def _money(value: float | None) -> str:
    return "" if value is None else f"{value:.6f}"
