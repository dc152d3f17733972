"""What the sections of electricity, parts, setup and other costs take, and what they refuse and how."""

from datetime import date

import pytest

from config_fixtures import faults_in, settings_of

BANDS = "electricity: {prices: [{bands: [%s]}]}"
PRICED = "electricity: {prices: [{price_per_kwh: 0.3, bands: [%s]}]}"
FEED = "electricity: {feed: {url: http://a, %s}}"


def test_a_whole_file_becomes_typed_values():
    """Dates, times, paths and parts arrive as values of their own types."""
    settings = settings_of(
        """\
        electricity:
          prices:
            - {valid_from: 2026-01-01, price_per_kwh: 0.34,
               bands: [{name: night, start: 22:00, end: "06:00", days: [mon, holiday], price_per_kwh: 0.24}]}
          holidays: {country: DE, subdivision: BY, dates: [2026-12-24]}
          feed: {url: "https://a/b?token=x&d=1", price: "data[0].price", unit: per_mwh, api_key: k}
        hardware: {parts: [{name: server, purchase_price: 4000, purchased: 2023-05-01}]}
        setup: {cost: 1500, spread_months: 24, begins: 2025-01-15}
        other: [{name: grid fee, per_kwh: 0.08}]
        """
    )
    (price,) = settings.electricity.prices

    assert (price.valid_from, price.price_per_kwh) == (date(2026, 1, 1), 0.34)
    assert (price.bands[0].start, price.bands[0].end, price.bands[0].days) == (
        "22:00",
        "06:00",
        ("mon", "holiday"),
    )
    assert settings.electricity.holidays.dates == (date(2026, 12, 24),)
    assert settings.electricity.feed.url == "https://a/b?token=x&d=1"
    assert str(settings.electricity.feed.api_key) == "<secret>"
    assert settings.hardware.parts[0].lifetime_years == 3.0
    assert settings.setup.begins == date(2025, 1, 15)
    assert (settings.other[0].per_month, settings.other[0].per_kwh) == (None, 0.08)


@pytest.mark.parametrize(
    "bands",
    [
        "{name: a, price_per_kwh: 1}",
        "{name: a, start: 22:00, end: 06:00, price_per_kwh: 1}, {name: b, start: 06:00, price_per_kwh: 2}",
        "{name: a, days: [mon, tue, wed, thu, fri], price_per_kwh: 1}, {name: b, price_per_kwh: 1}",
        "{name: a, days: [mon, tue, wed, thu, fri, sat, sun], price_per_kwh: 1}",
    ],
    ids=["all day", "night and day", "week and weekend", "every weekday"],
)
def test_bands_that_cover_every_moment_need_no_other_price(bands):
    """What no moment falls outside of is whole."""
    assert settings_of(BANDS % bands).electricity.prices[0].price_per_kwh is None


