"""What people and contracts cost for each second: labour, setting up, and other fixed costs by the month."""

from collections.abc import Iterable

from msgspec import Struct

from evenwatt.units import HOURS_PER_YEAR, SECONDS_PER_HOUR

__all__ = [
    "MONTH_HOURS",
    "HourlyLabour",
    "Labour",
    "MonthlyCost",
    "SalariedLabour",
    "SetupCost",
    "labour_cost_per_second",
    "other_cost_per_second",
    "setup_cost_per_second",
]

MONTH_HOURS = HOURS_PER_YEAR / 12
"""730: a twelfth of a year. Some price lists take 720 (30 days), so it is an argument everywhere."""


class SalariedLabour(Struct, frozen=True, kw_only=True):
    """A part of somebody's year.

    Attributes:
        fte: Share of a full-time position that the machine takes.
        salary_per_year: Of the full position, with all that the employer pays.
    """

    fte: float
    salary_per_year: float


class HourlyLabour(Struct, frozen=True, kw_only=True):
    """Some hours of somebody's month."""

    hours_per_month: float
    rate_per_hour: float


Labour = SalariedLabour | HourlyLabour


class SetupCost(Struct, frozen=True, kw_only=True):
    """What it once took to set the machine up, spread over a time; people's work, hence labour."""

    cost: float
    spread_months: float
    begins_utc_seconds: float


class MonthlyCost(Struct, frozen=True, kw_only=True):
    """A fixed running cost: colocation, a support contract, a line."""

    name: str
    per_month: float


def labour_cost_per_second(labour: Labour | None, *, month_hours: float = MONTH_HOURS) -> float:
    """Return what labour costs for each second of the calendar, nights included.

    None is the owner's decision to charge nobody's time, hence a known 0.
    """
    if labour is None:
        return 0.0
    if isinstance(labour, SalariedLabour):
        return labour.fte * labour.salary_per_year / HOURS_PER_YEAR / SECONDS_PER_HOUR
    return labour.hours_per_month * labour.rate_per_hour / month_hours / SECONDS_PER_HOUR


def setup_cost_per_second(
    setup: SetupCost | None, utc_seconds: float, *, month_hours: float = MONTH_HOURS
) -> float:
    """Return what setting up costs for each second at a moment; 0 outside of what it is spread over.

    Months are of `month_hours` each, so that their seconds add up to the cost whatever the calendar says.
    """
    if setup is None:
        return 0.0
    spread_seconds = setup.spread_months * month_hours * SECONDS_PER_HOUR
    is_within = 0 <= utc_seconds - setup.begins_utc_seconds < spread_seconds
    return setup.cost / spread_seconds if is_within else 0.0


def other_cost_per_second(costs: Iterable[MonthlyCost], *, month_hours: float = MONTH_HOURS) -> float:
    """Return what all other fixed costs come to for each second; none listed is the owner's 0."""
    return sum(cost.per_month for cost in costs) / month_hours / SECONDS_PER_HOUR
