"""The sections that say what things cost."""

from collections.abc import Iterator
from typing import Annotated, Literal, get_args

from evenwatt.config.parsers import number, one_of
from evenwatt.config.refusals import KeyPath
from evenwatt.config.rules import apart
from evenwatt.config.section import Section, keys_of
from evenwatt.config.values import Day, Label, Money

__all__ = ["Attribution", "Hardware", "HardwarePart", "Labour", "OtherCost", "Setup", "UsdRate"]

_HardwareMode = Literal["owned", "rented_always_on", "rented_active", "sunk"]

HardwareMode = Annotated[_HardwareMode, one_of(*get_args(_HardwareMode))]
_Years = Annotated[float, number(above=0, at_most=50)]
_Share = Annotated[float, number(at_least=0, at_most=1)]
_RENTS = frozenset({"rent_per_hour", "rent_per_month"})


class UsdRate(Section, frozen=True, kw_only=True):
    """What one USD was worth in the currency of the configuration, and when.

    Attributes:
        rate (currency per USD): What one USD is worth; `usd_rate` is required unless `currency` is `USD`,
            and can then only be 1.
        date (date): The day of that rate.
    """

    rate: Annotated[float, number(above=0, at_most=10**9)]
    date: Day


class HardwarePart(Section, frozen=True, kw_only=True):
    """A part of the machine that was bought by itself.

    Attributes:
        name: A part that was bought by itself; `parts` stand in place of the price and the dates of the
            whole.
        purchase_price (currency): Its price.
        residual_value (currency): What it is worth at the end of its lifetime, at most its price.
        lifetime_years (years): Over which its price is written off, above 0 and at most 50; assumed where it
            is not written.
        maintenance_per_year (share of the price): Maintenance per year, 0 to 1.
        purchased (date): First day of its lifetime, after which it costs 0; without it the lifetime never
            ends.
    """

    name: Label
    purchase_price: Money
    residual_value: Money = 0.0
    lifetime_years: _Years = 3.0
    maintenance_per_year: _Share = 0.0
    purchased: Day | None = None

    def _faults(self) -> Iterator[tuple[KeyPath, str]]:
        if self.residual_value > self.purchase_price:
            yield ("residual_value",), _more_than_the_price(self)


class Hardware(Section, frozen=True, kw_only=True):
    """What the machine itself costs.

    Attributes:
        mode: `owned` writes the price off; `rented_always_on` pays every hour; `rented_active` pays the
            hours in which the machine was up; `sunk` counts 0, for "keep it or switch?".
        purchase_price (currency): Price of the whole machine; not for rented modes. None: by the GPUs'
            names (assumed).
        residual_value (currency): What it is worth at the end of its lifetime, at most the purchase price.
        lifetime_years (years): Over which the price is written off, above 0 and at most 50; assumed where it
            is not written.
        maintenance_per_year (share of the price): Maintenance per year, 0 to 1.
        purchased (date): First day of the lifetime, after which the hardware costs 0; without it the
            lifetime never ends.
        parts: In place of the price and the dates of the whole: parts with their own.
        rent_per_hour (currency per hour): Rented modes take this or `rent_per_month`; no other mode takes
            either.
        rent_per_month (currency per month): See `rent_per_hour`.
    """

    mode: HardwareMode = "owned"
    purchase_price: Money | None = None
    residual_value: Money = 0.0
    lifetime_years: _Years = 3.0
    maintenance_per_year: _Share = 0.0
    purchased: Day | None = None
    parts: Annotated[tuple[HardwarePart, ...], apart("name")] = ()
    rent_per_hour: Money | None = None
    rent_per_month: Money | None = None

    def _faults(self) -> Iterator[tuple[KeyPath, str]]:
        is_rented = self.mode in {"rented_always_on", "rented_active"}
        return self._rented_faults() if is_rented else self._owned_faults()

    def _rented_faults(self) -> Iterator[tuple[KeyPath, str]]:
        rents = self.written & _RENTS
        if not rents:
            yield ("mode",), f"{self.mode} needs rent_per_hour or rent_per_month; write one of them"
        if len(rents) > 1:
            yield ("rent_per_month",), "given together with rent_per_hour; keep one of them"
        for key in self.written - {"mode"} - _RENTS:
            yield (key,), f"a rented machine (mode: {self.mode}) has none; remove it, or set mode to owned"

    def _owned_faults(self) -> Iterator[tuple[KeyPath, str]]:
        for key in self.written & _RENTS:
            yield (
                (key,),
                f"mode {self.mode} has no rent; remove it, or set mode to rented_always_on or rented_active",
            )
        if self.parts:
            for key in self.written - {"mode", "parts"} - _RENTS:
                yield (key,), "stands beside parts, which have their own; write it there, or remove parts"
        elif self.residual_value and self.purchase_price is None:
            yield ("residual_value",), "needs the purchase_price that it is left of; write both"
        elif self.purchase_price is not None and self.residual_value > self.purchase_price:
            yield ("residual_value",), _more_than_the_price(self)


