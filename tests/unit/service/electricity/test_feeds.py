"""From the configuration to how a feed is read."""

from config_fixtures import settings_of
from evenwatt.readings.electricity_feed import FeedSpec
from evenwatt.service.electricity.feeds import feed_spec


def test_how_a_feed_is_read():
    """Units become ratios, and the bounds of a believable price are those of the currency."""
    settings = settings_of(
        """
        currency: JPY
        usd_rate: {rate: 150, date: 2026-11-01}
        electricity:
          feed: {url: "http://a/b?c=d", list: l, start: s, end: e, price: p, unit: per_mwh, add: 2,
                 multiply: 1.1, refresh_minutes: 10}
        """
    )

    assert feed_spec(settings, settings.electricity.feed) == FeedSpec(
        url="http://a/b?c=d",
        list_path="l",
        start_path="s",
        end_path="e",
        price_path="p",
        kwh_ratio=1e-3,
        add=2.0,
        multiply=1.1,
        lowest_per_kwh=-150.0,
        highest_per_kwh=750.0,
        lasting_seconds=1_800.0,
    )


def test_bounds_of_a_feed_can_be_written():
    """What was written goes before what is assumed."""
    settings = settings_of(
        "electricity: {feed: {url: http://a, query: p, lowest_per_kwh: 0, highest_per_kwh: 1}}"
    )
    spec = feed_spec(settings, settings.electricity.feed)

    assert (spec.query, spec.lowest_per_kwh, spec.highest_per_kwh) == ("p", 0.0, 1.0)
