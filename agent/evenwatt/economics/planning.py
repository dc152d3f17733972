"""What a machine would cost by the load that it is given, before anybody buys it: the calculator.

A machine is a line, `F + V x L` an hour for `T x L` million tokens, as in `breakeven`; here it comes from
prices and plate values instead of from what was observed. `math.inf` means never, None that it is not known.

Which tokens are meant: capacity counts what is worked on, computed input and output, because reading a prompt
from the cache costs next to nothing. Volumes, costs and API prices are by all tokens, the cached ones too.
With a share of the tokens cached, a machine therefore serves more than its capacity says: T is the capacity
over the computed share of the mix, and load is the computed part of what is asked for over the capacity.
"""

import math
from collections.abc import Iterable

from msgspec import Struct
from msgspec.structs import replace

from evenwatt.economics.breakeven import (
    CostLine,
    Purchase,
    break_even_load,
    break_even_mtok_per_month,
    payback_months,
    purchase_of,
)
from evenwatt.economics.cost import Costs, PriceBook, StateUse, minute_costs
from evenwatt.economics.effective import break_even_ratio
from evenwatt.economics.mixes import Mix
from evenwatt.economics.tariffs import Tariff, flat_tariff, mean_price_per_kwh
from evenwatt.model import State
from evenwatt.units import HOURS_PER_YEAR, SECONDS_PER_DAY, SECONDS_PER_HOUR, TOKENS_PER_MTOK

__all__ = [
    "BreakEven",
    "CurvePoint",
    "Demand",
    "Machine",
    "Power",
    "break_even_against",
    "computed_share",
    "cost_curve",
    "costs_per_mtok",
    "demand_on",
    "hour_costs",
    "machine_line",
    "mean_tariff",
    "mix_of_shares",
    "month_costs",
    "most_mtok_per_month",
    "scaled_costs",
    "year_costs",
]


_YEAR_SECONDS = HOURS_PER_YEAR * SECONDS_PER_HOUR


class Power(Struct, frozen=True, kw_only=True):
    """What the machine draws, without what the building draws on top.

    Attributes:
        idle_watts: With the model in memory and no request running.
        full_watts: At full load; between the two, power grows with load.
    """

    idle_watts: float
    full_watts: float

    def watts_at(self, load: float) -> float:
        """Return the power at a load from 0 to 1."""
        return self.idle_watts + (self.full_watts - self.idle_watts) * load


class Machine(Struct, frozen=True, kw_only=True):
    """A machine on paper.

    Attributes:
        book: All prices of the site; a tariff that changes with time counts with its mean.
        utc_seconds: When prices are read.
        capacity_tokens_per_second: Computed input and output together that it sustains at the mix.
        power: None: not known, and then no cost has electricity in it.
    """

    book: PriceBook
    utc_seconds: float
    capacity_tokens_per_second: float
    mix: Mix
    power: Power | None

    @property
    def mtok_per_hour(self) -> float:
        """All tokens at full load, the cached ones too."""
        computed_per_hour = self.capacity_tokens_per_second * SECONDS_PER_HOUR
        return computed_per_hour / computed_share(self.mix) / TOKENS_PER_MTOK

    @property
    def month_hours(self) -> float:
        """Hours in a month of cost."""
        return self.book.month_hours


class CurvePoint(Struct, frozen=True, kw_only=True):
    """What a million tokens cost at one load, by component."""

    load: float
    costs_per_mtok: Costs


class Demand(Struct, frozen=True, kw_only=True):
    """What is asked of the machine, and how many of its kind that takes.

    Attributes:
        load: Of one machine; above 1 it cannot be served.
        tokens_per_second: Computed input and output that are asked for, averaged over the day.
        machines: The fewest that serve it.
    """

    mtok_per_month: float
    load: float
    tokens_per_second: float
    machines: int

    @property
    def is_feasible(self) -> bool:
        """Whether one machine is enough."""
        return self.machines == 1

    @property
    def load_of_each(self) -> float:
        """Load where all machines share the work evenly."""
        return self.load / self.machines


class BreakEven(Struct, frozen=True, kw_only=True):
    """Our own machine against one price; `math.inf` means never.

    Attributes:
        price_per_mtok: The API's, at the mix.
        load: From which on our own tokens are cheaper.
        mtok_per_month: The same as a volume.
        keep_or_switch_load: The same once the machine is paid for; None where none is bought, or where
            electricity is not known, which is most of what is left to pay.
        ratio: API bill over own cost at the demand; None without one.
        payback_months: At the demand; None without one, and where nothing is bought.
    """

    price_per_mtok: float
    load: float
    mtok_per_month: float
    keep_or_switch_load: float | None = None
    ratio: float | None = None
    payback_months: float | None = None


def mix_of_shares(input_share: float, cached_share: float) -> Mix:
    """Return the mix that shares say as people do.

    Args:
        input_share: Of all tokens, input whether cached or not: 0.75 is three input tokens for one of output.
        cached_share: Of that input, what the engine's prefix cache serves.
    """
    cached = input_share * cached_share
    return Mix(input_share=input_share - cached, cached_share=cached, output_share=1.0 - input_share)


def computed_share(mix: Mix) -> float:
    """Return the share of all tokens that a machine has to work on: computed input, and output."""
    return mix.input_share + mix.output_share


def mean_tariff(tariff: Tariff | None, utc_seconds: float) -> Tariff | None:
    """Return a tariff with one price for all hours: a plan does not know in which of them it will be used."""
    if tariff is None:
        return None
    price_per_kwh = mean_price_per_kwh(tariff, utc_seconds, utc_seconds + _YEAR_SECONDS)
    return None if price_per_kwh is None else flat_tariff(price_per_kwh, pue=tariff.pue)