def _more_than_the_price(bought: Hardware | HardwarePart) -> str:
    return f"got {bought.residual_value:g}, expected at most the purchase_price ({bought.purchase_price:g})"


class Setup(Section, frozen=True, kw_only=True):
    """What it took to set the machine up once, spread over a time from a day on; counted as labour.

    Attributes:
        cost (currency): What it took to set the machine up; counted as labour.
        spread_months (months): Over which it is spread, months of `month_hours`, above 0 and at most 600.
        begins (date): First day of that time; before and after it costs 0.
    """

    cost: Money
    spread_months: Annotated[float, number(above=0, at_most=600)]
    begins: Day


class Labour(Section, frozen=True, kw_only=True):
    """What people's work on the machine costs: a share of a salary, or hours at a rate.

    Attributes:
        fte (full-time equivalents): People's work as a share of a salary; with `salary_per_year`.
        salary_per_year (currency per year): Of one full-time equivalent.
        hours_per_month (hours per month): The other way to say it; with `rate_per_hour`.
        rate_per_hour (currency per hour): Of one of those hours.
    """

    fte: Annotated[float, number(at_least=0, at_most=1_000)] | None = None
    salary_per_year: Money | None = None
    hours_per_month: Annotated[float, number(at_least=0, at_most=100_000)] | None = None
    rate_per_hour: Money | None = None

    def _faults(self) -> Iterator[tuple[KeyPath, str]]:
        if self.written not in ({"fte", "salary_per_year"}, {"hours_per_month", "rate_per_hour"}):
            found = ", ".join(key for key in keys_of(type(self)) if key in self.written)
            expected = "fte with salary_per_year, or hours_per_month with rate_per_hour"
            yield (), f"got {found or 'none of its keys'}, expected {expected}"


class OtherCost(Section, frozen=True, kw_only=True):
    """Another cost of the machine: a fixed one such as colocation, or a fee for each kWh.

    Attributes:
        name: Name of another cost, each its own.
        per_month (currency per month): What it costs whatever happens; `per_month` or `per_kwh`.
        per_kwh (currency per kWh): What is paid on top of the price of electricity, such as a grid fee;
            counted as energy.
    """

    name: Label
    per_month: Money | None = None
    per_kwh: Money | None = None

    def _faults(self) -> Iterator[tuple[KeyPath, str]]:
        given = self.written & {"per_month", "per_kwh"}
        if not given:
            yield (), "has no price; write per_month, or per_kwh"
        if len(given) > 1:
            yield ("per_kwh",), "given together with per_month; make two entries of them"


class Attribution(Section, frozen=True, kw_only=True):
    """How a cost is split between models of one engine, and between engines on one GPU, by tokens.

    Attributes:
        input_token_weight (weight): Of a computed input token where a cost is split by tokens.
        output_token_weight (weight): Of an output token; not both weights are 0.
    """

    input_token_weight: Annotated[float, number(at_least=0, at_most=1_000)] = 0.2
    output_token_weight: Annotated[float, number(at_least=0, at_most=1_000)] = 1.0

    def _faults(self) -> Iterator[tuple[KeyPath, str]]:
        if not self.input_token_weight and not self.output_token_weight:
            yield (), "both weights are 0, so nothing could be split; set one of them above 0"
