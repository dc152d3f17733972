"""How much has to be served before our own machine is cheaper than an API; "never" is an answer.

Throughout, `math.inf` means never, and None means that it cannot be known.
"""

import math
from typing import overload

from msgspec import Struct
from msgspec.structs import replace

from evenwatt.economics.cost import Costs
from evenwatt.economics.ownership import Hardware, bought_by, written_off
from evenwatt.economics.running import MONTH_HOURS
from evenwatt.economics.tokens import Tokens
from evenwatt.units import HOURS_PER_YEAR, SECONDS_PER_HOUR, TOKENS_PER_MTOK

__all__ = [
    "CostLine",
    "Purchase",
    "WindowSums",
    "break_even_load",
    "break_even_mtok_per_month",
    "cost_line",
    "cost_per_mtok_at_load",
    "keep_or_switch_costs",
    "payback_months",
    "purchase_of",
    "token_load",
]


class WindowSums(Struct, frozen=True, kw_only=True):
    """What was summed up for an engine over a window.

    Attributes:
        seconds: All of its share of the machine's time.
        down_seconds: The part of them in which the machine was off.
        idle_seconds: The part of them in which no request ran, `down_seconds` included.
        joules: None where not measured.
        idle_joules: The part of them drawn in `idle_seconds`; None where not measured.
    """

    costs: Costs
    tokens: Tokens
    seconds: float
    down_seconds: float = 0.0
    idle_seconds: float = 0.0
    joules: float | None = None
    idle_joules: float | None = None


class CostLine(Struct, frozen=True, kw_only=True):
    """What an hour costs and yields at a token load L: `fixed + load x L` for `mtok x L`.

    Attributes:
        fixed_cost_per_hour: F: hardware, labour, other, and electricity at no load.
        load_cost_per_hour: V: the electricity that full load draws on top.
        mtok_per_hour: T: million tokens (`total` base) at full load and the observed mix.
    """

    fixed_cost_per_hour: float
    load_cost_per_hour: float
    mtok_per_hour: float

    @property
    def marginal_cost_per_mtok(self) -> float | None:
        """What a million tokens more cost, V / T: electricity of load alone; None where none were served."""
        return self.load_cost_per_hour / self.mtok_per_hour if self.mtok_per_hour else None


class Purchase(Struct, frozen=True, kw_only=True):
    """What a machine that was bought took at once, and what keeping it takes on.

    Attributes:
        price: Paid once.
        maintenance_per_hour: Paid for as long as the machine is kept; part of its hardware cost, but not of
            what its price has to earn back.
    """

    price: float
    maintenance_per_hour: float = 0.0


def token_load(
    *,
    input_tokens_per_second: float,
    output_tokens_per_second: float,
    capacity_tokens_per_second: float | None = None,
    prefill_tokens_per_second: float | None = None,
    decode_tokens_per_second: float | None = None,
) -> float | None:
    """Return the served share of what could be served; None while no capacity is known.

    a / Cp + b / Cd where both phases' capacities are known, else (a + b) / C. More than 1 tells that the
    capacity is set too low. NVML's utilization is not load: it shows that any kernel ran.

    Args:
        input_tokens_per_second: a: computed input, averaged over the window with its idle time.
        output_tokens_per_second: b: output, likewise.
        capacity_tokens_per_second: C: computed input and output together, at the usual mix.
        prefill_tokens_per_second: Cp: sustainable with prefill alone.
        decode_tokens_per_second: Cd: sustainable with decode alone.
    """
    if prefill_tokens_per_second and decode_tokens_per_second:
        return (
            input_tokens_per_second / prefill_tokens_per_second
            + output_tokens_per_second / decode_tokens_per_second
        )
    if capacity_tokens_per_second:
        return (input_tokens_per_second + output_tokens_per_second) / capacity_tokens_per_second
    return None


def cost_line(sums: WindowSums, load: float | None) -> CostLine | None:
    """Return the line through what was observed: at the observed load it gives the observed cost.

    Electricity at no load is the power observed while idle, at the window's average price. Where the machine
    was never seen idle, or its energy was not measured, all of its electricity counts as fixed: that puts the
    break-even load too high rather than too low. None where a cost or the load is not known, or nothing ran.
    """
    time_cost, energy_cost = sums.costs.time, sums.costs.energy
    if time_cost is None or energy_cost is None or not load or not sums.seconds:
        return None
    idle_energy_cost = energy_cost * _idle_energy_ratio(sums)
    hours = sums.seconds / SECONDS_PER_HOUR
    return CostLine(
        fixed_cost_per_hour=(time_cost + idle_energy_cost) / hours,
        load_cost_per_hour=(energy_cost - idle_energy_cost) / hours / load,
        mtok_per_hour=sums.tokens.total_tokens / TOKENS_PER_MTOK / hours / load,
    )


