"""The API prices of a plan: written ones, and the catalogue's of today."""

from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal

from evenwatt.config import CatalogueReference, PricedReference, Settings
from evenwatt.economics.api import ReferencePrice, reference_price_from_usd
from evenwatt.readings.api_prices import cached_rates
from evenwatt.readings.api_rates import Rates, RateTier, ReferenceRates

__all__ = ["PlannedPrices", "planned_prices"]


@dataclass(slots=True, kw_only=True)
class PlannedPrices:
    """What the references cost, in the site's currency.

    Attributes:
        standard: In the order of the settings.
        batch: Of those that have a batch price.
        notes: By reference, what has to be known of its price.
        faults: A sentence for each that the catalogue does not know.
    """

    standard: list[ReferencePrice] = field(default_factory=list)
    batch: list[ReferencePrice] = field(default_factory=list)
    notes: dict[str, str] = field(default_factory=dict)
    faults: tuple[str, ...] = ()


def planned_prices(settings: Settings, *, at: datetime) -> PlannedPrices:
    """Return the prices of all references.

    Where the size of a request is planned, a price that long requests pay is taken for requests of that size.

    Args:
        settings: As loaded.
        at: The moment of the prices.
    """
    names = [r.name for r in settings.references if isinstance(r, CatalogueReference)]
    fetched = cached_rates(names, at=at)
    by_name = {f"{rates.provider}:{rates.model}": rates for rates in fetched.rates}
    prices = PlannedPrices(faults=fetched.faults)
    for reference in settings.references:
        if isinstance(reference, PricedReference):
            prices.standard.append(_written(reference, _usd_rate(settings)))
        elif reference.name in by_name:
            _add(prices, settings, by_name[reference.name])
    return prices


def _add(prices: PlannedPrices, settings: Settings, found: ReferenceRates) -> None:
    name = f"{found.provider}:{found.model}"
    standard, tier = _for_request(found.standard, settings)
    price = _price(name, standard, _usd_rate(settings))
    if price is None:
        prices.faults = (*prices.faults, f"{name} has no price per token in the catalogue")
        return
    prices.standard.append(price)
    batch = None if found.batch is None else _price(name, found.batch, _usd_rate(settings))
    if batch is not None:
        prices.batch.append(_with_cached_price_of(price, batch))
    notes = []
    if tier is not None:
        notes.append(f"its price for requests above {tier.above_input_tokens:,} input tokens")
    if found.varies_within_day:
        notes.append("the price of this hour, which varies within the day")
    if notes:
        prices.notes[name] = "; ".join(notes)


def _with_cached_price_of(standard: ReferencePrice, batch: ReferencePrice) -> ReferencePrice:
    """Return a batch price with the standard price of cached input where it has none and that is lower."""
    cached = standard.cached_input_per_mtok
    if batch.cached_input_per_mtok is not None or cached is None or cached > batch.input_per_mtok:
        return batch
    return replace(batch, cached_input_per_mtok=cached)


def _for_request(rates: Rates, settings: Settings) -> tuple[Rates | RateTier, RateTier | None]:
    """Return the rates for requests of the planned size, and their tier where it is not the base."""
    task = settings.plan.tokens_per_task
    if task is None:
        return rates, None
    reached = [tier for tier in rates.tiers if task.input > tier.above_input_tokens]
    return (reached[-1], reached[-1]) if reached else (rates, None)


def _price(name: str, rates: Rates | RateTier, usd_rate: float) -> ReferencePrice | None:
    if rates.input_usd_per_mtok is None or rates.output_usd_per_mtok is None:
        return None
    return _in_currency(
        name, rates.input_usd_per_mtok, rates.output_usd_per_mtok, rates.cached_input_usd_per_mtok, usd_rate
    )


def _written(reference: PricedReference, usd_rate: float) -> ReferencePrice:
    return _in_currency(reference.name, reference.input, reference.output, reference.cached_input, usd_rate)


def _in_currency(
    name: str,
    input_usd: Decimal | float,
    output_usd: Decimal | float,
    cached_usd: Decimal | float | None,
    usd_rate: float,
) -> ReferencePrice:
    return reference_price_from_usd(
        name=name,
        valid_from_utc_seconds=0.0,
        input_usd_per_mtok=input_usd,
        output_usd_per_mtok=output_usd,
        cached_input_usd_per_mtok=cached_usd,
        usd_rate=usd_rate,
    )


def _usd_rate(settings: Settings) -> float:
    return 1.0 if settings.usd_rate is None else settings.usd_rate.rate
