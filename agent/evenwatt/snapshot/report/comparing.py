"""The machine of a window against the APIs: its load, its line of cost against load, and each comparison."""

import math
from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct

from evenwatt.economics.breakeven import (
    CostLine,
    WindowSums,
    break_even_mtok_per_month,
    cost_line,
    cost_per_mtok_at_load,
    keep_or_switch_costs,
    payback_months,
)
from evenwatt.economics.effective import api_price_per_mtok, break_even_ratio
from evenwatt.economics.fitting import (
    FitRefused,
    PowerFit,
    PowerPoint,
    fitted_power,
    with_fitted_idle,
)
from evenwatt.economics.sensitivity import Facts, Sensitivity, sensitivities
from evenwatt.economics.sums import whole_sum
from evenwatt.economics.whatif import CostParts
from evenwatt.model import UNALLOCATED
from evenwatt.snapshot.report.comparison import Comparison, CostCurve, CurvePoint, IdlePower
from evenwatt.snapshot.report.hours import HourRow
from evenwatt.snapshot.report.owning import Owning
from evenwatt.snapshot.report.totalling import machine_money, machine_usage
from evenwatt.snapshot.sums import ApiBill, Sums, tokens_of
from evenwatt.snapshot.windows import ALL, LoadLine, WindowRow, WindowView, comparable_bill, window_sums
from evenwatt.units import JOULES_PER_KWH, SECONDS_PER_HOUR

__all__ = ["Machine", "comparisons_of", "curve_of", "machine_of", "month_share", "power_points"]

LEAST_IDLE_SECONDS = 600.0
"""Idle time that is shorter tells more of starting and stopping than of idling."""

WHOLE_HOUR = 0.99


class Machine(Struct, frozen=True, kw_only=True):
    """The machine as one, over a window.

    Attributes:
        sums: Of it, with the idle power that is believed.
        load_ratio: Of its busiest engine, which is full first while the mix of engines stays as it is; None
            where the capacity of an engine that served is not known.
        line: Cost against that load; None where a cost or the load is not known.
        idle_power: From both sides.
        idle_energy_cost: The part of the electricity that no load would have cost as well.
        accounted_seconds: Of the window.
    """

    sums: WindowSums
    load_ratio: float | None
    line: LoadLine
    idle_power: IdlePower
    idle_energy_cost: float | None
    accounted_seconds: float

    @property
    def idle_watts(self) -> float | None:
        """The idle power that is used."""
        if self.idle_power.used == "fitted" and self.idle_power.fit is not None:
            return self.idle_power.fit.idle_watts
        return self.idle_power.observed_watts

    @property
    def price_per_kwh(self) -> float | None:
        """Paid on average for what the machine drew, overheads included."""
        energy, joules = self.sums.costs.energy, self.sums.joules
        return None if energy is None or not joules else energy / (joules / JOULES_PER_KWH)

    @property
    def is_load_upper_bound(self) -> bool:
        """Whether its engine may do more than was ever seen."""
        return self.line.capacity is not None and self.line.capacity.is_lower_bound


def power_points(hours: Iterable[HourRow]) -> list[PowerPoint]:
    """Return the whole hours that were watched and measured throughout, for the fit of power over load."""
    least = WHOLE_HOUR * SECONDS_PER_HOUR
    return [
        PowerPoint(tokens_per_second=row.computed_tokens / row.seconds, watts=row.joules / row.seconds)
        for row in hours
        if row.joules is not None
        and row.seconds is not None
        and row.seconds >= least
        and not row.estimated_seconds
        and not row.down_seconds
    ]


