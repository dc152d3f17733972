"""From settings to a plan: a machine on paper beside the API models that it is compared with."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

from evenwatt.config import Settings
from evenwatt.economics.api import ApiCost, ReferencePrice
from evenwatt.economics.cost import Costs, api_costs
from evenwatt.economics.planning import (
    BreakEven,
    Demand,
    Machine,
    break_even_against,
    cost_curve,
    costs_per_mtok,
    demand_on,
    hour_costs,
    mean_tariff,
    month_costs,
    most_mtok_per_month,
    scaled_costs,
    year_costs,
)
from evenwatt.economics.tariffs import price_per_kwh_at
from evenwatt.errors import ConfigError, SourceContractError
from evenwatt.readings.hardware_presets import machine_preset
from evenwatt.service.planned_machine import planned_machine
from evenwatt.service.planned_prices import PlannedPrices, planned_prices
from evenwatt.service.pricing import price_book
from evenwatt.snapshot.plan import PlannedReference, PlanView
from evenwatt.units import TOKENS_PER_MTOK

__all__ = ["plan_view"]

_PICTURED_LOADS = tuple(percent / 100 for percent in range(1, 101))


def plan_view(settings: Settings, *, at_utc_seconds: float) -> PlanView:
    """Return what a machine on paper costs by its load, and from where on it is cheaper than the references.

    Args:
        settings: As loaded, with what the command line says.
        at_utc_seconds: When prices are read.

    Raises:
        ConfigError: A preset or references are not known; each fault begins with its key.
    """
    settings = settings.model_copy(update={"month_hours": settings.plan.month_hours or settings.month_hours})
    prices = planned_prices(settings, at=datetime.fromtimestamp(at_utc_seconds, tz=UTC))
    faults = (*_preset_faults(settings), *(f"references: {fault}" for fault in prices.faults))
    if faults:
        raise ConfigError(faults)
    planned = planned_machine(settings, price_book(settings, (), ()), at_utc_seconds)
    machine, demand = planned.machine, _demand(settings, planned.machine)
    tariff = mean_tariff(machine.book.tariff, at_utc_seconds)
    idle_hour, full_hour = hour_costs(machine, 0.0), hour_costs(machine, 1.0)
    return PlanView(
        currency=settings.currency,
        month_hours=machine.month_hours,
        machine=planned.words,
        preset=planned.preset,
        capacity_tokens_per_second=machine.capacity_tokens_per_second,
        mix=machine.mix,
        power=machine.power,
        price_per_kwh=None if tariff is None else price_per_kwh_at(tariff, at_utc_seconds),
        mtok_per_hour=machine.mtok_per_hour,
        most_mtok_per_month=most_mtok_per_month(machine),
        curve=cost_curve(machine, settings.plan.loads),
        picture=cost_curve(machine, _PICTURED_LOADS),
        idle_hour=idle_hour,
        full_hour=full_hour,
        idle_month=scaled_costs(idle_hour, machine.month_hours),
        full_month=scaled_costs(full_hour, machine.month_hours),
        missing=_missing(full_hour),
        references=tuple(_references(machine, prices, demand)),
        demand=demand,
        demand_costs_per_mtok=None if demand is None else costs_per_mtok(machine, demand.load_of_each),
        month=None if demand is None else month_costs(machine, demand),
        year=None if demand is None else year_costs(machine, demand),
        assumptions=planned.assumptions,
        notes=planned.notes,
    )


def _preset_faults(settings: Settings) -> Iterator[str]:
    if settings.plan.preset is not None:
        try:
            machine_preset(settings.plan.preset)
        except SourceContractError as fault:
            yield f"plan.preset: {fault}"


def _demand(settings: Settings, machine: Machine) -> Demand | None:
    plan = settings.plan
    if plan.tokens_per_day is not None:
        return demand_on(machine, plan.tokens_per_day)
    if plan.tasks_per_day is not None and plan.tokens_per_task is not None:
        task = plan.tokens_per_task
        return demand_on(machine, plan.tasks_per_day * (task.input + task.output))
    return None


def _references(machine: Machine, prices: PlannedPrices, demand: Demand | None) -> Iterator[PlannedReference]:
    """Compare with every reference at the planned mix, in the order of the settings."""
    standard = _bills(machine, prices.standard)
    batch = _bills(machine, prices.batch)
    for name, bill in standard.items():
        yield PlannedReference(
            name=name,
            cached=break_even_against(machine, _with_cache(bill), demand),
            no_cache=break_even_against(machine, bill.no_cache, demand),
            batch=_against_batch(machine, batch.get(name), demand),
            note=prices.notes.get(name, ""),
        )


def _bills(machine: Machine, prices: list[ReferencePrice]) -> dict[str, ApiCost]:
    """Return what a million tokens of the mix cost at each; the rule for all models (`*`) holds."""
    tokens = machine.mix.tokens(TOKENS_PER_MTOK)
    book = replace(machine.book, references=tuple(prices))
    return api_costs(book, utc_seconds=machine.utc_seconds, model="", tokens=tokens)


def _with_cache(bill: ApiCost) -> float:
    return bill.no_cache if bill.observed_cache is None else bill.observed_cache


def _against_batch(machine: Machine, bill: ApiCost | None, demand: Demand | None) -> BreakEven | None:
    return None if bill is None else break_even_against(machine, _with_cache(bill), demand)


def _missing(costs: Costs) -> tuple[str, ...]:
    named = {"hardware": costs.hardware, "electricity": costs.energy}
    return tuple(name for name, cost in named.items() if cost is None)
