"""What a reader of the numbers has to know of them: what is written off, what is not known, what is stale."""

from collections.abc import Iterator
from datetime import datetime, tzinfo

from evenwatt.economics.cost import PriceBook
from evenwatt.economics.ownership import Owned, end_of_life_utc_seconds, owned_parts, written_off
from evenwatt.economics.tariffs import band_name_at, is_stale_at, price_per_kwh_at
from evenwatt.model import Note
from evenwatt.snapshot import ElectricityView

__all__ = ["electricity_view", "price_notes"]


def electricity_view(book: PriceBook, utc_seconds: float) -> ElectricityView:
    """Return where the electricity price of a moment comes from."""
    tariff = book.tariff
    if tariff is None:
        return ElectricityView()
    return ElectricityView(
        band=band_name_at(tariff, utc_seconds),
        is_stale=None if tariff.feed is None else is_stale_at(tariff, utc_seconds),
        fees_per_kwh=tariff.fees_per_kwh,
    )


def price_notes(book: PriceBook, utc_seconds: float, zone: tzinfo) -> tuple[Note, ...]:
    """Return what has to be known of the prices at a moment.

    Args:
        book: Of the site.
        utc_seconds: The moment.
        zone: In which days are told.
    """
    return (*_electricity(book, utc_seconds), *_hardware(book, utc_seconds, zone))


def _electricity(book: PriceBook, utc_seconds: float) -> Iterator[Note]:
    tariff = book.tariff
    if tariff is None or price_per_kwh_at(tariff, utc_seconds) is None:
        text = "no electricity price is known for now: what holds energy of now shows no full cost"
        hint = "a price_per_kwh beside the feed" if tariff and tariff.feed else "a price that begins earlier"
        yield Note(subject="electricity", text=f"{text}; {hint} would hold")
    elif is_stale_at(tariff, utc_seconds):
        text = "the electricity feed has no price for now: the last known one is used, and is stale"
        yield Note(subject="electricity", text=text)


def _hardware(book: PriceBook, utc_seconds: float, zone: tzinfo) -> Iterator[Note]:
    parts = owned_parts(book.hardware)
    for part in written_off(book.hardware, utc_seconds):
        since = _day(end_of_life_utc_seconds(part), zone)
        text = f"{part.name}: written off since {since}, and its hardware cost is 0 from there on"
        yield Note(subject="hardware", text=text)
    for part in parts:
        if _is_to_come(part, utc_seconds):
            bought = _day(part.purchased_utc_seconds, zone)
            text = f"{part.name}: bought on {bought}, and its hardware cost is 0 until then"
            yield Note(subject="hardware", text=text)


def _is_to_come(part: Owned, utc_seconds: float) -> bool:
    return part.purchased_utc_seconds is not None and utc_seconds < part.purchased_utc_seconds


def _day(utc_seconds: float | None, zone: tzinfo) -> str:
    return "" if utc_seconds is None else datetime.fromtimestamp(utc_seconds, zone).date().isoformat()