def machine_of(sums: Sums, view: WindowView, hours: Sequence[HourRow]) -> Machine:
    """Return the machine as one.

    Args:
        sums: Of the window.
        view: Of the same, with the loads of its engines.
        hours: Of the same.
    """
    usage = machine_usage(sums)
    observed = window_sums(usage, machine_money(sums), tokens_of(usage))
    idle = _idle_power(observed, hours)
    believed = observed
    if idle.used == "fitted" and idle.fit is not None:
        believed = with_fitted_idle(observed, idle.fit)
    busiest = _busiest(view)
    load = None if busiest is None else busiest.load_ratio
    at_any_load = cost_line(believed, 1.0)
    hours_passed = believed.seconds / SECONDS_PER_HOUR
    time_cost = believed.costs.time
    return Machine(
        sums=believed,
        load_ratio=load,
        line=LoadLine(cost_line(believed, load), None if busiest is None else busiest.capacity),
        idle_power=idle,
        idle_energy_cost=(
            None
            if at_any_load is None or time_cost is None
            else max(at_any_load.fixed_cost_per_hour * hours_passed - time_cost, 0.0)
        ),
        accounted_seconds=sums.host.seconds or 0.0,
    )


def comparisons_of(sums: Sums, machine: Machine, owning: Owning) -> tuple[Comparison, ...]:
    """Compare with every API that all tokens were priced at, the cheapest first."""
    found = [
        _comparison(reference, bills, machine, owning) for reference, bills in _whole_bills(sums).items()
    ]
    return tuple(sorted(found, key=lambda item: (item.api_cost or 0.0, item.reference)))


def curve_of(machine: Machine, comparisons: Iterable[Comparison], owning: Owning) -> CostCurve | None:
    """Return cost against load, with the observed point on it; None where either is not known."""
    line, load = machine.line.line, machine.load_ratio
    if line is None or not load:
        return None
    return CostCurve(
        points=tuple(_point(line, percent / 100) for percent in range(1, 101)),
        observed=_point(line, load),
        api_prices={
            item.reference: item.price_per_mtok for item in comparisons if item.price_per_mtok is not None
        },
        line=line,
        is_load_upper_bound=machine.is_load_upper_bound,
        parts=_parts(machine, line, owning),
    )


def _parts(machine: Machine, line: CostLine, owning: Owning) -> CostParts:
    """Return what a line is made of; none of its costs is unknown, as there would be no line."""
    hours = machine.sums.seconds / SECONDS_PER_HOUR
    costs = machine.sums.costs
    hardware, labour, other = ((cost or 0.0) / hours for cost in (costs.hardware, costs.labour, costs.other))
    return CostParts(
        hardware_cost_per_hour=hardware,
        labour_cost_per_hour=labour,
        other_cost_per_hour=other,
        idle_energy_cost_per_hour=max(line.fixed_cost_per_hour - hardware - labour - other, 0.0),
        load_energy_cost_per_hour=line.load_cost_per_hour,
        mtok_per_hour=line.mtok_per_hour,
        price_per_kwh=machine.price_per_kwh,
        purchase_price=owning.purchase_price,
    )


def _point(line: CostLine, load: float) -> CurvePoint:
    return CurvePoint(load_ratio=load, cost_per_mtok=cost_per_mtok_at_load(line, load) or math.inf)


def _busiest(view: WindowView) -> WindowRow | None:
    """Return the engine that is full first; None where the load of one that served is not known."""
    serving = [
        row
        for row in view.rows
        if row.model == ALL and row.engine not in {ALL, UNALLOCATED} and row.tokens.total_tokens
    ]
    if not serving or any(row.load_ratio is None for row in serving):
        return None
    return max(serving, key=lambda row: row.load_ratio or 0.0)


def _idle_power(sums: WindowSums, hours: Iterable[HourRow]) -> IdlePower:
    fit = fitted_power(power_points(hours))
    seconds = sums.idle_seconds - sums.down_seconds
    observed = sums.idle_joules / seconds if sums.idle_joules is not None and seconds > 0 else None
    found = fit if isinstance(fit, PowerFit) else None
    is_long_enough = seconds >= LEAST_IDLE_SECONDS or found is None
    return IdlePower(
        used=(
            "observed" if observed is not None and is_long_enough else "none" if found is None else "fitted"
        ),
        observed_watts=observed,
        fit=found,
        refused=fit.reason if isinstance(fit, FitRefused) else None,
    )


