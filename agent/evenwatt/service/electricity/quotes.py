"""What of a feed's answer is new, and what is known already; pure."""

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator

from msgspec.structs import replace

from evenwatt.economics.tariffs import FeedPrices
from evenwatt.readings.electricity_feed import QuotedPrice
from evenwatt.units import SECONDS_PER_MINUTE

__all__ = ["by_start", "feed_prices", "lateness", "replaced_starts", "taken_up"]


def taken_up(
    known: dict[float, QuotedPrice], offered: Iterable[QuotedPrice], now_utc_seconds: float
) -> Iterator[QuotedPrice]:
    """Yield what is new in an answer, as it is to be kept.

    What is to come replaces what was known of it. What is in force is kept as it is; told otherwise, the new
    price holds from this minute on. What is past is added where nothing is known to have begun then.
    """
    minute = now_utc_seconds // SECONDS_PER_MINUTE * SECONDS_PER_MINUTE
    for quote in offered:
        if quote.start_utc_seconds > now_utc_seconds:
            if known.get(quote.start_utc_seconds) != quote:
                yield quote
        elif quote.end_utc_seconds <= now_utc_seconds:
            if quote.start_utc_seconds not in known:
                yield quote
        else:
            yield from _in_force(known, quote, minute, now_utc_seconds)


def _in_force(
    known: dict[float, QuotedPrice], quote: QuotedPrice, minute: float, now_utc_seconds: float
) -> Iterator[QuotedPrice]:
    held = _covering(known, now_utc_seconds)
    if held is None:
        begins = minute if quote.start_utc_seconds in known else quote.start_utc_seconds
        yield replace(quote, start_utc_seconds=begins)
    elif held.price_per_kwh != quote.price_per_kwh:
        if held.start_utc_seconds < minute:
            yield replace(quote, start_utc_seconds=minute)
    elif quote.end_utc_seconds > held.end_utc_seconds:
        yield replace(held, end_utc_seconds=quote.end_utc_seconds)


def replaced_starts(
    known: Iterable[float], news: Iterable[QuotedPrice], now_utc_seconds: float
) -> frozenset[float]:
    """Return when those prices to come begin in whose place new ones stand."""
    # Sorted once: of a long answer all prices are new, and the tick waits for this.
    to_come = sorted(start for start in known if start > now_utc_seconds)
    return frozenset(
        start
        for quote in news
        for start in to_come[
            bisect_left(to_come, quote.start_utc_seconds) : bisect_left(to_come, quote.end_utc_seconds)
        ]
    )


def _covering(known: dict[float, QuotedPrice], utc_seconds: float) -> QuotedPrice | None:
    """Return the last price that has begun, where it has not ended."""
    begun = max((start for start in known if start <= utc_seconds), default=None)
    last = None if begun is None else known[begun]
    return last if last is not None and utc_seconds < last.end_utc_seconds else None


def lateness(prices: Iterable[QuotedPrice], now: float) -> str | None:
    """Return what is wrong with an answer that has no price for now; None where it has one."""
    if any(price.start_utc_seconds <= now < price.end_utc_seconds for price in prices):
        return None
    return "the prices that came are for other times than now; see whether it asks for today"


def by_start(prices: FeedPrices) -> dict[float, QuotedPrice]:
    """Return prices by the moment at which they begin."""
    rows = zip(prices.starts_utc_seconds, prices.ends_utc_seconds, prices.prices_per_kwh, strict=True)
    return {
        start: QuotedPrice(start_utc_seconds=start, end_utc_seconds=end, price_per_kwh=price)
        for start, end, price in rows
    }


def feed_prices(known: dict[float, QuotedPrice]) -> FeedPrices:
    """Return prices as a tariff takes them."""
    ordered = [known[start] for start in sorted(known)]
    return FeedPrices(
        starts_utc_seconds=array("d", (quote.start_utc_seconds for quote in ordered)),
        ends_utc_seconds=array("d", (quote.end_utc_seconds for quote in ordered)),
        prices_per_kwh=array("d", (quote.price_per_kwh for quote in ordered)),
    )
