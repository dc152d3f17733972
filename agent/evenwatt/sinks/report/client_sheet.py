"""The bills of clients as CSV, for whoever charges them on: a line for each client, model and engine."""

import csv
import io
from datetime import UTC, datetime

from evenwatt.sinks.words import harmless
from evenwatt.snapshot.report.chargeback import Chargeback, ClientBill

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
    "full_cost",
    "currency",
    "basis",
)
_BASIS = "allocated by tokens"
_SIMULATED = "SIMULATED"


def render_chargeback(chargeback: Chargeback) -> str:
    """Return the bills of a window; a cell is empty where a value is not known."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(CHARGEBACK_COLUMNS)
    window = chargeback.window
    span = [_shown(window.start_utc_seconds), _shown(window.end_utc_seconds)]
    basis = f"{_SIMULATED}, {_BASIS}" if chargeback.simulated else _BASIS
    for bill in chargeback.bills:
        names = [harmless(name) for name in (bill.engine, bill.model, bill.client)]
        writer.writerow(
            [*span, *names, *_counts(bill), f"{bill.share:.9f}", *_costs(bill), chargeback.currency, basis]
        )
    return text.getvalue()


def _counts(bill: ClientBill) -> list[int | str]:
    use = bill.use
    if use is None:
        return [""] * 4
    counts = [use.input_tokens, use.cached_input_tokens, use.output_tokens, use.requests]
    return ["" if count is None else count for count in counts]


def _costs(bill: ClientBill) -> list[str]:
    costs = bill.costs
    values = (costs.hardware, costs.energy, costs.labour, costs.other, costs.full)
    return ["" if value is None else f"{value:.6f}" for value in values]


def _shown(utc_seconds: float) -> str:
    return datetime.fromtimestamp(utc_seconds, tz=UTC).isoformat(timespec="seconds")
