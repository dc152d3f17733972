"""What a window (24h, 7d, month) says: cost per million tokens, load, break-even; always from sums."""

import math
from collections.abc import Mapping, Sequence
from itertools import groupby, product

from msgspec import Struct

from evenwatt.economics.breakeven import CostLine, WindowSums, break_even_load, cost_line
from evenwatt.economics.capacity import Capacity, capacity_load
from evenwatt.economics.effective import (
    Basis,
    TokenBase,
    api_price_per_mtok,
    break_even_ratio,
    cost_per_mtok,
    phase_costs_per_mtok,
)
from evenwatt.economics.sums import known_sum, whole_sum
from evenwatt.economics.tokens import Tokens
from evenwatt.ledger import Usage
from evenwatt.ledger.entries import add_rows
from evenwatt.model import UNALLOCATED
from evenwatt.snapshot.sums import ApiBill, Money, Sums, tokens_of, total_money
from evenwatt.units import SECONDS_PER_HOUR

__all__ = [
    "ALL",
    "LoadLine",
    "ReferenceView",
    "WindowRow",
    "WindowView",
    "comparable_bill",
    "window_sums",
    "window_view",
]

ALL = "all"
"""The label of the sum over all models of an engine, or over the whole machine with `unallocated`."""

_PAIRS = tuple(product(Basis, TokenBase))
_NO_BILL = ApiBill()

Bills = dict[tuple[str, str], dict[str, ApiBill]]
"""By engine and model, by reference: looked up once for each row, of which there may be hundreds."""


class ReferenceView(Struct, frozen=True, kw_only=True):
    """Own cost against one API over a window; None where it cannot be known.

    Attributes:
        price_per_mtok: The API's, at the mix that was served and with the observed cache hits, where the
            engine tells them.
        price_per_mtok_no_cache: The same as if its cache hit nothing.
        ratio: API-equivalent over own cost; below 1 the API was cheaper.
        break_even_load_ratio: `math.inf` means never.
        break_even_mtok_per_month: The same as a volume, of tokens of all kinds.
        payback_months: Until the avoided bill has paid for a machine that was bought; `math.inf` means never.
        keep_or_switch_load_ratio: The break-even load of a machine that is paid for.
    """

    reference: str
    price_per_mtok: float | None
    price_per_mtok_no_cache: float | None
    ratio: float | None
    break_even_load_ratio: float | None
    break_even_mtok_per_month: float | None = None
    payback_months: float | None = None
    keep_or_switch_load_ratio: float | None = None


class WindowRow(Struct, frozen=True, kw_only=True):
    """What one model, one engine (`model="all"`) or the machine (`all`, `all`) did and cost in a window.

    Attributes:
        cost_per_mtok: By basis and token base; a pair that cannot be known is left out.
        input_cost_per_mtok: An allocation: the full cost shared by the time that requests spent in prefill
            and in decode, over computed input. None where the engine does not tell, and for the machine.
        output_cost_per_mtok: Likewise, the part of decode over output.
        capacity: By which the load is worked out.
        line: What its tokens would cost at other loads; None for the machine: capacities are of engines.
    """

    engine: str
    model: str
    tokens: Tokens
    usage: Usage
    money: Money
    cost_per_mtok: Mapping[tuple[Basis, TokenBase], float]
    load_ratio: float | None
    references: tuple[ReferenceView, ...]
    input_cost_per_mtok: float | None = None
    output_cost_per_mtok: float | None = None
    capacity: Capacity | None = None
    line: CostLine | None = None

    @property
    def load_is_upper_bound(self) -> bool:
        """Whether the load, and the load of every break-even, is at most what it says."""
        return self.capacity is not None and self.capacity.is_lower_bound