class _Bills(Struct, frozen=True):
    no_cache: float | None
    comparable: float | None
    is_observed: bool


def _whole_bills(sums: Sums) -> Mapping[str, _Bills]:
    """Return the bills of every reference that all tokens were priced at."""
    served = {key: tokens_of(usage).total_tokens for key, usage in sums.usage.items()}
    served = {key: tokens for key, tokens in served.items() if tokens}
    whole = {}
    for reference in {name for *key, name in sums.api if tuple(key) in served}:
        bills = {key: sums.api.get((*key, reference), ApiBill()) for key in served}
        if all(bills[key].tokens == tokens for key, tokens in served.items()):
            whole[reference] = _Bills(
                no_cache=whole_sum(bill.no_cache for bill in bills.values()),
                comparable=whole_sum(comparable_bill(bills[key], served[key]) for key in served),
                is_observed=all(bill.observed_tokens == bill.tokens for bill in bills.values()),
            )
    return whole


def _comparison(reference: str, bills: _Bills, machine: Machine, owning: Owning) -> Comparison:
    tokens, costs = machine.sums.tokens, machine.sums.costs
    price = api_price_per_mtok(bills.comparable, tokens)
    load = machine.line.break_even_load(price)
    is_bought = owning.purchase_price is not None
    running = keep_or_switch_costs(costs).full if is_bought else None
    return Comparison(
        reference=reference,
        price_per_mtok=price,
        price_per_mtok_no_cache=api_price_per_mtok(bills.no_cache, tokens),
        api_cost=bills.comparable,
        api_cost_no_cache=bills.no_cache,
        own_cost=costs.full,
        ratio=break_even_ratio(bills.comparable, costs.full),
        ratio_no_cache=break_even_ratio(bills.no_cache, costs.full),
        saved=_less(bills.comparable, costs.full),
        saved_no_cache=_less(bills.no_cache, costs.full),
        break_even_load_ratio=load,
        break_even_mtok_per_month=(
            None
            if load is None
            else break_even_mtok_per_month(machine.line.line, price, month_hours=owning.month_hours)
        ),
        payback_months=_payback(bills.comparable, running, machine, owning),
        keep_saved=_less(bills.comparable, running),
        is_observed_cache=bills.is_observed,
        sensitivities=_sensitivities(bills.comparable, price, machine, owning),
    )


def _payback(bill: float | None, running: float | None, machine: Machine, owning: Owning) -> float | None:
    months = month_share(machine.accounted_seconds, owning.month_hours)
    if bill is None or running is None or owning.purchase_price is None or not months:
        return None
    return payback_months(
        purchase_price=owning.purchase_price,
        api_bill_per_month=bill / months,
        running_cost_per_month=(running + owning.maintenance_cost) / months,
    )


def _sensitivities(
    bill: float | None, price: float | None, machine: Machine, owning: Owning
) -> tuple[Sensitivity, ...]:
    costs = machine.sums.costs
    parts = (costs.hardware, costs.energy, costs.labour, costs.other)
    if bill is None or None in parts:
        return ()
    facts = Facts(
        api_cost=bill,
        hardware_cost=costs.hardware or 0.0,
        energy_cost=costs.energy or 0.0,
        labour_cost=costs.labour or 0.0,
        other_cost=costs.other or 0.0,
        idle_energy_cost=machine.idle_energy_cost,
        load_ratio=machine.load_ratio,
        is_load_upper_bound=machine.is_load_upper_bound,
        api_price_per_mtok=price,
        price_per_kwh=machine.price_per_kwh,
        idle_watts=machine.idle_watts,
        month_share=month_share(machine.accounted_seconds, owning.month_hours),
    )
    return sensitivities(facts)


def month_share(seconds: float, month_hours: float) -> float:
    """Return a time in months."""
    return seconds / SECONDS_PER_HOUR / month_hours


def _less(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one - other
