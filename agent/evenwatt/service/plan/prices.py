"""The API prices of a plan: written ones, and for the rest the catalogue's of today."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

from msgspec import Struct

from evenwatt.config import Settings
from evenwatt.economics.api import ReferencePrice
from evenwatt.readings.api_prices import cached_rates
from evenwatt.service.api_prices.quotes import (
    asked_references,
    fetched_path,
    offered_prices,
    reference_price,
    written_prices,
)
from evenwatt.sinks.history import PriceRow

__all__ = ["PlannedPrices", "planned_prices"]


class PlannedPrices(Struct, frozen=True, kw_only=True):
    """What the references cost, in the site's currency.

    Attributes:
        prices: In the order of the settings; all in force.
        notes: By reference, what has to be known of its price.
        absent: Names of references whose first price is of a day to come.
        faults: A sentence for each whose price the catalogue does not know.
    """

    prices: tuple[ReferencePrice, ...]
    notes: Mapping[str, str]
    absent: tuple[str, ...]
    faults: tuple[str, ...]


def planned_prices(settings: Settings, at_utc_seconds: float) -> PlannedPrices:
    """Return the prices of all references at a moment; a written price goes before the catalogue's."""
    written = _written_rows(settings, at_utc_seconds)
    names = [reference.name for reference in asked_references(settings) if reference.name not in written]
    at = datetime.fromtimestamp(at_utc_seconds, tz=UTC)
    fetched = cached_rates(names, at=at, fetched=fetched_path(settings.history.path))
    offered = offered_prices(fetched, settings)
    rows = {quote.reference: quote.present for quote in offered.quotes} | written
    rate = 1.0 if settings.usd_rate is None else settings.usd_rate.rate
    in_order = [rows[reference.name] for reference in settings.references if reference.name in rows]
    return PlannedPrices(
        prices=tuple(reference_price(row, rate) for row in in_order),
        notes={
            quote.reference: "the price of this hour, which varies within the day"
            for quote in offered.quotes
            if len(quote.within_day) > 1
        },
        absent=tuple(_absent(settings, rows, at_utc_seconds)),
        faults=offered.faults,
    )


def _absent(settings: Settings, rows: Mapping[str, PriceRow], at_utc_seconds: float) -> Iterator[str]:
    for written in written_prices(settings):
        if written.reference not in rows and written.begin_utc_seconds > at_utc_seconds:
            yield written.reference


def _written_rows(settings: Settings, at_utc_seconds: float) -> dict[str, PriceRow]:
    begun = {}
    for written in written_prices(settings):
        for row in written.rows:
            if row.valid_from_utc_seconds <= at_utc_seconds:
                begun[written.reference] = row
    return begun