def cost_per_mtok_at_load(line: CostLine, load: float) -> float | None:
    """Return what a million tokens would cost at a load: (F + V L) / (T L); None at no load."""
    mtok = line.mtok_per_hour * load
    return (line.fixed_cost_per_hour + line.load_cost_per_hour * load) / mtok if mtok else None


@overload
def break_even_load(line: CostLine, price_per_mtok: float) -> float: ...
@overload
def break_even_load(line: CostLine | None, price_per_mtok: float | None) -> float | None: ...
def break_even_load(line: CostLine | None, price_per_mtok: float | None) -> float | None:
    """Return the load from which on our own tokens are cheaper: F / (T p - V).

    Never where even full load does not pay: T p <= V, or a load above 1. From no load on where what is fixed
    costs nothing, or less: electricity whose price is negative.

    Args:
        line: What our own tokens cost.
        price_per_mtok: p: the API's, at the same mix and by the same token base.
    """
    if line is None or price_per_mtok is None:
        return None
    margin_per_hour = line.mtok_per_hour * price_per_mtok - line.load_cost_per_hour
    if margin_per_hour <= 0 or line.fixed_cost_per_hour > margin_per_hour:
        return math.inf
    return max(line.fixed_cost_per_hour / margin_per_hour, 0.0)


@overload
def break_even_mtok_per_month(
    line: CostLine, price_per_mtok: float, *, month_hours: float = MONTH_HOURS
) -> float: ...
@overload
def break_even_mtok_per_month(
    line: CostLine | None, price_per_mtok: float | None, *, month_hours: float = MONTH_HOURS
) -> float | None: ...
def break_even_mtok_per_month(
    line: CostLine | None, price_per_mtok: float | None, *, month_hours: float = MONTH_HOURS
) -> float | None:
    """Return the million tokens a month from which on our own are cheaper: 730 F / (p - V / T).

    It does not depend on the load of today. Never where the machine could not serve that many.
    """
    load = break_even_load(line, price_per_mtok)
    if line is None or load is None or math.isinf(load):
        return load
    return load * line.mtok_per_hour * month_hours


def payback_months(
    *, purchase_price: float, api_bill_per_month: float, running_cost_per_month: float
) -> float:
    """Return the months until the avoided API bill has paid for the machine: P / (bill - running cost).

    Never where running the machine costs as much as the API does.

    Args:
        purchase_price: What is paid once.
        api_bill_per_month: What the same tokens would cost there.
        running_cost_per_month: Electricity, labour, other and maintenance, without the price of the hardware.
    """
    saving_per_month = api_bill_per_month - running_cost_per_month
    return purchase_price / saving_per_month if saving_per_month > 0 else math.inf


def purchase_of(hardware: Hardware | None, utc_seconds: float) -> Purchase | None:
    """Return what has to be paid back at a moment; None where nothing was bought, or its price is left out.

    A part that is written off was paid for all the same, and its maintenance is no cost any more; one that is
    yet to be bought is no part of it.
    """
    parts = bought_by(hardware, utc_seconds)
    if not parts:
        return None
    ended = written_off(hardware, utc_seconds)
    kept = [part for part in parts if part not in ended]
    return Purchase(
        price=sum(part.purchase_price for part in parts),
        maintenance_per_hour=sum(part.maintenance_per_year * part.purchase_price for part in kept)
        / HOURS_PER_YEAR,
    )


def keep_or_switch_costs(costs: Costs) -> Costs:
    """Return the costs of going on with a machine that is paid for: its price is spent either way."""
    return replace(costs, hardware=0.0)


def _idle_energy_ratio(sums: WindowSums) -> float:
    """Return the share of the energy that would have been drawn without any load; at most all of it."""
    idle_up_seconds = sums.idle_seconds - sums.down_seconds
    if not sums.joules or sums.idle_joules is None or idle_up_seconds <= 0:
        return 1.0
    idle_watts = sums.idle_joules / idle_up_seconds
    return min(idle_watts * (sums.seconds - sums.down_seconds) / sums.joules, 1.0)
