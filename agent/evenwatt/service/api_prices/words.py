"""API prices in words, as events, logs and views tell them."""

from datetime import UTC, datetime

from evenwatt.service.api_prices.quotes import ALWAYS
from evenwatt.sinks.history import PriceRow

__all__ = ["change_in_words", "day_of", "in_words", "offer_in_words"]


def change_in_words(before: PriceRow | None, after: PriceRow, *, only_adds: bool) -> str:
    """Return what was accepted, as an event tells it.

    Args:
        before: What held at that date; None: nothing did.
        after: What holds from then on.
        only_adds: Whether it bills the same, and more is known.
    """
    start = after.valid_from_utc_seconds
    since = "" if start in {ALWAYS, after.accepted_utc_seconds} else f" from {day_of(start)} on"
    if before is None:
        return f"price accepted{since}: {in_words(after)} ({after.source})"
    if only_adds:
        return f"more is known of the price{since}: {in_words(after)} ({after.source})"
    return f"price changed{since} from {in_words(before)} to {in_words(after)} ({after.source})"


def offer_in_words(present: PriceRow, offered: PriceRow) -> str:
    """Return what the catalogue offers, and what counts meanwhile."""
    return (
        f"the catalogue says {in_words(offered)} ({offered.source}); until it is accepted (evenwatt prices "
        f"accept {offered.reference}) {in_words(present)} counts"
    )


def day_of(utc_seconds: float) -> str:
    """Return the day (UTC) of a moment."""
    return datetime.fromtimestamp(utc_seconds, UTC).date().isoformat()


def in_words(row: PriceRow) -> str:
    """Return a price in words, with what it has beside input, cached input and output."""
    cached = row.cached_input_usd_per_mtok
    middle = "no price for cached input" if cached is None else f"{cached:g} cached"
    words = f"{row.input_usd_per_mtok:g} input, {middle}, {row.output_usd_per_mtok:g} output USD per Mtok"
    if row.cache_write_usd_per_mtok is not None:
        words += f", {row.cache_write_usd_per_mtok:g} to write the cache"
    if row.batch_input_usd_per_mtok is not None and row.batch_output_usd_per_mtok is not None:
        words += f", in batch {row.batch_input_usd_per_mtok:g} input"
        words += f" and {row.batch_output_usd_per_mtok:g} output"
    for tier in row.tiers:
        words += (
            f", above {tier.above_input_tokens:,} input tokens {tier.input_usd_per_mtok:f} input and "
            f"{tier.output_usd_per_mtok:f} output"
        )
    return words