class WindowView(Struct, frozen=True, kw_only=True):
    """A window up to now.

    Attributes:
        name: As the configuration names it.
        accounted_seconds: The part of it that the history is about; less where that is younger.
        coverage_ratio: The share of it in which the agent looked; what it missed is in the sums as estimate.
    """

    name: str
    start_utc_seconds: float
    seconds: float
    accounted_seconds: float
    coverage_ratio: float
    rows: tuple[WindowRow, ...]

    def mean_per_hour(self, amount: float | None) -> float | None:
        """Return what an amount of money in it comes to an hour; None where it is not known."""
        if amount is None or not self.accounted_seconds:
            return None
        return amount / self.accounted_seconds * SECONDS_PER_HOUR

    def row(self, engine: str = ALL, model: str = ALL) -> WindowRow | None:
        """Return the row of an engine and model; None where they did nothing in the window."""
        return next((row for row in self.rows if (row.engine, row.model) == (engine, model)), None)


def window_view(
    sums: Sums, *, name: str, start_utc_seconds: float, seconds: float, capacities: Mapping[str, Capacity]
) -> WindowView:
    """Return what a window says.

    Args:
        sums: Of the window.
        name: Of the window.
        start_utc_seconds: Where it begins.
        seconds: How long it is, also where the history is younger.
        capacities: By engine, what it can sustain.
    """
    accounted = sums.host.seconds or 0.0
    watched = accounted - (sums.host.estimated_seconds or 0.0)
    bills: Bills = {}
    for (engine, model, reference), bill in sums.api.items():
        bills.setdefault((engine, model), {})[reference] = bill
    served = {key: tokens_of(usage).total_tokens for key, usage in sums.usage.items()}
    of = _Window(sums=sums, bills=bills, served=served, seconds=accounted)
    rows = []
    by_engine = groupby(sorted(sums.usage), key=lambda key: key[0])
    for engine, keys in ((engine, list(keys)) for engine, keys in by_engine if engine != UNALLOCATED):
        capacity = capacities.get(engine)
        # Capacity is the engine's: a model has a load of its own only where no other was served.
        serving = [key for key in keys if served[key]] or keys
        for key in keys:
            own = capacity if serving == [key] else None
            # A model that is named like the sum cannot be told from it: it has no row of its own.
            if key[1] != ALL:
                rows.append(_row(of, [key], label=key, capacity=own))
        rows.append(_row(of, keys, label=(engine, ALL), capacity=capacity))
    rows.append(_row(of, list(sums.usage), label=(ALL, ALL), capacity=None))
    return WindowView(
        name=name,
        start_utc_seconds=start_utc_seconds,
        seconds=seconds,
        accounted_seconds=accounted,
        coverage_ratio=min(watched / seconds, 1.0) if seconds else 0.0,
        rows=tuple(rows),
    )


class LoadLine(Struct, frozen=True):
    """What own tokens cost at each load, and the capacity that load is a part of."""

    line: CostLine | None
    capacity: Capacity | None

    def break_even_load(self, price_per_mtok: float | None) -> float | None:
        """Return the load from which own tokens are cheaper; never is said only where it is sure.

        Where the engine may do more than is known, a break-even beyond that is not known either. Where each
        token costs more in electricity than the API takes for it, no load helps.
        """
        load = break_even_load(self.line, price_per_mtok)
        if load is None or self.line is None or price_per_mtok is None or math.isfinite(load):
            return load
        pays_at_some_load = self.line.mtok_per_hour * price_per_mtok > self.line.load_cost_per_hour
        is_open = pays_at_some_load and self.capacity is not None and self.capacity.is_lower_bound
        return None if is_open else load


class _Window(Struct, frozen=True, kw_only=True):
    """What the rows of a window are made of, looked up once for all of them.

    Attributes:
        served: Tokens by engine and model.
        seconds: That it is about.
    """

    sums: Sums
    bills: Bills
    served: Mapping[tuple[str, str], float]
    seconds: float


