"""What a report says of other ways to run the machine, and what a team needs to decide."""

from collections.abc import Iterable, Mapping

from evenwatt.economics.scenarios import (
    FleetUse,
    GpuHardware,
    QuietHours,
    Scenario,
    StatePower,
    gpus_changed,
    sleeping,
    unloading,
)
from evenwatt.model import State
from evenwatt.snapshot.report.calendar import HoursOfWeek, hours_sum
from evenwatt.snapshot.report.comparing import Machine, month_share
from evenwatt.snapshot.report.comparison import Comparison, Decision, MonthlyBill
from evenwatt.snapshot.report.hours import HourRow, ModelHours
from evenwatt.snapshot.report.owning import Owning
from evenwatt.snapshot.report.shapes import machine_cells, model_shapes, traffic_shape
from evenwatt.snapshot.report.values import ReportTotals
from evenwatt.units import JOULES_PER_KWH, SECONDS_PER_HOUR

__all__ = ["decision_on", "quiet_hours", "scenarios_of"]

LEAST_TIMES = 2
"""An hour of the week or day counts as quiet when it was so at least this often."""

WEEKS_HOURS = 14 * 24
"""From two weeks on the hours of the week are looked at, before that those of the day."""


def quiet_hours(hours: HoursOfWeek, *, is_given_back: bool) -> QuietHours | None:
    """Return the hours of the week, or in less than two weeks of the day, that never saw a token.

    Args:
        hours: Of the window.
        is_given_back: Whether the machine's rent ends while it is off, and so would be saved too.
    """
    by_week = sum(map(len, hours.values())) >= WEEKS_HOURS
    cells: dict[int, list[HourRow]] = {}
    for number, rows in hours.items():
        cells.setdefault(number if by_week else number % 24, []).extend(rows)
    seen_often = [rows for rows in cells.values() if len(rows) >= LEAST_TIMES]
    if not seen_often:
        return None
    quiet = [row for rows in seen_often if not any(r.total_tokens for r in rows) for row in rows]
    total = hours_sum(quiet)
    up_seconds = (total.seconds or 0.0) - (total.down_seconds or 0.0)
    rent = total.hardware_cost or 0.0 if is_given_back else 0.0
    return QuietHours(
        hours=up_seconds / SECONDS_PER_HOUR,
        kwh=None if total.joules is None else total.joules / JOULES_PER_KWH,
        cost=None if total.energy_cost is None else total.energy_cost + rent,
        looked_at="hours of the week" if by_week else "hours of the day",
    )


def scenarios_of(
    totals: ReportTotals, machine: Machine, owning: Owning, quiet: QuietHours | None, *, gpus: int
) -> tuple[Scenario, ...]:
    """Return all scenarios; one that cannot be told says why.

    Args:
        totals: Of the window.
        machine: Of the same.
        owning: How it is had.
        quiet: Its quiet hours.
        gpus: How many there are; 0 where none is known.
    """
    sums = machine.sums
    idle_watts, kwh = machine.idle_watts, totals.kwh
    gpu_share = 1.0 if not kwh or totals.gpu_kwh is None else min(totals.gpu_kwh / kwh, 1.0)
    fleet = FleetUse(
        costs=totals.costs,
        tokens=totals.tokens.total_tokens,
        month_share=month_share(machine.accounted_seconds, owning.month_hours),
        gpus=gpus or None,
        gpu_idle_watts=None if idle_watts is None else idle_watts * gpu_share,
        up_seconds=sums.seconds - sums.down_seconds,
        price_per_kwh=machine.price_per_kwh,
        even_price_per_kwh=owning.even_price_per_kwh,
        load_ratio=machine.load_ratio,
        gpu_hardware=_gpu_hardware(totals, owning),
    )
    power = {share.state: share for share in totals.states}
    loaded, empty = (
        StatePower(
            seconds=power[state].seconds - (sums.down_seconds if state is State.IDLE_EMPTY else 0.0),
            joules=None if (drawn := power[state].kwh) is None else drawn * JOULES_PER_KWH,
        )
        for state in (State.IDLE_LOADED, State.IDLE_EMPTY)
    )
    return (
        sleeping(fleet, quiet),
        unloading(fleet, loaded, empty),
        gpus_changed(fleet, added=1),
        gpus_changed(fleet, added=-1),
    )


def decision_on(
    machine: Machine,
    comparisons: Iterable[Comparison],
    owning: Owning,
    *,
    hours: HoursOfWeek,
    by_model: ModelHours,
    tokens: Mapping[tuple[str, str], float],
) -> Decision:
    """Return what a team needs to decide.

    Args:
        machine: Over the window.
        comparisons: Of it.
        owning: How it is had.
        hours: Of the window.
        by_model: What each model served by hour of the week.
        tokens: Of each engine and model.
    """
    months = month_share(machine.accounted_seconds, owning.month_hours)
    full, fixed = machine.sums.costs.full, _fixed_cost(machine)
    cells, passed = machine_cells(hours)
    return Decision(
        month_share=months,
        bills=tuple(
            MonthlyBill(
                reference=item.reference,
                observed_cache=_scaled(item.api_cost, months),
                no_cache=_scaled(item.api_cost_no_cache, months),
            )
            for item in comparisons
        ),
        own_cost_per_month=_scaled(full, months),
        fixed_cost=fixed,
        variable_cost=None if full is None or fixed is None else full - fixed,
        traffic=traffic_shape(cells, passed),
        models=model_shapes(by_model, passed, tokens),
    )


def _gpu_hardware(totals: ReportTotals, owning: Owning) -> GpuHardware | None:
    parts, cost = owning.gpu_parts, totals.costs.hardware
    if parts is None or cost is None:
        return None
    return GpuHardware(names=parts.names, cost=cost * parts.cost_share, cost_when_new=parts.cost_when_new)


def _fixed_cost(machine: Machine) -> float | None:
    time_cost = machine.sums.costs.time
    if time_cost is None or machine.idle_energy_cost is None:
        return None
    return time_cost + machine.idle_energy_cost


def _scaled(cost: float | None, months: float) -> float | None:
    return None if cost is None or not months else cost / months
