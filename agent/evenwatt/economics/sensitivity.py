"""Which input would move the verdict: how far each one, alone, is from where both sides cost the same.

R is the API's bill A over our own cost C. An input is scaled by a factor x, all others staying as they are:

    API price     R(x) = x A / C                    x* = C / A
    load          R(x) = x A / (C - V + x V)        x* = (C - V) / (A - V)
    a part p      R(x) = A / (C - p + x p)          x* = (A - (C - p)) / p

with V the electricity that load draws on top of idling, and p one part of the own cost: all electricity, idle
electricity, hardware, labour. x* is where R(x) = 1; `math.inf` says that no value of this input alone gets
there. The elasticity is the per cent by which R changes for one per cent of the input, at x = 1.
"""

import math
from collections.abc import Iterator
from enum import StrEnum

from msgspec import Struct

__all__ = ["Facts", "Input", "Sensitivity", "sensitivities"]


class Input(StrEnum):
    """What is varied; the value's unit is told with each."""

    API_PRICE = "api_price"
    """Currency per Mtok, at the mix that was served."""
    LOAD = "load"
    """Token load, 0 to 1."""
    ELECTRICITY_PRICE = "electricity_price"
    """Currency per kWh that the machine drew, overheads (PUE) included."""
    IDLE_POWER = "idle_power"
    """Watts without load."""
    HARDWARE_PRICE = "hardware_price"
    """Currency per month, as depreciation or rent."""
    LABOUR = "labour"
    """Currency per month."""


class Facts(Struct, frozen=True, kw_only=True):
    """What a window cost, and what the inputs were in it; None where not known.

    Attributes:
        api_cost: A.
        hardware_cost: A part of C.
        energy_cost: Likewise; all electricity.
        labour_cost: Likewise.
        other_cost: Likewise; not varied.
        idle_energy_cost: The part of `energy_cost` that no load would have cost as well.
        load_ratio: As observed; with it, a load above 1 is out of reach.
        is_load_upper_bound: The machine may do more than is known: then no load is out of reach for sure.
        api_price_per_mtok: As observed.
        price_per_kwh: As observed.
        idle_watts: As observed or fitted.
        month_share: The window's length in months.
    """

    api_cost: float
    hardware_cost: float
    energy_cost: float
    labour_cost: float
    other_cost: float
    idle_energy_cost: float | None = None
    load_ratio: float | None = None
    is_load_upper_bound: bool = False
    api_price_per_mtok: float | None = None
    price_per_kwh: float | None = None
    idle_watts: float | None = None
    month_share: float | None = None

    @property
    def own_cost(self) -> float:
        """C: all parts."""
        return self.hardware_cost + self.energy_cost + self.labour_cost + self.other_cost


class Sensitivity(Struct, frozen=True, kw_only=True):
    """What one input does to the verdict.

    Attributes:
        input: What is varied.
        elasticity: Per cent of the ratio for one per cent of the input; negative where more of it is worse.
        value: As observed, in the unit of the input; None where only its effect is known.
        break_even_factor: What the observed value would have to be multiplied by; `math.inf` means never.
        break_even_value: Where both sides cost the same; `math.inf` means never, None: not known.
    """

    input: Input
    elasticity: float
    value: float | None
    break_even_factor: float
    break_even_value: float | None

    @property
    def distance(self) -> float:
        """How far the break-even is: |ln factor|, so that half and double are equally far."""
        if self.break_even_factor <= 0 or math.isinf(self.break_even_factor):
            return math.inf
        return abs(math.log(self.break_even_factor))


def sensitivities(facts: Facts) -> tuple[Sensitivity, ...]:
    """Return what each input does, the one that would turn the verdict first, first.

    An input that has no part in the cost is left out. Empty where either side costs nothing.
    """
    if facts.api_cost <= 0 or facts.own_cost <= 0:
        return ()
    return tuple(sorted(_all(facts), key=lambda found: (found.distance, -abs(found.elasticity))))


def _all(facts: Facts) -> Iterator[Sensitivity]:
    own = facts.own_cost
    yield _found(Input.API_PRICE, 1.0, own / facts.api_cost, facts.api_price_per_mtok)
    if facts.idle_energy_cost is not None:
        yield _load(facts, facts.energy_cost - facts.idle_energy_cost)
    for varied, part, value in (
        (Input.ELECTRICITY_PRICE, facts.energy_cost, facts.price_per_kwh),
        (Input.IDLE_POWER, facts.idle_energy_cost, facts.idle_watts),
        (Input.HARDWARE_PRICE, facts.hardware_cost, _per_month(facts, facts.hardware_cost)),
        (Input.LABOUR, facts.labour_cost, _per_month(facts, facts.labour_cost)),
    ):
        if part:
            yield _found(varied, -part / own, _part_factor(facts, part), value)


def _load(facts: Facts, load_energy_cost: float) -> Sensitivity:
    margin = facts.api_cost - load_energy_cost
    factor = (facts.own_cost - load_energy_cost) / margin if margin > 0 else math.inf
    is_bounded = facts.load_ratio is not None and not facts.is_load_upper_bound
    if is_bounded and factor * (facts.load_ratio or 0.0) > 1:
        factor = math.inf
    return _found(Input.LOAD, 1 - load_energy_cost / facts.own_cost, factor, facts.load_ratio)


def _part_factor(facts: Facts, part: float) -> float:
    """Return x* of a part of the cost; never where even without it our own tokens cost more."""
    factor = (facts.api_cost - (facts.own_cost - part)) / part
    return factor if factor >= 0 else math.inf


def _found(varied: Input, elasticity: float, factor: float, value: float | None) -> Sensitivity:
    return Sensitivity(
        input=varied,
        elasticity=elasticity,
        value=value,
        break_even_factor=factor,
        break_even_value=None if value is None else value * factor,
    )


def _per_month(facts: Facts, cost: float) -> float | None:
    return cost / facts.month_share if facts.month_share else None
