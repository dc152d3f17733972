"""From settings to a plan: a machine on paper beside the API models that it is compared with."""

from collections.abc import Iterator

from msgspec.structs import replace

from evenwatt.config import Settings
from evenwatt.economics.api import ApiCost, ReferencePrice, api_cost, batch_cost, request_cost
from evenwatt.economics.cost import Costs, PriceBook, model_rule
from evenwatt.economics.mixes import Mix
from evenwatt.economics.ownership import owned_parts
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
from evenwatt.economics.tokens import Tokens
from evenwatt.errors import ConfigError, SourceContractError
from evenwatt.readings.hardware_presets import machine_preset
from evenwatt.service.plan.machine import planned_machine
from evenwatt.service.plan.prices import PlannedPrices, planned_prices
from evenwatt.service.pricing import price_book
from evenwatt.snapshot.plan import PlannedReference, PlanView
from evenwatt.units import HOURS_PER_YEAR, TOKENS_PER_MTOK

__all__ = ["plan_view"]


def plan_view(settings: Settings, *, at_utc_seconds: float) -> PlanView:
    """Return what a machine on paper costs by its load, and from where on it is cheaper than the references.

    Args:
        settings: As loaded, with what the command line says.
        at_utc_seconds: When prices are read.

    Raises:
        ConfigError: A preset or references are not known; each fault begins with its key.
    """
    settings = replace(settings, month_hours=settings.plan.month_hours or settings.month_hours)
    prices = planned_prices(settings, at_utc_seconds)
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
        input_share=1.0 - machine.mix.output_share,
        cached_share=_cached_share(machine.mix),
        power=machine.power,
        price_per_kwh=None if tariff is None else price_per_kwh_at(tariff, at_utc_seconds),
        mtok_per_hour=machine.mtok_per_hour,
        most_mtok_per_month=most_mtok_per_month(machine),
        curve=cost_curve(machine, settings.plan.loads),
        idle_hour=idle_hour,
        full_hour=full_hour,
        idle_month=scaled_costs(idle_hour, machine.month_hours),
        full_month=scaled_costs(full_hour, machine.month_hours),
        missing=_missing(full_hour),
        references=tuple(_references(settings, machine, prices, demand)),
        demand=demand,
        demand_costs_per_mtok=None if demand is None else costs_per_mtok(machine, demand.load_of_each),
        lifetime_months=_lifetime_months(machine),
        month=None if demand is None else month_costs(machine, demand),
        year=None if demand is None else year_costs(machine, demand),
        assumptions=planned.assumptions,
        notes=(*planned.notes, *(f"{name} has no price yet, and is left out." for name in prices.absent)),
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


def _references(
    settings: Settings, machine: Machine, prices: PlannedPrices, demand: Demand | None
) -> Iterator[PlannedReference]:
    """Compare with every reference at the planned mix, in the order of the settings.

    Where the size of a request is planned, its long-context tier applies. The rule for `*` holds.
    """
    task = settings.plan.tokens_per_task
    size = None if task is None else task.input + task.output
    tokens = machine.mix.tokens(TOKENS_PER_MTOK if size is None else size)
    rule = model_rule(machine.book, "")
    names = rule.references
    for price in prices.prices:
        if names is not None and price.name not in names:
            continue
        bill = _bill(machine.book, tokens, price, rule.token_ratio, is_request=size is not None)
        batch = batch_cost(tokens, price, token_ratio=rule.token_ratio)
        yield PlannedReference(
            name=price.name,
            cached=_against(machine, tokens, _with_cache(bill), demand),
            no_cache=_against(machine, tokens, bill.no_cache, demand),
            batch=None if batch is None else _against(machine, tokens, _with_cache(batch), demand),
            note=prices.notes.get(price.name, ""),
        )


def _bill(
    book: PriceBook, tokens: Tokens, price: ReferencePrice, token_ratio: float, *, is_request: bool
) -> ApiCost:
    cost = request_cost if is_request else api_cost
    return cost(
        tokens,
        price,
        token_ratio=token_ratio,
        has_cache_write_surcharge=book.has_cache_write_surcharge,
    )


def _against(machine: Machine, tokens: Tokens, bill: float, demand: Demand | None) -> BreakEven:
    return break_even_against(machine, bill / tokens.total_tokens * TOKENS_PER_MTOK, demand)


def _with_cache(bill: ApiCost) -> float:
    return bill.no_cache if bill.observed_cache is None else bill.observed_cache


def _lifetime_months(machine: Machine) -> float | None:
    """Return over how many months the machine is written off, as far as it was bought."""
    lives = [part.lifetime_years for part in owned_parts(machine.book.hardware)]
    return max(lives) * HOURS_PER_YEAR / machine.month_hours if lives else None


def _cached_share(mix: Mix) -> float:
    """Return what of the input comes from the cache."""
    input_share = 1.0 - mix.output_share
    return (mix.cached_share or 0.0) / input_share if input_share else 0.0


def _missing(costs: Costs) -> tuple[str, ...]:
    named = {"hardware": costs.hardware, "electricity": costs.energy}
    return tuple(name for name, cost in named.items() if cost is None)
