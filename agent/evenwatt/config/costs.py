"""The sections that say what things cost."""

from collections.abc import Iterator
from typing import Annotated, Self

from pydantic import model_validator

from evenwatt.config.section import KeyPath, Section
from evenwatt.config.values import Day, HardwareMode, Label, Money, number, refused

__all__ = ["Attribution", "Electricity", "Hardware", "Labour", "OtherCost", "UsdRate"]


class UsdRate(Section):
    """What one USD was worth in the currency of the configuration, and when."""

    rate: Annotated[float, number(above=0, at_most=10**9)]
    date: Day


class Electricity(Section):
    """What power costs.

    Attributes:
        price_per_kwh: Currency per kWh, taxes and fees included; assumed where it was not written.
        pue: Energy that the building draws for each joule that the machine draws.
    """

    price_per_kwh: Money = 0.30
    pue: Annotated[float, number(at_least=1.0)] = 1.0


class Hardware(Section):
    """What the machine itself costs.

    Attributes:
        mode: `owned` writes the purchase off; `rented_always_on` pays every hour; `rented_active` pays the
            hours in which the machine was up; `sunk` is 0, the view of keep or switch.
        purchase_price: Of the whole machine; None: a preset by the GPUs' names.
        maintenance_per_year: Share of the purchase price per year.
        purchased: First day of the lifetime; None: the lifetime never ends.
    """

    mode: HardwareMode = "owned"
    purchase_price: Money | None = None
    residual_value: Money = 0.0
    lifetime_years: Annotated[float, number(above=0, at_most=50)] = 3.0
    maintenance_per_year: Annotated[float, number(at_least=0, at_most=1)] = 0.0
    purchased: Day | None = None
    rent_per_hour: Money | None = None
    rent_per_month: Money | None = None

    @model_validator(mode="after")
    def _holds_together(self) -> Self:
        is_rented = self.mode in {"rented_always_on", "rented_active"}
        faults = dict(self._rented_faults() if is_rented else self._owned_faults())
        if faults:
            raise refused(faults)
        return self

    def _rented_faults(self) -> Iterator[tuple[KeyPath, str]]:
        rents = self.model_fields_set & {"rent_per_hour", "rent_per_month"}
        if not rents:
            yield ("mode",), f"{self.mode} needs rent_per_hour or rent_per_month; write one of them"
        if len(rents) > 1:
            yield ("rent_per_month",), "given together with rent_per_hour; keep one of them"
        for key in self.model_fields_set - {"mode", "rent_per_hour", "rent_per_month"}:
            yield (key,), f"a rented machine (mode: {self.mode}) has none; remove it, or set mode to owned"

    def _owned_faults(self) -> Iterator[tuple[KeyPath, str]]:
        for key in self.model_fields_set & {"rent_per_hour", "rent_per_month"}:
            yield (
                (key,),
                f"mode {self.mode} has no rent; remove it, or set mode to rented_always_on or rented_active",
            )
        if self.residual_value and self.purchase_price is None:
            yield ("residual_value",), "needs the purchase_price that it is left of; write both"
        elif self.purchase_price is not None and self.residual_value > self.purchase_price:
            yield (
                ("residual_value",),
                f"got {self.residual_value:g}, expected at most the purchase_price ({self.purchase_price:g})",
            )


class Labour(Section):
    """What people's work on the machine costs: a share of a salary, or hours at a rate.

    Attributes:
        fte: Full-time equivalents, shares of one person's year.
        salary_per_year: Of one person, with what the employer pays on top.
    """

    fte: Annotated[float, number(at_least=0, at_most=1_000)] | None = None
    salary_per_year: Money | None = None
    hours_per_month: Annotated[float, number(at_least=0, at_most=100_000)] | None = None
    rate_per_hour: Money | None = None

    @model_validator(mode="after")
    def _is_one_pair(self) -> Self:
        if self.model_fields_set not in ({"fte", "salary_per_year"}, {"hours_per_month", "rate_per_hour"}):
            found = ", ".join(key for key in type(self).model_fields if key in self.model_fields_set)
            expected = "fte with salary_per_year, or hours_per_month with rate_per_hour"
            raise refused({(): f"got {found or 'none of its keys'}, expected {expected}"})
        return self


class OtherCost(Section):
    """A fixed cost of the machine, such as colocation."""

    name: Label
    per_month: Money


class Attribution(Section):
    """How a cost is split between models of one engine, and between engines on one GPU, by tokens.

    Attributes:
        input_token_weight: What one computed input token weighs against an output token's weight.
    """

    input_token_weight: Annotated[float, number(at_least=0, at_most=1_000)] = 0.2
    output_token_weight: Annotated[float, number(at_least=0, at_most=1_000)] = 1.0

    @model_validator(mode="after")
    def _weighs_something(self) -> Self:
        if not self.input_token_weight and not self.output_token_weight:
            raise refused({(): "both weights are 0, so nothing could be split; set one of them above 0"})
        return self
