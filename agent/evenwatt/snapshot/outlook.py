"""The questions of an owner: from which volume it pays, after how long, and whether to go on.

Worked out from what a window already says, so that they cannot say anything else.
"""

import math

from msgspec import Struct
from msgspec.structs import replace

from evenwatt.economics.breakeven import (
    Purchase,
    break_even_load,
    cost_line,
    keep_or_switch_costs,
    payback_months,
    purchase_of,
)
from evenwatt.economics.cost import Costs, PriceBook
from evenwatt.economics.sums import whole_sum
from evenwatt.snapshot.windows import ReferenceView, WindowRow, WindowView, window_sums
from evenwatt.units import SECONDS_PER_HOUR, TOKENS_PER_MTOK

__all__ = ["with_outlook"]


def with_outlook(view: WindowView, book: PriceBook) -> WindowView:
    """Return a window whose comparisons also say volume, payback and keep-or-switch.

    Args:
        view: Of the window, without them.
        book: Whose hardware was bought, or not, and how long its month is.
    """
    machine = view.row()
    seconds = 0.0 if machine is None else window_sums(machine.usage, machine.money, machine.tokens).seconds
    if not seconds:
        return view
    outlook = _Outlook(
        months=seconds / (book.month_hours * SECONDS_PER_HOUR),
        month_hours=book.month_hours,
        purchase=purchase_of(book.hardware, view.start_utc_seconds + view.seconds),
        machine_hardware_cost=None if machine is None else machine.money.whole_costs.hardware,
    )
    return replace(view, rows=tuple(outlook.row(row) for row in view.rows))


class _Outlook(Struct, frozen=True, kw_only=True):
    """What a window says of a machine.

    Attributes:
        months: The length of the window.
        purchase: None where nothing was bought.
        machine_hardware_cost: Of the whole machine over the window.
    """

    months: float
    month_hours: float
    purchase: Purchase | None
    machine_hardware_cost: float | None

    def row(self, row: WindowRow) -> WindowRow:
        references = tuple(
            replace(
                reference,
                break_even_mtok_per_month=self._mtok_per_month(row, reference),
                payback_months=self._payback_months(row, reference),
                keep_or_switch_load_ratio=self._keep_or_switch_load(row, reference),
            )
            for reference in row.references
        )
        return replace(row, references=references)

    def _mtok_per_month(self, row: WindowRow, reference: ReferenceView) -> float | None:
        """Return the break-even load as a volume: what was served in a month, were the load that one."""
        load = reference.break_even_load_ratio
        if load is None or math.isinf(load) or not row.load_ratio:
            return load
        return row.tokens.total_tokens / TOKENS_PER_MTOK / self.months * (load / row.load_ratio)

    def _payback_months(self, row: WindowRow, reference: ReferenceView) -> float | None:
        """Return when the API bill that this window avoided has paid for the machine, at its pace.

        The price of the machine is shared like its hardware cost, which is an allocation where several
        engines use it.
        """
        costs, price = row.money.whole_costs, reference.price_per_mtok
        share = _ratio(costs.hardware, self.machine_hardware_cost)
        running = _running_cost(costs)
        if self.purchase is None or share is None or price is None or running is None:
            return None
        maintenance_per_month = self.purchase.maintenance_per_hour * self.month_hours
        return payback_months(
            purchase_price=self.purchase.price * share,
            api_bill_per_month=price * row.tokens.total_tokens / TOKENS_PER_MTOK / self.months,
            running_cost_per_month=running / self.months + maintenance_per_month * share,
        )

    def _keep_or_switch_load(self, row: WindowRow, reference: ReferenceView) -> float | None:
        if self.purchase is None or row.load_ratio is None:
            return None
        sums = window_sums(row.usage, row.money, row.tokens)
        kept = replace(sums, costs=keep_or_switch_costs(sums.costs))
        load = break_even_load(cost_line(kept, row.load_ratio), reference.price_per_mtok)
        # Never is said here only where it is said of the whole cost, which knows what the capacity is worth.
        is_open = load is not None and math.isinf(load) and reference.break_even_load_ratio != math.inf
        return None if is_open else load


def _running_cost(costs: Costs) -> float | None:
    return whole_sum((costs.energy, costs.labour, costs.other))


def _ratio(part: float | None, whole: float | None) -> float | None:
    return None if part is None or not whole else part / whole
