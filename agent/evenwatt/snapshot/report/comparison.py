"""A window against the APIs: bills, break-even, the curve of cost against load, and what a decision needs.

Values only, as in `snapshot.report`, of which they are parts.
"""

from collections.abc import Mapping

from msgspec import Struct

from evenwatt.economics.breakeven import CostLine
from evenwatt.economics.fitting import PowerFit
from evenwatt.economics.sensitivity import Sensitivity
from evenwatt.economics.whatif import CostParts
from evenwatt.snapshot.report.traffic import ModelShape, TrafficShape

__all__ = ["Comparison", "CostCurve", "CurvePoint", "Decision", "IdlePower", "MonthlyBill"]


class Comparison(Struct, frozen=True, kw_only=True):
    """The machine against one API that all tokens of the window were priced at.

    Attributes:
        reference: `provider:model`, or the name of a negotiated price.
        price_per_mtok: At the mix that was served, with the cache hits that engines told.
        price_per_mtok_no_cache: As if the API's cache hit nothing.
        price_per_mtok_batch: At the API's batch price; None: it has none, or it is not known.
        api_cost: What the tokens would have cost there, by the first price.
        api_cost_no_cache: Likewise, without cache.
        api_cost_batch: Likewise, as batch.
        own_cost: Full.
        ratio: `api_cost` over own cost: below 1 the API was cheaper.
        ratio_no_cache: Likewise, without cache.
        saved: `api_cost` less own cost: negative is lost by serving here.
        saved_no_cache: Likewise, without cache.
        break_even_load_ratio: From which load on own tokens are cheaper; `math.inf` means never.
        break_even_mtok_per_month: Likewise, as volume.
        payback_months: Until the avoided bill has paid the purchase; None where nothing was bought.
        keep_saved: `api_cost` less what running costs without the hardware, which is paid either way:
            positive says keep, negative says switch.
        is_observed_cache: Whether cache hits are known, so that the two bounds differ for a reason.
        sensitivities: What would turn the verdict against this API, nearest first.
    """

    reference: str
    price_per_mtok: float | None
    price_per_mtok_no_cache: float | None
    api_cost: float | None
    api_cost_no_cache: float | None
    own_cost: float | None
    ratio: float | None
    ratio_no_cache: float | None
    saved: float | None
    saved_no_cache: float | None
    break_even_load_ratio: float | None
    break_even_mtok_per_month: float | None
    payback_months: float | None
    keep_saved: float | None
    is_observed_cache: bool
    price_per_mtok_batch: float | None = None
    api_cost_batch: float | None = None
    sensitivities: tuple[Sensitivity, ...] = ()


class CurvePoint(Struct, frozen=True, kw_only=True):
    """A point of the signature curve."""

    load_ratio: float
    cost_per_mtok: float


class CostCurve(Struct, frozen=True, kw_only=True):
    """Cost per Mtok against load, for this machine: the signature picture.

    Attributes:
        points: At 1, 2, ... 100 % load.
        observed: Where the window stood; it lies on the curve.
        api_prices: By reference, the price per Mtok that its level line stands at.
        line: What an hour costs and yields.
        is_load_upper_bound: The capacity is only the most that was seen: the true load is lower, or equal.
        parts: What the line is made of, to ask what would be if a price were another.
    """

    points: tuple[CurvePoint, ...]
    observed: CurvePoint
    api_prices: Mapping[str, float]
    line: CostLine
    is_load_upper_bound: bool = False
    parts: CostParts | None = None


class IdlePower(Struct, frozen=True, kw_only=True):
    """The power of the machine without load, from two sides.

    Attributes:
        used: `observed`, `fitted`, or `none`: neither is known, and all electricity counts as fixed.
        observed_watts: Mean while no request ran and the machine was on; None where it never idled.
        fit: From the history: power against token rate.
        refused: Why there is no fit.
    """

    used: str
    observed_watts: float | None = None
    fit: PowerFit | None = None
    refused: str | None = None


class MonthlyBill(Struct, frozen=True, kw_only=True):
    """What a month like the window would cost at an API: the window's bill, scaled; no forecast."""

    reference: str
    observed_cache: float | None
    no_cache: float | None


class Decision(Struct, frozen=True, kw_only=True):
    """What a team needs to decide.

    Attributes:
        month_share: The accounted time in months, which the bills were divided by.
        bills: By reference.
        own_cost_per_month: The full cost, scaled likewise.
        fixed_cost: What would have accrued without a token: hardware, labour, other, idle electricity.
        variable_cost: The electricity that load drew on top; with `fixed_cost` it is the full cost.
        traffic: Of all tokens.
        models: Of each model that served any, the most tokens first.
    """

    month_share: float
    bills: tuple[MonthlyBill, ...]
    own_cost_per_month: float | None
    fixed_cost: float | None
    variable_cost: float | None
    traffic: TrafficShape
    models: tuple[ModelShape, ...] = ()