def hour_costs(machine: Machine, load: float) -> Costs:
    """Return what an hour at a load costs, by component: the machine is up, whether it is asked or not."""
    joules = None if machine.power is None else machine.power.watts_at(load) * SECONDS_PER_HOUR
    use = StateUse(seconds=SECONDS_PER_HOUR, joules=joules)
    book = replace(machine.book, tariff=mean_tariff(machine.book.tariff, machine.utc_seconds))
    return minute_costs(book, utc_seconds=machine.utc_seconds, uses={State.ACTIVE: use}).costs


def scaled_costs(costs: Costs, factor: float) -> Costs:
    """Return so many times the costs; what is not known stays unknown."""
    return Costs(
        hardware=_times(costs.hardware, factor),
        energy=_times(costs.energy, factor),
        labour=_times(costs.labour, factor),
        other=_times(costs.other, factor),
    )


def machine_line(machine: Machine) -> CostLine:
    """Return the cost line of a machine: F at no load, V the electricity that full load adds.

    A component that is not known is not in it, so that the line lies too low: it has to be shown with a word
    of what is missing.
    """
    idle, full = hour_costs(machine, 0.0), hour_costs(machine, 1.0)
    return CostLine(
        fixed_cost_per_hour=idle.known or 0.0,
        load_cost_per_hour=(full.energy or 0.0) - (idle.energy or 0.0),
        mtok_per_hour=machine.mtok_per_hour,
    )


def costs_per_mtok(machine: Machine, load: float) -> Costs:
    """Return what a million tokens cost at a load above 0, by component."""
    return scaled_costs(hour_costs(machine, load), 1 / (machine.mtok_per_hour * load))


def cost_curve(machine: Machine, loads: Iterable[float]) -> tuple[CurvePoint, ...]:
    """Return cost against load, the signature of a machine, at some loads above 0."""
    return tuple(CurvePoint(load=load, costs_per_mtok=costs_per_mtok(machine, load)) for load in loads)


def most_mtok_per_month(machine: Machine) -> float:
    """Return what one machine serves in a month of full load."""
    return machine.mtok_per_hour * machine.month_hours


def demand_on(machine: Machine, tokens_per_day: float) -> Demand:
    """Return what a daily volume, of all tokens, asks of a machine.

    It is spread over the day: a machine that is asked for everything at noon needs more.
    """
    computed_per_second = tokens_per_day * computed_share(machine.mix) / SECONDS_PER_DAY
    load = computed_per_second / machine.capacity_tokens_per_second
    days_per_month = machine.month_hours * SECONDS_PER_HOUR / SECONDS_PER_DAY
    return Demand(
        mtok_per_month=tokens_per_day * days_per_month / TOKENS_PER_MTOK,
        load=load,
        tokens_per_second=computed_per_second,
        # What fills a machine to the last digit still fits, whatever the rounding of the division says.
        machines=max(math.ceil(load * (1 - 1e-12)), 1),
    )


def break_even_against(machine: Machine, price_per_mtok: float, demand: Demand | None = None) -> BreakEven:
    """Return every form of break-even of a machine against one price.

    Args:
        machine: On paper.
        price_per_mtok: Of the API, at the machine's mix.
        demand: What the machine is planned for; where it takes several machines, all of them are paid for.
    """
    line = machine_line(machine)
    purchase = purchase_of(machine.book.hardware, machine.utc_seconds)
    return BreakEven(
        price_per_mtok=price_per_mtok,
        load=break_even_load(line, price_per_mtok),
        mtok_per_month=break_even_mtok_per_month(line, price_per_mtok, month_hours=machine.month_hours),
        keep_or_switch_load=(
            None
            if purchase is None or machine.power is None
            else _keep_or_switch_load(machine, line, price_per_mtok)
        ),
        ratio=None if demand is None else _ratio(machine, demand, price_per_mtok),
        payback_months=(
            None
            if demand is None or purchase is None or machine.power is None
            else _payback_months(machine, demand, purchase, price_per_mtok)
        ),
    )


def month_costs(machine: Machine, demand: Demand) -> Costs:
    """Return a month's bill for as many machines as the demand takes, by component."""
    return scaled_costs(hour_costs(machine, demand.load_of_each), demand.machines * machine.month_hours)


def year_costs(machine: Machine, demand: Demand) -> Costs:
    """Return the bill of a year of 8,760 hours, by component."""
    return scaled_costs(month_costs(machine, demand), HOURS_PER_YEAR / machine.month_hours)


def _keep_or_switch_load(machine: Machine, line: CostLine, price_per_mtok: float) -> float:
    hardware_per_hour = hour_costs(machine, 0.0).hardware or 0.0
    kept = replace(line, fixed_cost_per_hour=max(line.fixed_cost_per_hour - hardware_per_hour, 0.0))
    return break_even_load(kept, price_per_mtok)


def _ratio(machine: Machine, demand: Demand, price_per_mtok: float) -> float | None:
    return break_even_ratio(price_per_mtok * demand.mtok_per_month, month_costs(machine, demand).known)


def _payback_months(
    machine: Machine, demand: Demand, purchase: Purchase, price_per_mtok: float
) -> float | None:
    running = replace(month_costs(machine, demand), hardware=None).known or 0.0
    maintenance = purchase.maintenance_per_hour * machine.month_hours * demand.machines
    return payback_months(
        purchase_price=purchase.price * demand.machines,
        api_bill_per_month=price_per_mtok * demand.mtok_per_month,
        running_cost_per_month=running + maintenance,
    )


def _times(value: float | None, factor: float) -> float | None:
    return None if value is None else value * factor
