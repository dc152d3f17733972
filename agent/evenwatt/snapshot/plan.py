"""What `evenwatt plan` found out, as its views read it; nothing here computes."""

from msgspec import Struct

from evenwatt.economics.cost import Costs
from evenwatt.economics.planning import BreakEven, CurvePoint, Demand, Power
from evenwatt.model import Assumption

__all__ = ["PlanView", "PlannedReference"]


class PlannedReference(Struct, frozen=True, kw_only=True):
    """One API model beside the machine.

    Attributes:
        cached: With the planned share of the input from the API's cache: what the verdict goes by.
        no_cache: As if its cache hit nothing.
        batch: At its batch price, which is a scenario: answers come hours later. None: no such price.
        note: What has to be known of its price, in words; empty where there is nothing.
    """

    name: str
    cached: BreakEven
    no_cache: BreakEven
    batch: BreakEven | None = None
    note: str = ""


class PlanView(Struct, frozen=True, kw_only=True):
    """A plan with all that its views show.

    Attributes:
        machine: What the machine is, in words.
        preset: The name of the preset that something was taken from; None where nothing was.
        capacity_tokens_per_second: Computed input and output.
        input_share: Of all tokens, input whether cached or not.
        cached_share: Of the input.
        power: None: not known.
        price_per_kwh: Mean over the hours, without PUE; None: not known.
        mtok_per_hour: All tokens at full load.
        curve: At the loads that were asked for, in their order.
        idle_hour: What an hour costs with no request.
        full_hour: What an hour costs at full load.
        idle_month: The same for a month.
        full_month: The same for a month.
        missing: Components that no cost here has in it, because they are not known.
        demand: None: no volume was planned.
        demand_costs_per_mtok: At the demand.
        lifetime_months: Over which what was bought is written off; None where nothing was.
        month: The bill of the demand, for all its machines.
        year: The same for 8,760 hours.
        assumptions: What nobody wrote, each with what makes it true.
        notes: What else has to be known.
    """

    currency: str
    month_hours: float
    machine: str
    preset: str | None
    capacity_tokens_per_second: float
    input_share: float
    cached_share: float
    power: Power | None
    price_per_kwh: float | None
    mtok_per_hour: float
    most_mtok_per_month: float
    curve: tuple[CurvePoint, ...]
    idle_hour: Costs
    full_hour: Costs
    idle_month: Costs
    full_month: Costs
    missing: tuple[str, ...]
    references: tuple[PlannedReference, ...]
    demand: Demand | None = None
    demand_costs_per_mtok: Costs | None = None
    lifetime_months: float | None = None
    month: Costs | None = None
    year: Costs | None = None
    assumptions: tuple[Assumption, ...] = ()
    notes: tuple[str, ...] = ()
