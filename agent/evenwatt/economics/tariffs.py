"""The electricity price at a moment, and what energy costs at it.

A tariff is a step function of time: prices with dates, sets of time bands with dates, and prices that a feed
gave. Its steps are sorted once, so that asking costs a search and not a walk.
"""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from msgspec import Struct

from evenwatt.economics.bands import BandStep, BandTariff
from evenwatt.units import JOULES_PER_KWH

__all__ = [
    "DatedPrice",
    "FeedPrices",
    "Tariff",
    "band_name_at",
    "energy_cost",
    "flat_tariff",
    "is_stale_at",
    "mean_price_per_kwh",
    "price_per_kwh_at",
    "stale_seconds",
]

_UNKNOWN: BandStep = (None, None)


class DatedPrice(Struct, frozen=True, kw_only=True):
    """A price from a moment on, until a later one takes over.

    Attributes:
        valid_from_utc_seconds: Left out: since ever.
    """

    price_per_kwh: float
    valid_from_utc_seconds: float = -math.inf


class FeedPrices(Struct, frozen=True, kw_only=True):
    """Prices that a feed gave, each for its own time; three sequences of one length, oldest first.

    From the first one on they hold, also where one has ended and no other was given: the last known price is
    kept there, and is stale.
    """

    starts_utc_seconds: Sequence[float] = ()
    ends_utc_seconds: Sequence[float] = ()
    prices_per_kwh: Sequence[float] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Tariff:
    """What the site pays for electricity.

    Attributes:
        prices: In any order; a new price is a new entry, so that yesterday's bill does not change today. Of
            two with the same date the later entry holds.
        pue: Energy that the site draws for each joule that the machine draws (cooling, supply losses); 1 at
            home.
        fees_per_kwh: What is paid for each kWh on top of whatever price is in force, and is part of it.
        feed: Where it has a price, it goes before `prices`.
    """

    prices: tuple[DatedPrice | BandTariff, ...]
    pue: float = 1.0
    fees_per_kwh: float = 0.0
    feed: FeedPrices | None = None
    _starts: tuple[float, ...] = field(init=False, repr=False, compare=False)
    _sorted: tuple[DatedPrice | BandTariff, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Sort the prices once."""
        by_date = tuple(sorted(self.prices, key=lambda price: price.valid_from_utc_seconds))
        object.__setattr__(self, "_sorted", by_date)
        object.__setattr__(self, "_starts", tuple(price.valid_from_utc_seconds for price in by_date))

    def step_at(self, utc_seconds: float) -> BandStep:
        """Return the price without fees, and the band that it is of, where it is of one."""
        if self.feed is not None:
            begun = bisect_right(self.feed.starts_utc_seconds, utc_seconds)
            if begun:
                return self.feed.prices_per_kwh[begun - 1], None
        begun = bisect_right(self._starts, utc_seconds)
        if not begun:
            return _UNKNOWN
        price = self._sorted[begun - 1]
        return price.step_at(utc_seconds) if isinstance(price, BandTariff) else (price.price_per_kwh, None)

    def edges(self, start_utc_seconds: float, end_utc_seconds: float) -> Iterator[float]:
        """Yield the moments after a start and before an end at which the price may change, in no order."""
        feed = () if self.feed is None else self.feed.starts_utc_seconds
        for starts in (self._starts, feed):
            first, last = bisect_right(starts, start_utc_seconds), bisect_left(starts, end_utc_seconds)
            yield from starts[first:last]
        ends = (*self._starts[1:], math.inf)
        for price, start, end in zip(self._sorted, self._starts, ends, strict=True):
            begin, until = max(start, start_utc_seconds), min(end, end_utc_seconds)
            if isinstance(price, BandTariff) and begin < until:
                yield from price.edges(begin, until)


def flat_tariff(price_per_kwh: float, *, pue: float = 1.0) -> Tariff:
    """Return a tariff with one price for all time."""
    return Tariff(prices=(DatedPrice(price_per_kwh=price_per_kwh),), pue=pue)


def price_per_kwh_at(tariff: Tariff, utc_seconds: float) -> float | None:
    """Return the price in force at a moment, fees included and PUE not; None before the first one."""
    price_per_kwh, _ = tariff.step_at(utc_seconds)
    return None if price_per_kwh is None else price_per_kwh + tariff.fees_per_kwh


def band_name_at(tariff: Tariff, utc_seconds: float) -> str | None:
    """Return the time band in force at a moment; None outside of all, and where the price is of none."""
    return tariff.step_at(utc_seconds)[1]


def is_stale_at(tariff: Tariff, utc_seconds: float) -> bool:
    """Return whether the price at a moment is the feed's last known one, which was given for another time."""
    feed = tariff.feed
    begun = 0 if feed is None else bisect_right(feed.starts_utc_seconds, utc_seconds)
    return bool(begun) and feed is not None and utc_seconds >= feed.ends_utc_seconds[begun - 1]


def stale_seconds(tariff: Tariff, start_utc_seconds: float, end_utc_seconds: float) -> float:
    """Return for how long within a stretch the feed's last known price stood in for one that is missing."""
    feed = tariff.feed
    if feed is None or not feed.starts_utc_seconds:
        return 0.0
    ends = (*feed.starts_utc_seconds[1:], math.inf)
    return math.fsum(
        max(min(until, end_utc_seconds) - max(ended, start_utc_seconds), 0.0)
        for ended, until in zip(feed.ends_utc_seconds, ends, strict=True)
    )


def mean_price_per_kwh(tariff: Tariff, start_utc_seconds: float, end_utc_seconds: float) -> float | None:
    """Return the mean of the price over a stretch, each moment counting alike, fees included and PUE not.

    It is what a machine pays that draws the same power all the time. None where a part of it has no price.
    """
    if end_utc_seconds <= start_utc_seconds:
        return price_per_kwh_at(tariff, start_utc_seconds)
    edges = sorted({start_utc_seconds, *tariff.edges(start_utc_seconds, end_utc_seconds), end_utc_seconds})
    weighted = []
    for begin, end in pairwise(edges):
        price_per_kwh = price_per_kwh_at(tariff, begin)
        if price_per_kwh is None:
            return None
        weighted.append(price_per_kwh * (end - begin))
    return math.fsum(weighted) / (end_utc_seconds - start_utc_seconds)


def energy_cost(tariff: Tariff, *, utc_seconds: float, joules: float) -> float | None:
    """Return what energy drawn by the machine costs at a moment: joules x PUE x price.

    None where no price is in force yet.
    """
    price_per_kwh = price_per_kwh_at(tariff, utc_seconds)
    if price_per_kwh is None:
        return None
    return joules * tariff.pue * price_per_kwh / JOULES_PER_KWH
