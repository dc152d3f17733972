"""What a reader of the numbers has to know of them."""

from datetime import UTC, datetime

import pytest

from config_fixtures import settings_of
from evenwatt.economics.cost import PriceBook
from evenwatt.economics.tariffs import FeedPrices, flat_tariff
from evenwatt.service.notes import electricity_view, price_notes
from evenwatt.service.pricing import price_book
from evenwatt.snapshot import ElectricityView

PARTS = """
timezone: Europe/Berlin
hardware:
  parts:
    - {name: server, purchase_price: 4000, lifetime_years: 5, purchased: 2023-05-01}
    - {name: gpus, purchase_price: 3600, lifetime_years: 3, purchased: 2029-01-01}
"""


def book_of(text, **options):
    """Return the prices that a configuration stands for."""
    return price_book(settings_of(text), (), (), **options)


def texts(book, at):
    """Return what is noted at a moment."""
    moment = datetime.fromisoformat(at).replace(tzinfo=UTC).timestamp()
    return [note.text for note in price_notes(book, moment, settings_of(PARTS).timezone)]


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        ("2027-01-01", ["gpus: bought on 2029-01-01, and its hardware cost is 0 until then"]),
        (
            "2028-05-01",
            [
                "server: written off since 2028-04-29, and its hardware cost is 0 from there on",
                "gpus: bought on 2029-01-01, and its hardware cost is 0 until then",
            ],
        ),
        ("2030-01-01", ["server: written off since 2028-04-29, and its hardware cost is 0 from there on"]),
    ],
)
def test_parts_that_cost_nothing_are_noted(at, expected):
    """A life of 5 years of 8,760 hours from May 2023 ends two days early, as two of its years were longer."""
    assert texts(book_of(PARTS), at) == expected


def test_a_single_machine_is_called_the_hardware():
    """Without parts there is one thing to write off."""
    book = book_of("hardware: {purchase_price: 100, lifetime_years: 1, purchased: 2020-01-01}\ntimezone: UTC")

    assert texts(book, "2026-01-01") == [
        "hardware: written off since 2020-12-31, and its hardware cost is 0 from there on"
    ]


def test_nothing_special_is_no_note():
    """What costs as it is written needs no word."""
    assert texts(book_of("hardware: {purchase_price: 100}"), "2026-01-01") == []


FEED = "electricity: {feed: {url: http://a, price: p}}\nhardware: {mode: sunk}"
PAST = FeedPrices(starts_utc_seconds=[100.0], ends_utc_seconds=[200.0], prices_per_kwh=[0.1])


def test_an_unknown_electricity_price_is_noted():
    """A feed that never answered, or a first price to come, leaves energy without a cost, and says so."""
    to_come = "electricity: {prices: [{valid_from: 2027-01-01, price_per_kwh: 1}]}\nhardware: {mode: sunk}"
    (of_feed,) = texts(book_of(FEED, electricity=FeedPrices()), "2026-01-01")
    (of_prices,) = texts(book_of(to_come), "2026-01-01")

    assert of_feed.startswith("no electricity price is known for now")
    assert of_feed.endswith("; a price_per_kwh beside the feed would hold")
    assert of_prices.endswith("; a price that begins earlier would hold")
    assert texts(PriceBook(), "2026-01-01") == [of_prices]


def test_a_stale_electricity_price_is_noted():
    """The last known price is used and called what it is."""
    (text,) = texts(book_of(FEED, electricity=PAST), "2026-01-01")

    assert "the last known one is used, and is stale" in text


def test_where_the_price_of_now_comes_from():
    """Band, feed and fees, each as far as there is one."""
    bands = """
        electricity: {prices: [{bands: [{name: all, price_per_kwh: 0.3}]}]}
        other: [{name: grid fee, per_kwh: 0.1}]
    """

    assert electricity_view(book_of(bands), 0.0) == ElectricityView(band="all", fees_per_kwh=0.1)
    assert electricity_view(book_of(FEED, electricity=PAST), 150.0) == ElectricityView(is_stale=False)
    assert electricity_view(book_of(FEED, electricity=PAST), 250.0) == ElectricityView(is_stale=True)
    assert electricity_view(PriceBook(tariff=flat_tariff(0.3)), 0.0) == ElectricityView()
    assert electricity_view(PriceBook(), 0.0) == ElectricityView()