def _row(
    window: _Window, keys: list[tuple[str, str]], *, label: tuple[str, str], capacity: Capacity | None
) -> WindowRow:
    sums = window.sums
    usage = _total_usage([sums.usage[key] for key in keys])
    money = total_money(sums.money[key] for key in keys if key in sums.money)
    tokens = tokens_of(usage)
    load = _load(tokens, capacity, window.seconds)
    totals = window_sums(usage, money, tokens)
    per_mtok = {
        (basis, base): cost_per_mtok(totals.costs, tokens, basis=basis, base=base) for basis, base in _PAIRS
    }
    line = cost_line(totals, load)
    by_input, by_output = (None, None) if label[0] == ALL else _phase_costs(usage, money, tokens)
    return WindowRow(
        engine=label[0],
        model=label[1],
        tokens=tokens,
        usage=usage,
        money=money,
        cost_per_mtok={key: value for key, value in per_mtok.items() if value is not None},
        load_ratio=load,
        references=_references(window, keys, totals, LoadLine(line, capacity)),
        input_cost_per_mtok=by_input,
        output_cost_per_mtok=by_output,
        capacity=capacity,
        line=line,
    )


def _total_usage(rows: Sequence[Usage]) -> Usage:
    if len(rows) == 1:
        return rows[0]
    total = Usage()
    for row in rows:
        add_rows(total, row)
    return total


def _load(tokens: Tokens, capacity: Capacity | None, seconds: float) -> float | None:
    if not seconds:
        return None
    return capacity_load(
        capacity,
        input_tokens_per_second=tokens.input_tokens / seconds,
        output_tokens_per_second=tokens.output_tokens / seconds,
    )


def _phase_costs(usage: Usage, money: Money, tokens: Tokens) -> tuple[float | None, float | None]:
    if usage.prefill_seconds is None or usage.decode_seconds is None:
        return None, None
    return phase_costs_per_mtok(
        money.whole_costs.full,
        tokens,
        prefill_seconds=usage.prefill_seconds,
        decode_seconds=usage.decode_seconds,
    )


def window_sums(usage: Usage, money: Money, tokens: Tokens) -> WindowSums:
    """Return what was summed up, as the line of cost against load takes it."""
    idle_seconds = (usage.idle_loaded_seconds or 0.0) + (usage.idle_empty_seconds or 0.0)
    joules = [usage.active_joules, usage.idle_loaded_joules, usage.idle_empty_joules]
    return WindowSums(
        costs=money.whole_costs,
        tokens=tokens,
        seconds=idle_seconds + (usage.active_seconds or 0.0),
        down_seconds=usage.down_seconds or 0.0,
        idle_seconds=idle_seconds,
        joules=known_sum(joules),
        idle_joules=known_sum(joules[1:]),
    )


def _references(
    window: _Window, keys: list[tuple[str, str]], totals: WindowSums, line: LoadLine
) -> tuple[ReferenceView, ...]:
    """Compare with every API that all tokens of these keys were priced at."""
    served = [(window.bills.get(key, {}), window.served[key]) for key in keys if window.served[key]]
    own_cost = totals.costs.full
    views = []
    for reference in sorted({name for bills, _ in served for name in bills}):
        priced = [(bills.get(reference, _NO_BILL), tokens) for bills, tokens in served]
        if all(bill.tokens == tokens for bill, tokens in priced):
            no_cache = whole_sum(bill.no_cache for bill, _ in priced)
            comparable = whole_sum(comparable_bill(bill, tokens) for bill, tokens in priced)
            views.append(_reference_view(reference, no_cache, comparable, totals.tokens, own_cost, line))
    return tuple(views)


def _reference_view(
    reference: str,
    no_cache: float | None,
    bill: float | None,
    tokens: Tokens,
    own_cost: float | None,
    line: LoadLine,
) -> ReferenceView:
    price = api_price_per_mtok(bill, tokens)
    return ReferenceView(
        reference=reference,
        price_per_mtok=price,
        price_per_mtok_no_cache=api_price_per_mtok(no_cache, tokens),
        ratio=break_even_ratio(bill, own_cost),
        break_even_load_ratio=line.break_even_load(price),
    )


def comparable_bill(bill: ApiBill, tokens: float) -> float | None:
    """Return the bill with the observed cache hits where the engine told them all, else without any."""
    return bill.observed_cache if bill.observed_tokens == tokens else bill.no_cache
