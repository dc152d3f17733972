"""What docs/how-to.md says of its own lines is what comes out of them."""

import re
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from evenwatt.config import parse_settings
from evenwatt.economics.ownership import end_of_life_utc_seconds, hardware_cost, owned_parts
from evenwatt.economics.tariffs import price_per_kwh_at
from evenwatt.service.electricity.tariffs import site_tariff
from evenwatt.service.pricing import price_book

PAGE = (Path(__file__).parents[2] / "docs" / "how-to.md").read_text()
BERLIN = ZoneInfo("Europe/Berlin")


def settings_under(title):
    """Return the settings that the YAML under a heading stands for."""
    snippet = re.search(rf"## {re.escape(title)}\n.*?```yaml\n(.*?)```", PAGE, re.DOTALL)
    return parse_settings(snippet[1].encode(), "config.yaml")


@pytest.mark.parametrize(
    ("at", "per_kwh"),
    [
        (datetime(2026, 11, 30, 12, tzinfo=BERLIN), 0.34),  # a Monday at noon
        (datetime(2026, 11, 27, 23, tzinfo=BERLIN), 0.24),  # Friday night
        (datetime(2026, 11, 28, 2, tzinfo=BERLIN), 0.26),  # Saturday before dawn
        (datetime(2026, 11, 28, 23, tzinfo=BERLIN), 0.26),  # Saturday night
        (datetime(2026, 11, 30, 3, tzinfo=BERLIN), 0.24),  # the night of Sunday, after the weekend's own day
        (datetime(2026, 12, 24, 12, tzinfo=BERLIN), 0.26),  # a holiday of the site's own
        (datetime(2027, 1, 6, 12, tzinfo=BERLIN), 0.28),  # a holiday of Bavaria
        (datetime(2027, 1, 7, 12, tzinfo=BERLIN), 0.36),
    ],
)
def test_the_tariff_by_the_time_of_day(at, per_kwh):
    """Bands, holidays and dates give the price that the page promises."""
    tariff = site_tariff(settings_under("A tariff by the time of day, with weekends and holidays"))

    assert price_per_kwh_at(tariff, utc_seconds=at.timestamp()) == pytest.approx(per_kwh)


def test_the_hardware_that_was_bought_in_two_parts():
    """Each part has the end that the page names; together they cost by the hour what their prices say."""
    settings = settings_under("Hardware that was bought in two parts")
    hardware = price_book(settings, (), ()).hardware
    ends = [
        datetime.fromtimestamp(end_of_life_utc_seconds(part), settings.timezone).date().isoformat()
        for part in owned_parts(hardware)
    ]
    hour = hardware_cost(
        hardware, utc_seconds=datetime(2026, 11, 30, tzinfo=BERLIN).timestamp(), seconds=3_600
    )

    assert ends == ["2028-04-29", "2028-02-01"]
    assert all(end in PAGE for end in ends)
    assert hour == pytest.approx(4_000 / (5 * 8_760) + 3_200 / (3 * 8_760))


def test_the_spot_price_with_fees_and_taxes():
    """The price of the example is what the feed's settings make of 80 a MWh."""
    feed = settings_under("The spot price of the market").electricity.feed

    assert (feed.unit, (80 / 1_000 + feed.add) * feed.multiply) == ("per_mwh", pytest.approx(0.2737))
    assert "0.2737" in PAGE
