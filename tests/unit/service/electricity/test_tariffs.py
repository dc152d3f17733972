"""From the configuration to the tariff."""

import sys
from datetime import date, datetime
from zoneinfo import ZoneInfo

import pytest

from config_fixtures import settings_of
from evenwatt.economics.tariffs import FeedPrices, band_name_at, price_per_kwh_at
from evenwatt.errors import SourceContractError, SourceUnavailable
from evenwatt.service.electricity.tariffs import site_holidays, site_tariff

BERLIN = ZoneInfo("Europe/Berlin")


def at(text):
    """Return the moment at which the clock of Berlin shows something."""
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN).timestamp()


def test_nothing_written_is_one_assumed_price():
    """0.30, whenever."""
    assert price_per_kwh_at(site_tariff(settings_of("")), 0.0) == 0.30


def test_dated_prices_begin_at_midnight_of_the_site():
    """A new price takes over when the day begins where the machine stands; before the first there is none."""
    tariff = site_tariff(
        settings_of(
            """
            timezone: Europe/Berlin
            electricity:
              prices:
                - {valid_from: 2026-07-01, price_per_kwh: 0.32}
                - {valid_from: 2026-01-01, price_per_kwh: 0.30}
            """
        )
    )

    assert price_per_kwh_at(tariff, at("2026-06-30 23:59:59")) == 0.30
    assert price_per_kwh_at(tariff, at("2026-07-01 00:00:00")) == 0.32
    assert price_per_kwh_at(tariff, at("2025-12-31 23:59:59")) is None


def test_bands_with_holidays_of_a_region():
    """On Epiphany in Bavaria, a Tuesday, the band of holidays holds; a day later the other one does."""
    tariff = site_tariff(
        settings_of(
            """
            timezone: Europe/Berlin
            electricity:
              prices:
                - bands:
                    - {name: free, days: [sun, holiday], price_per_kwh: 0.2}
                    - {name: work, price_per_kwh: 0.4}
              holidays: {country: DE, subdivision: BY, dates: [2026-12-24]}
            """
        )
    )

    assert band_name_at(tariff, at("2026-01-06 12:00")) == "free"
    assert band_name_at(tariff, at("2026-01-07 12:00")) == "work"
    assert band_name_at(tariff, at("2026-12-24 12:00")) == "free"


def test_own_dates_need_no_library():
    """Dates alone are the holidays."""
    settings = settings_of("electricity: {holidays: {dates: [2026-12-24]}}")

    assert site_holidays(settings) == {date(2026, 12, 24)}
    assert site_holidays(settings_of("")) == frozenset()


def test_an_unknown_country_names_its_key():
    """The fault says where to look in the file."""
    with pytest.raises(SourceContractError, match=r"^electricity\.holidays: no country 'XX' is known"):
        site_holidays(settings_of("electricity: {holidays: {country: XX}}"))


def test_holidays_that_cannot_be_looked_up_name_their_key(monkeypatch, tmp_path):
    """Where the library cannot be asked, the fault says what was wanted of it."""
    monkeypatch.setattr(sys, "executable", str(tmp_path / "gone"))

    with pytest.raises(SourceUnavailable, match=r"^electricity\.holidays: the public holidays could not be"):
        site_holidays(settings_of("electricity: {holidays: {country: SE}}"))


def test_fees_by_the_kwh_are_added_up():
    """A grid fee and cooling stand on the price; what is paid by the month does not."""
    tariff = site_tariff(
        settings_of(
            """
            electricity: {price_per_kwh: 0.25, pue: 1.3}
            other: [{name: grid, per_kwh: 0.08}, {name: rack, per_month: 9}, {name: cooling, per_kwh: 0.02}]
            """
        )
    )

    assert price_per_kwh_at(tariff, 0.0) == pytest.approx(0.35)
    assert tariff.pue == 1.3


FEED_PRICES = FeedPrices(starts_utc_seconds=[100.0], ends_utc_seconds=[200.0], prices_per_kwh=[0.1])


@pytest.mark.parametrize(
    ("electricity", "before", "after"),
    [
        ("{feed: {url: http://a, price: p}}", None, 0.1),
        ("{feed: {url: http://a, price: p}, price_per_kwh: 0.5}", 0.5, 0.1),
        ("{feed: {url: http://a, price: p}, prices: [{price_per_kwh: 0.6}]}", 0.6, 0.1),
        ("{price_per_kwh: 0.5}", 0.5, 0.5),
    ],
    ids=["alone", "beside a price", "beside prices", "no feed any more"],
)
def test_what_holds_until_the_feed_has_a_price(electricity, before, after):
    """A feed alone leaves the price unknown until it has given one: nothing is assumed in its place."""
    tariff = site_tariff(settings_of(f"electricity: {electricity}"), FEED_PRICES)

    assert price_per_kwh_at(tariff, 99.0) == before
    assert price_per_kwh_at(tariff, 100.0) == after