@pytest.mark.parametrize(
    ("text", "key", "words"),
    [
        (
            BANDS % "{name: a, start: 22:00, end: 06:00, price_per_kwh: 1}",
            "electricity.prices[0].price_per_kwh",
            "missing; no band holds on mon at 06:00; write the price that holds outside the bands",
        ),
        (
            BANDS % "{name: a, days: [mon, tue, wed, thu, fri, sat], price_per_kwh: 1}",
            "electricity.prices[0].price_per_kwh",
            "missing; no band holds on sun at 00:00",
        ),
        (
            (
                "electricity: {holidays: {dates: [2026-01-01]}, prices: [{bands: [{name: a, price_per_kwh: 1,"
                " days: [mon, tue, wed, thu, fri, sat, sun]}]}]}"
            ),
            "electricity.prices[0].price_per_kwh",
            "missing; no band holds on a holiday (mon) at 00:00",
        ),
        (
            BANDS % "{name: a, start: 22:00, end: 06:00, days: [mon, tue, wed, thu, fri], price_per_kwh: 1},"
            "{name: b, start: 06:00, end: 22:00, price_per_kwh: 1}",
            "electricity.prices[0].price_per_kwh",
            "missing; no band holds on mon at 00:00",
        ),
        (
            "electricity: {prices: [{valid_from: 2026-01-01}]}",
            "electricity.prices[0].price_per_kwh",
            "missing; write it, or bands",
        ),
        ("electricity: {prices: []}", "electricity.prices", "got an empty list, expected at least one price"),
        (
            "electricity: {price_per_kwh: 0.3, prices: [{price_per_kwh: 1}]}",
            "electricity.prices",
            "given together with price_per_kwh; make that an entry of prices",
        ),
        (
            "electricity: {prices: [{price_per_kwh: 1}, {price_per_kwh: 2}]}",
            "electricity.prices[1].valid_from",
            "got no date, the same as an earlier one; keep one of them",
        ),
        (
            (
                "electricity: {prices: [{price_per_kwh: 1, valid_from: 2026-01-01},"
                " {price_per_kwh: 2, valid_from: 2026-01-01}]}"
            ),
            "electricity.prices[1].valid_from",
            "got 2026-01-01, the same as an earlier one",
        ),
        (
            PRICED % "{name: a, price_per_kwh: 1}, {name: a, price_per_kwh: 2}",
            "electricity.prices[0].bands[1].name",
            "got a, the same as an earlier one",
        ),
        (
            PRICED % "{name: a, price_per_kwh: 1, start: 06:00, end: 06:00}",
            "electricity.prices[0].bands[0].end",
            "got 06:00, where it starts; remove start and end for the whole day",
        ),
        (
            PRICED % "{name: a, price_per_kwh: 1, start: 24:00, end: 06:00}",
            "electricity.prices[0].bands[0].start",
            "got 24:00, expected a time before it",
        ),
        (
            PRICED % "{name: a, price_per_kwh: 1, start: 6:00}",
            "electricity.prices[0].bands[0].start",
            "got 6:00, expected a time of day from 00:00 to 24:00, such as 22:00",
        ),
        (
            PRICED % "{name: a, price_per_kwh: 1, start: '22:00:30'}",
            "electricity.prices[0].bands[0].start",
            "got '22:00:30', expected a time of day",
        ),
        (
            PRICED % "{name: a, price_per_kwh: 1, days: [monday]}",
            "electricity.prices[0].bands[0].days[0]",
            "got monday, expected mon, tue, wed, thu, fri, sat, sun or holiday",
        ),
        (
            PRICED % "{name: a, price_per_kwh: 1, days: [holiday]}",
            "electricity.prices[0].bands[0].days",
            "holiday needs electricity.holidays; write both",
        ),
        (
            "electricity: {holidays: {}}",
            "electricity.holidays.country",
            "missing; write a country such as DE, or dates",
        ),
        (
            "electricity: {holidays: {subdivision: BY, dates: [2026-01-01]}}",
            "electricity.holidays.subdivision",
            "needs the country that it is a part of; write both",
        ),
        (
            FEED % "unit: per_mwh",
            "electricity.feed.price",
            "missing; write its path in the JSON, or a Prometheus query",
        ),
        (
            FEED % "query: a, price: b",
            "electricity.feed.price",
            "a Prometheus query has one value and no path",
        ),
        (
            FEED % "price: b, list: c",
            "electricity.feed.start",
            "missing; with list, write the path of the time",
        ),
        (
            FEED % "price: b, end: c",
            "electricity.feed.start",
            "missing; with end, write the path of the time",
        ),
        (
            FEED % "price: b, lowest_per_kwh: 2, highest_per_kwh: 1",
            "electricity.feed.lowest_per_kwh",
            "got 2, expected less than highest_per_kwh (1)",
        ),
        (
            FEED % "price: 'a..b'",
            "electricity.feed.price",
            "got 'a..b', expected keys and [indexes] on the way",
        ),
        (
            FEED % "price: a, unit: MWh",
            "electricity.feed.unit",
            "got MWh, expected per_kwh, per_mwh or cents_per_kwh",
        ),
        (
            "electricity: {feed: {url: 'http://u:p@a', price: p}}",
            "electricity.feed.url",
            "got 'http://<secret>@a', expected an http:// or https:// address, without credentials",
        ),
        (
            "electricity: {feed: {url: 'ftp://a?token=secret', price: p}}",
            "electricity.feed.url",
            "got 'ftp://a?<secret>, expected an http:// or https:// address",
        ),
        (
            "hardware: {purchase_price: 1, parts: [{name: a, purchase_price: 1}]}",
            "hardware.purchase_price",
            "stands beside parts, which have their own; write it there, or remove parts",
        ),
        (
            "hardware: {mode: rented_active, rent_per_hour: 1, parts: [{name: a, purchase_price: 1}]}",
            "hardware.parts",
            "a rented machine (mode: rented_active) has none",
        ),
        (
            "hardware: {parts: [{name: a, purchase_price: 1}, {name: a, purchase_price: 1}]}",
            "hardware.parts[1].name",
            "got a, the same as an earlier one",
        ),
        (
            "hardware: {parts: [{name: a, purchase_price: 1, residual_value: 2}]}",
            "hardware.parts[0].residual_value",
            "got 2, expected at most the purchase_price (1)",
        ),
        ("other: [{name: a}]", "other[0]", "has no price; write per_month, or per_kwh"),
        (
            "other: [{name: a, per_month: 1, per_kwh: 1}]",
            "other[0].per_kwh",
            "given together with per_month; make two entries of them",
        ),
        (
            "electricity: {feed: {url: http://a, price: p, list: l, end: e}}",
            "electricity.feed.start",
            "missing; with list and end, write the path of the time at which a price begins",
        ),
        (
            "setup: {cost: 1, begins: 2026-01-01}",
            "setup.spread_months",
            "missing; this key has to be written here",
        ),
    ],
)
def test_what_cannot_hold_is_refused_in_words(text, key, words):
    """Each fault names its key, what was found and what to do."""
    (fault,) = faults_in(text)

    assert fault.startswith(f"1: {key}: {words}")


def test_all_faults_of_a_section_are_told_at_once():
    """A feed without a price and its bounds the wrong way round are two faults."""
    assert len(faults_in(FEED % "lowest_per_kwh: 2, highest_per_kwh: 1")) == 2
