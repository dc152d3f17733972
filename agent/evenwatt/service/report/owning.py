"""How the machine is had: what of its price book a report needs beside the money that was metered."""

import re

from evenwatt.economics.breakeven import purchase_of
from evenwatt.economics.cost import PriceBook
from evenwatt.economics.ownership import Owned, OwnedParts, cost_when_new_per_hour, owned_cost_between
from evenwatt.economics.tariffs import Tariff, mean_price_per_kwh
from evenwatt.snapshot.report.owning import GpuParts, Owning
from evenwatt.units import SECONDS_PER_HOUR

__all__ = ["owning_of"]

_GPU_NAME = re.compile(r"gpus?|graphics|accelerators?|cards?")
"""What people call the part that the GPUs are."""


def owning_of(
    book: PriceBook, *, start_utc_seconds: float, end_utc_seconds: float, accounted_seconds: float
) -> Owning:
    """Return how the machine of a price book is had over a window.

    Args:
        book: In the currency of the report.
        start_utc_seconds: Of the window, or where the history begins within it.
        end_utc_seconds: Of the window.
        accounted_seconds: The part of it that the history holds.
    """
    purchase = purchase_of(book.hardware, end_utc_seconds)
    hours = accounted_seconds / SECONDS_PER_HOUR
    return Owning(
        purchase_price=None if purchase is None else purchase.price,
        maintenance_cost=0.0 if purchase is None else purchase.maintenance_per_hour * hours,
        month_hours=book.month_hours,
        gpu_parts=_gpu_parts(book, start_utc_seconds, end_utc_seconds, hours),
        even_price_per_kwh=_even_price(book.tariff, start_utc_seconds, end_utc_seconds),
    )


def _gpu_parts(book: PriceBook, start: float, end: float, hours: float) -> GpuParts | None:
    """Return the parts that their owner calls GPUs; None where no part is, and all of it may be."""
    if not isinstance(book.hardware, OwnedParts):
        return None
    found = [part for part in book.hardware.parts if _is_gpu(part)]
    if not found:
        return None
    whole = sum(owned_cost_between(part, start, end) for part in book.hardware.parts)
    theirs = sum(owned_cost_between(part, start, end) for part in found)
    return GpuParts(
        names=tuple(part.name for part in found),
        cost_share=theirs / whole if whole else 0.0,
        cost_when_new=sum(cost_when_new_per_hour(part) for part in found) * hours,
    )


def _is_gpu(part: Owned) -> bool:
    return any(_GPU_NAME.fullmatch(word) for word in re.split(r"[^a-z]+", part.name.lower()))


def _even_price(tariff: Tariff | None, start: float, end: float) -> float | None:
    price = None if tariff is None else mean_price_per_kwh(tariff, start, end)
    return None if tariff is None or price is None else price * tariff.pue
