"""From the settings to how a feed of electricity prices is read."""

from evenwatt.config import ElectricityFeed, Settings
from evenwatt.readings.electricity_feed import FeedSpec

__all__ = ["feed_spec"]

_KWH_RATIOS = {"per_kwh": 1.0, "per_mwh": 1e-3, "cents_per_kwh": 1e-2}
_LOWEST_USD_PER_KWH = -1.0
_HIGHEST_USD_PER_KWH = 5.0
"""Above what European day-ahead auctions allow (4), and far below a price whose unit is wrong."""
_LASTING_REFRESHES = 3
"""A price that says no end holds until so many looks for another one have failed."""


def feed_spec(settings: Settings, feed: ElectricityFeed) -> FeedSpec:
    """Return how a feed of the settings is read."""
    usd_rate = 1.0 if settings.usd_rate is None else settings.usd_rate.rate
    lowest, highest = feed.lowest_per_kwh, feed.highest_per_kwh
    return FeedSpec(
        url=feed.url,
        query=feed.query,
        list_path=feed.list,
        start_path=feed.start,
        end_path=feed.end,
        price_path=feed.price,
        kwh_ratio=_KWH_RATIOS[feed.unit],
        add=feed.add,
        multiply=feed.multiply,
        lowest_per_kwh=_LOWEST_USD_PER_KWH * usd_rate if lowest is None else lowest,
        highest_per_kwh=_HIGHEST_USD_PER_KWH * usd_rate if highest is None else highest,
        lasting_seconds=_LASTING_REFRESHES * feed.refresh_minutes * 60,
    )
