"""The electricity price at a moment, and what energy costs at it."""

import math
from dataclasses import dataclass

from evenwatt.units import JOULES_PER_KWH

__all__ = ["DatedPrice", "Tariff", "energy_cost", "flat_tariff", "price_per_kwh_at"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DatedPrice:
    """A price from a moment on, until a later one takes over.

    Attributes:
        valid_from_utc_seconds: Left out: since ever.
    """

    price_per_kwh: float
    valid_from_utc_seconds: float = -math.inf


@dataclass(frozen=True, slots=True, kw_only=True)
class Tariff:
    """What the site pays for electricity.

    Attributes:
        prices: In any order; a new price is a new entry, so that yesterday's bill does not change today.
        pue: Energy that the site draws for each joule that the machine draws (cooling, supply losses); 1 at
            home.
    """

    prices: tuple[DatedPrice, ...]
    pue: float = 1.0


def flat_tariff(price_per_kwh: float, *, pue: float = 1.0) -> Tariff:
    """Return a tariff with one price for all time."""
    return Tariff(prices=(DatedPrice(price_per_kwh=price_per_kwh),), pue=pue)


def price_per_kwh_at(tariff: Tariff, utc_seconds: float) -> float | None:
    """Return the price in force at a moment, PUE not included; None before the first one."""
    begun = [price for price in tariff.prices if price.valid_from_utc_seconds <= utc_seconds]
    if not begun:
        return None
    return max(begun, key=lambda price: price.valid_from_utc_seconds).price_per_kwh


def energy_cost(tariff: Tariff, *, utc_seconds: float, joules: float) -> float | None:
    """Return what energy drawn by the machine costs at a moment: joules x PUE x price.

    None where no price is in force yet.
    """
    price_per_kwh = price_per_kwh_at(tariff, utc_seconds)
    if price_per_kwh is None:
        return None
    return joules * tariff.pue * price_per_kwh / JOULES_PER_KWH
