"""The step that gives prices their details, and what a history of before it keeps."""

import sqlite3
from contextlib import closing
from decimal import Decimal

import pytest
from msgspec.structs import replace
from sqlite_utils import Database

from evenwatt.economics.api import PriceTier, RateTier
from evenwatt.sinks.history import History, PriceOffer, PriceRow, history_beside
from evenwatt.sinks.history.migrations import migrations
from sink_fixtures import FLAT, HOUR, MINUTE, book_with, served, tick

FULL = PriceRow(
    reference="acme:large",
    valid_from_utc_seconds=100.0,
    accepted_utc_seconds=200.0,
    input_usd_per_mtok=1.25,
    cached_input_usd_per_mtok=0.125,
    output_usd_per_mtok=10.0,
    source="genai-prices 0.2.3",
    cache_write_usd_per_mtok=1.5,
    batch_input_usd_per_mtok=0.625,
    batch_cached_input_usd_per_mtok=0.06,
    batch_output_usd_per_mtok=5.0,
    tiers=(
        RateTier(
            above_input_tokens=200_000,
            input_usd_per_mtok=Decimal("2.5"),
            cached_input_usd_per_mtok=Decimal("0.25"),
            output_usd_per_mtok=Decimal("15.0"),
        ),
    ),
    accepted_by="person",
)
OFFER = PriceOffer(row=replace(FULL, input_usd_per_mtok=2.0), is_dated=True, offered_utc_seconds=300.0)


@pytest.fixture
def path(tmp_path):
    """Where the history is."""
    return tmp_path / "history.db"


@pytest.fixture
def history(path):
    """A new history."""
    with closing(History(path, currency="USD")) as opened:
        yield opened


def test_a_history_of_the_first_release_keeps_its_prices_and_its_bills(path):
    """After the step the prices are as they were, without details, and say who accepted them."""
    migrations.apply(Database(path), stop_before="m004_price_details")
    with closing(sqlite3.connect(path)) as old, old:
        old.execute("INSERT INTO price VALUES ('flat', 0.0, 9.0, 1.0, NULL, 5.0, 'configuration')")
        old.execute("INSERT INTO price VALUES ('a:b', 5.0, 9.0, 2.0, 0.2, 6.0, 'genai-prices 0.2.3')")
        old.execute("INSERT INTO minute_api VALUES (60, 'chat', 'small', 'flat', 7, 0.5, 7, 0.25)")

    with closing(History(path, currency="USD")) as history:
        flat, other = history.prices()
        assert history.price_offers() == ()
    assert (flat.reference, flat.accepted_utc_seconds, flat.accepted_by) == ("flat", 9.0, "configuration")
    assert (other.valid_from_utc_seconds, other.cached_input_usd_per_mtok) == (5.0, 0.2)
    assert (other.accepted_by, other.batch_input_usd_per_mtok, other.tiers) == ("catalogue", None, ())
    with closing(sqlite3.connect(path)) as now:
        assert now.execute("SELECT tokens, no_cache_cost FROM minute_api").fetchall() == [(7, 0.5)]


def test_all_of_a_price_comes_back(history):
    """Details and exact tiers are what was accepted."""
    history.settle_prices([FULL], offers=[OFFER])

    assert history.prices() == (FULL,)
    assert history.price_offers() == (OFFER,)


def test_a_correction_stands_beside_the_record_that_it_corrects(history):
    """Of two records of one date the one accepted last holds, and both are told."""
    corrected = replace(FULL, accepted_utc_seconds=400.0, input_usd_per_mtok=1.0)
    history.settle_prices([FULL])
    history.settle_prices([corrected])

    assert history.prices() == (corrected,)
    assert history.price_records() == (FULL, corrected)


def test_an_offer_takes_the_place_of_an_earlier_one_until_it_is_settled(history):
    """There is one offer at most for each reference."""
    history.settle_prices(offers=[OFFER])
    history.settle_prices(offers=[replace(OFFER, offered_utc_seconds=500.0)])

    assert [offer.offered_utc_seconds for offer in history.price_offers()] == [500.0]

    history.settle_prices(settled=["acme:large"])
    assert history.price_offers() == ()


def test_what_is_accepted_beside_the_agent_changes_the_edition(history, path):
    """An agent sees that somebody else wrote, and not what it wrote itself."""
    before = history.edition()
    history.settle_prices([FULL])
    own = history.edition()
    with history_beside(path, may_write=True) as beside:
        beside.settle_prices(settled=["acme:large"], offers=[OFFER])

    assert own == before
    assert history.edition() != before
    assert history.price_offers() == (OFFER,)


def test_the_history_begins_with_the_day_of_its_first_minute(history):
    """Nothing has no beginning."""
    assert history.begin_utc_seconds() is None

    history.write(tick({(HOUR + 7 * MINUTE, "chat", "small"): served()}))
    assert history.begin_utc_seconds() == HOUR // 86_400 * 86_400


def test_pricing_back_takes_each_minute_at_the_dated_price_of_its_time(history):
    """A price that falls by half between two minutes bills the one at the old and the other at the new."""
    cheaper = replace(FLAT, valid_from_utc_seconds=HOUR + 60.0, input_per_mtok=0.5, output_per_mtok=2.5)
    for minute in (HOUR, HOUR + MINUTE):
        history.write(tick({(minute, "chat", "small"): served(cached=0)}, book=book_with()))
    history.price_back([cheaper, FLAT], engine="chat", model="small", token_ratio=1.0)

    assert history.totals().api["chat", "small", "flat"].no_cache == pytest.approx(1.5 + 0.75)


def test_pricing_back_never_reaches_a_long_context_tier(history):
    """50 M input and 1 M output tokens in a minute are many requests: 72.50, and not 140.00."""
    gemini = replace(
        FLAT,
        input_per_mtok=1.25,
        output_per_mtok=10.0,
        tiers=(PriceTier(above_input_tokens=200_000, input_per_mtok=2.5, output_per_mtok=15.0),),
    )
    busy = served(read=50_000_000, wrote=1_000_000, cached=0)
    history.write(tick({(HOUR, "chat", "small"): busy}, book=book_with()))
    history.price_back([gemini], engine="chat", model="small", token_ratio=1.0)

    assert history.totals().api["chat", "small", "flat"].no_cache == pytest.approx(72.50)


@pytest.mark.parametrize(("has_surcharge", "observed"), [(False, 1.55), (True, 1.80)])
def test_pricing_back_bills_cache_writes_where_that_is_set(history, has_surcharge, observed):
    """The same as when the minute was priced as it came: computed input at the price of writing the cache."""
    writing = replace(FLAT, cache_write_per_mtok=1.25)
    history.write(tick({(HOUR, "chat", "small"): served()}, book=book_with()))
    history.price_back(
        [writing],
        engine="chat",
        model="small",
        token_ratio=1.0,
        has_cache_write_surcharge=has_surcharge,
    )
    bill = history.totals().api["chat", "small", "flat"]

    assert (bill.no_cache, bill.observed_cache) == (pytest.approx(2.0), pytest.approx(observed))
