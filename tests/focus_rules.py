"""What FOCUS 1.2 asks of a cost and usage dataset, as far as it has rules for these columns.

Facts of the specification (https://focus.finops.org/focus-specification/v1-2/): which columns are
mandatory, what may be null, the types, the allowed values, and the rules that tie columns together.
"""

import json
import re
from collections import defaultdict
from decimal import Decimal, InvalidOperation

MANDATORY = frozenset(
    {
        "BilledCost", "BillingAccountId", "BillingAccountName", "BillingCurrency", "BillingPeriodEnd",
        "BillingPeriodStart", "ChargeCategory", "ChargeClass", "ChargeDescription", "ChargePeriodEnd",
        "ChargePeriodStart", "ContractedCost", "EffectiveCost", "InvoiceIssuerName", "ListCost",
        "PricingQuantity", "PricingUnit", "ProviderName", "PublisherName", "ServiceCategory", "ServiceName",
    }
)  # fmt: skip

NOT_NULL = MANDATORY - {
    "BillingAccountName", "ChargeClass", "ChargeDescription", "PricingQuantity", "PricingUnit"
} | {"ChargeFrequency", "ServiceSubcategory"}  # fmt: skip

OTHERS = frozenset(
    {
        "AvailabilityZone", "BillingAccountType", "CapacityReservationId", "CapacityReservationStatus",
        "ChargeFrequency", "CommitmentDiscountCategory", "CommitmentDiscountId", "CommitmentDiscountName",
        "CommitmentDiscountQuantity", "CommitmentDiscountStatus", "CommitmentDiscountType",
        "CommitmentDiscountUnit", "ConsumedQuantity", "ConsumedUnit", "ContractedUnitPrice", "InvoiceId",
        "ListUnitPrice", "PricingCategory", "PricingCurrency", "PricingCurrencyContractedUnitPrice",
        "PricingCurrencyEffectiveCost", "PricingCurrencyListUnitPrice", "RegionId", "RegionName",
        "ResourceId",
        "ResourceName", "ResourceType", "ServiceSubcategory", "SkuId", "SkuMeter", "SkuPriceDetails",
        "SkuPriceId", "SubAccountId", "SubAccountName", "SubAccountType", "Tags",
    }
)  # fmt: skip

DECIMALS = (
    "BilledCost",
    "ConsumedQuantity",
    "ContractedCost",
    "EffectiveCost",
    "ListCost",
    "PricingQuantity",
)
MOMENTS = ("BillingPeriodEnd", "BillingPeriodStart", "ChargePeriodEnd", "ChargePeriodStart")
ALLOWED = {
    "ChargeCategory": {"Usage", "Purchase", "Tax", "Credit", "Adjustment"},
    "ChargeClass": {"Correction", ""},
    "ChargeFrequency": {"One-Time", "Recurring", "Usage-Based"},
    "PricingCategory": {"Standard", "Dynamic", "Committed", "Other", ""},
    "ServiceCategory": {
        "AI and Machine Learning", "Analytics", "Business Applications", "Compute", "Databases",
        "Developer Tools", "Multicloud", "Identity", "Integration", "Internet of Things",
        "Management and Governance", "Media", "Migration", "Mobile", "Networking", "Security", "Storage",
        "Web", "Other",
    },
}  # fmt: skip
SUBCATEGORIES_OF_AI = {
    "AI Platforms", "Bots", "Generative AI", "Machine Learning", "Natural Language Processing",
    "Other (AI and Machine Learning)",
}  # fmt: skip
MOMENT = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z")
NUMBER = re.compile(r"[+-]?\d+(\.\d+)?(E[+-]?\d+)?")


def broken_rules(columns, rows):
    """Return each rule that a dataset breaks, with where; an empty list where it conforms.

    Args:
        columns: Names of the columns.
        rows: A mapping of text for each; an empty one is null.
    """
    broken = [f"{name} is missing" for name in sorted(MANDATORY - set(columns))]
    unknown = set(columns) - MANDATORY - OTHERS
    broken += [
        f"{name} is no column of FOCUS, and has no x_"
        for name in sorted(unknown)
        if not re.fullmatch(r"x_[A-Za-z0-9]+", name)
    ]
    if len(set(columns)) != len(columns):
        broken.append("a column stands twice")
    categories = defaultdict(set)
    for number, row in enumerate(rows):
        broken += [f"row {number}: {fault}" for fault in _faults(row)]
        categories[row.get("ServiceName")].add(row.get("ServiceCategory"))
    broken += [f"{name} has {len(found)} categories" for name, found in categories.items() if len(found) > 1]
    return broken


def _faults(row):
    yield from (f"{name} is null" for name in NOT_NULL if name in row and row[name] == "")
    yield from (
        f"{name} is {row[name]!r}"
        for name, allowed in ALLOWED.items()
        if name in row and row[name] not in allowed
    )
    yield from (
        f"{name} is no decimal: {row[name]}" for name in DECIMALS if not _is_decimal(row.get(name, ""))
    )
    yield from (
        f"{name} is no moment: {row.get(name)}" for name in MOMENTS if not MOMENT.fullmatch(row.get(name, ""))
    )
    yield from _period_faults(row)
    yield from _quantity_faults(row)
    if not re.fullmatch(r"[A-Z]{3}", row["BillingCurrency"]):
        yield f"BillingCurrency is {row['BillingCurrency']!r}"
    if any(text != text.strip() for text in row.values()):
        yield "text begins or ends with a space"
    if row.get("Tags"):
        tags = json.loads(row["Tags"])
        if not all(isinstance(value, str | bool | int | float) for value in tags.values()):
            yield "a tag holds more than a value"
    if (
        row["ServiceCategory"] == "AI and Machine Learning"
        and row.get("ServiceSubcategory") not in SUBCATEGORIES_OF_AI
    ):
        yield f"ServiceSubcategory is {row.get('ServiceSubcategory')!r}"


def _period_faults(row):
    start, end = row["ChargePeriodStart"], row["ChargePeriodEnd"]
    if not row["BillingPeriodStart"] <= start < end <= row["BillingPeriodEnd"]:
        yield "a charge reaches out of its billing period, or backwards"


def _quantity_faults(row):
    is_usage = row["ChargeCategory"] == "Usage" and not row["ChargeClass"]
    for quantity, unit in (("PricingQuantity", "PricingUnit"), ("ConsumedQuantity", "ConsumedUnit")):
        if is_usage and row.get(quantity, "-") == "":
            yield f"{quantity} of a usage is null"
        if (row.get(quantity, "") == "") != (row.get(unit, "") == ""):
            yield f"{quantity} without {unit}, or the other way round"
    for name in ("SkuId", "SkuPriceId", "PricingCategory"):
        if is_usage and row.get(name, "-") == "":
            yield f"{name} of a usage is null"
    for price, cost in (("ListUnitPrice", "ListCost"), ("ContractedUnitPrice", "ContractedCost")):
        if not row.get(price) and row[cost] != row["BilledCost"]:
            yield f"{cost} without a unit price is not BilledCost"
    if row.get("ResourceId", "") == "" and (row.get("ResourceName") or row.get("ResourceType")):
        yield "a name or type of no resource"
    if row.get("ResourceId") and not row.get("ResourceType"):
        yield "a resource without a type"


def _is_decimal(text):
    if text == "":
        return True
    try:
        Decimal(text)
    except InvalidOperation:
        return False
    return NUMBER.fullmatch(text) is not None
