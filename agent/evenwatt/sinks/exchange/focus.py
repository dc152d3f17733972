"""Costs as a FOCUS 1.2 dataset: the FinOps Open Cost and Usage Specification, https://focus.finops.org.

The machine is a provider that bills its own house. Each model has a charge for each component of its cost
(hardware, energy, labour, other) in each period, and charges of 0 that say how many tokens were served, so
that costs over tokens is a sum over a sum. A cost that is not known is no charge: nothing stands for it.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from msgspec import Struct

from evenwatt.sinks.exchange.sheets import Column, Kind, Sheet
from evenwatt.units import JOULES_PER_KWH, SECONDS_PER_HOUR

__all__ = ["FOCUS_VERSION", "BilledUse", "Biller", "focus_sheet"]

FOCUS_VERSION: Final = "1.2"

_PROVIDER: Final = "Self-hosted"
_DECEMBER: Final = 12

_KINDS: Final[Mapping[str, Kind]] = {
    "BilledCost": Kind.REAL,
    "BillingAccountId": Kind.TEXT,
    "BillingAccountName": Kind.TEXT,
    "BillingCurrency": Kind.TEXT,
    "BillingPeriodEnd": Kind.MOMENT,
    "BillingPeriodStart": Kind.MOMENT,
    "ChargeCategory": Kind.TEXT,
    "ChargeClass": Kind.TEXT,
    "ChargeDescription": Kind.TEXT,
    "ChargeFrequency": Kind.TEXT,
    "ChargePeriodEnd": Kind.MOMENT,
    "ChargePeriodStart": Kind.MOMENT,
    "ConsumedQuantity": Kind.REAL,
    "ConsumedUnit": Kind.TEXT,
    "ContractedCost": Kind.REAL,
    "EffectiveCost": Kind.REAL,
    "InvoiceId": Kind.TEXT,
    "InvoiceIssuerName": Kind.TEXT,
    "ListCost": Kind.REAL,
    "PricingCategory": Kind.TEXT,
    "PricingQuantity": Kind.REAL,
    "PricingUnit": Kind.TEXT,
    "ProviderName": Kind.TEXT,
    "PublisherName": Kind.TEXT,
    "ResourceId": Kind.TEXT,
    "ResourceName": Kind.TEXT,
    "ResourceType": Kind.TEXT,
    "ServiceCategory": Kind.TEXT,
    "ServiceName": Kind.TEXT,
    "ServiceSubcategory": Kind.TEXT,
    "SkuId": Kind.TEXT,
    "SkuMeter": Kind.TEXT,
    "SkuPriceId": Kind.TEXT,
    "Tags": Kind.TEXT,
    "x_Component": Kind.TEXT,
    "x_Engine": Kind.TEXT,
    "x_IsEstimated": Kind.TEXT,
    "x_Model": Kind.TEXT,
    "x_Readings": Kind.TEXT,
}
"""By the name of each column; those that FOCUS does not know begin with x_, as it asks for."""


class Biller(Struct, frozen=True, kw_only=True):
    """Whose charges they are.

    Attributes:
        account: What the costs are booked under; the machine's name.
        currency: ISO 4217.
        readings: `measured` or `simulated`.
    """

    account: str
    currency: str
    readings: str


class BilledUse(Struct, frozen=True, kw_only=True):
    """What one model used in one period, and what that cost; None where it is not known.

    Attributes:
        begin: In seconds since 1970-01-01 UTC, like `end`.
        seconds: Of the machine's time that it held.
        costs: By component, what is known whole.
        tokens: By type.
    """

    begin: int
    end: int
    engine: str
    model: str
    seconds: float | None
    joules: float | None
    costs: Mapping[str, float | None]
    tokens: Mapping[str, int | None]
    is_estimated: bool = False


class _Meter(Struct, frozen=True):
    """What a charge is for.

    Attributes:
        name: `hardware`, or `output_tokens`.
    """

    name: str
    text: str
    cost: float
    quantity: float
    unit: str


def focus_sheet(uses: Iterable[BilledUse], biller: Biller) -> Sheet:
    """Return the charges of uses: one for each component of cost that is known and each type of tokens."""
    return Sheet(
        columns=tuple(Column(name, kind) for name, kind in _KINDS.items()),
        rows=(tuple(charge.get(name) for name in _KINDS) for use in uses for charge in _charges(use, biller)),
        facts=(("focus_version", FOCUS_VERSION), ("readings", biller.readings)),
    )


def _charges(use: BilledUse, biller: Biller) -> Iterator[dict[str, Any]]:
    name = f"{use.engine}/{use.model}" if use.model else use.engine
    common = {
        "BillingAccountId": biller.account,
        "BillingAccountName": biller.account,
        "BillingCurrency": biller.currency,
        **_periods(use),
        "ChargeCategory": "Usage",
        "ChargeFrequency": "Usage-Based",
        "InvoiceIssuerName": _PROVIDER,
        "PricingCategory": "Standard",
        "ProviderName": _PROVIDER,
        "PublisherName": _PROVIDER,
        "ResourceId": f"{biller.account}/{name}",
        "ResourceName": name,
        "ResourceType": "LLM",
        "ServiceCategory": "AI and Machine Learning",
        "ServiceName": "LLM inference",
        "ServiceSubcategory": "Generative AI",
        "Tags": json.dumps(
            {"evenwatt/engine": use.engine, "evenwatt/model": use.model, "evenwatt/machine": biller.account},
            ensure_ascii=False,
        ),
        "x_Engine": use.engine,
        "x_IsEstimated": "true" if use.is_estimated else "false",
        "x_Model": use.model or None,
        "x_Readings": biller.readings,
    }
    simulated = "SIMULATED: " if biller.readings == "simulated" else ""
    for meter in _meters(use):
        yield {
            **common,
            **dict.fromkeys(("BilledCost", "ContractedCost", "EffectiveCost", "ListCost"), meter.cost),
            "ChargeDescription": f"{simulated}{meter.text} of {name}",
            **dict.fromkeys(("ConsumedQuantity", "PricingQuantity"), meter.quantity),
            **dict.fromkeys(("ConsumedUnit", "PricingUnit"), meter.unit),
            **dict.fromkeys(("SkuId", "SkuPriceId"), f"evenwatt/{meter.name}"),
            "SkuMeter": meter.name,
            "x_Component": meter.name,
        }


def _meters(use: BilledUse) -> Iterator[_Meter]:
    hours = (use.seconds or 0.0) / SECONDS_PER_HOUR
    for component, cost in use.costs.items():
        if cost is None:
            continue
        if component == "energy":
            kwh = (use.joules or 0.0) / JOULES_PER_KWH
            yield _Meter("energy", "Electricity", cost, kwh, "kWh")
        else:
            yield _Meter(component, _TEXTS[component], cost, hours, "Hours")
    for kind, count in use.tokens.items():
        if count:
            text = f"Tokens ({kind.replace('_', ' ')}; their cost is in the other charges)"
            yield _Meter(f"{kind}_tokens", text, 0.0, float(count), "Tokens")


_TEXTS: Final[Mapping[str, str]] = {
    "hardware": "Hardware (its lifetime or rent)",
    "labour": "Labour",
    "other": "Other costs",
}


def _periods(use: BilledUse) -> dict[str, float]:
    month = datetime.fromtimestamp(use.begin, UTC).replace(day=1, hour=0, minute=0, second=0)
    after = (
        month.replace(year=month.year + 1, month=1)
        if month.month == _DECEMBER
        else month.replace(month=month.month + 1)
    )
    return {
        "BillingPeriodStart": month.timestamp(),
        "BillingPeriodEnd": after.timestamp(),
        "ChargePeriodStart": float(use.begin),
        "ChargePeriodEnd": float(use.end),
    }
