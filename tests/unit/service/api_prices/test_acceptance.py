"""Which API prices count: first prices, changes, offers, the user's own, corrections; by made-up moments."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from evenwatt.economics.api import RateTier
from evenwatt.service.api_prices.acceptance import (
    Decision,
    Standing,
    accepted_offers,
    decided_quote,
    decided_return,
    decided_written,
    price_in_force,
    same_rates,
)
from evenwatt.service.api_prices.quotes import Quote, WrittenPrices
from evenwatt.service.api_prices.words import in_words
from evenwatt.sinks.history import PriceOffer, PriceRow, effective_prices

NOW = 1_000.0
BEGIN = 400.0


def row(price=1.0, at=0.0, **changes):
    """Return a price of the catalogue from a moment on."""
    return PriceRow(
        **{
            "reference": "acme:large",
            "valid_from_utc_seconds": at,
            "accepted_utc_seconds": 0.0,
            "input_usd_per_mtok": price,
            "cached_input_usd_per_mtok": None,
            "output_usd_per_mtok": 5.0,
            "source": "genai-prices 1.0",
            **changes,
        }
    )


def own(price, at=0.0):
    """Return a price of the configuration."""
    return row(price, at, source="configuration", accepted_by="configuration")


def written(*rows, is_dated=True):
    """Return what the configuration writes."""
    return WrittenPrices(reference="acme:large", rows=rows, is_dated=is_dated)


def quote(*entries, within_day=()):
    """Return what the catalogue says."""
    return Quote(reference="acme:large", entries=entries, within_day=within_day or entries[-1:])


def standing(*rows, offers=(), now=NOW, begin=BEGIN):
    """Return what is known."""
    return Standing(rows=rows, offers=offers, now_utc_seconds=now, begin_utc_seconds=begin)


def decided(said, known, *, own_prices=None, is_accepted=False):
    """Return the decision on what the catalogue says."""
    return decided_quote(said, known, written=own_prices, is_accepted=is_accepted)


def timeline(*rows):
    """Return what holds from when on, each change once."""
    effective = effective_prices(rows)
    return [(one.valid_from_utc_seconds, one.input_usd_per_mtok) for one in effective]


def test_first_prices_have_the_catalogues_days_within_the_life_of_the_history():
    """What was served before a dated change has the price of then; earlier changes are left out."""
    said = quote(row(10.0), row(8.0, at=300.0), row(4.0, at=700.0), row(2.0, at=900.0))
    decision = decided(said, standing())

    assert timeline(*decision.rows) == [(0.0, 8.0), (700.0, 4.0), (900.0, 2.0)]
    assert {one.accepted_utc_seconds for one in decision.rows} == {NOW}
    assert [event.kind for event in decision.events] == ["price", "price_change", "price_change"]
    assert decision.events[1].text.startswith("price changed from 1970-01-01 on from 8 input")


def test_a_new_history_takes_what_holds_now():
    """Before there is anything to price, dated changes of the past are of no use."""
    said = quote(row(10.0), row(2.0, at=900.0))

    assert timeline(*decided(said, standing(begin=NOW)).rows) == [(0.0, 2.0)]


def test_a_change_waits_with_the_day_that_the_catalogue_tells():
    """An offer of a dated change counts from that day; one of none from when it is accepted."""
    dated = decided(quote(row(1.0), row(2.0, at=800.0)), standing(row(1.0)))
    undated = decided(quote(row(2.0)), standing(row(1.0)))

    assert dated.rows == undated.rows == ()
    assert [(offer.is_dated, offer.row.valid_from_utc_seconds) for offer in dated.offers] == [(True, 800.0)]
    assert [offer.is_dated for offer in undated.offers] == [False]
    assert undated.events[0].kind == "price_offered"


def test_an_offer_is_told_once():
    """The same offer again is no news; another one takes its place."""
    first = decided(quote(row(2.0)), standing(row(1.0)))
    known = standing(row(1.0), offers=first.offers)

    assert decided(quote(row(2.0)), known) == Decision()
    assert decided(quote(row(3.0)), known).offers[0].row.input_usd_per_mtok == 3.0


def test_an_offer_that_the_catalogue_takes_back_is_withdrawn():
    """Where it says the accepted price again, there is nothing to accept."""
    waiting = PriceOffer(row=row(2.0), is_dated=False, offered_utc_seconds=500.0)
    decision = decided(quote(row(1.0)), standing(row(1.0), offers=(waiting,)))

    assert (decision.rows, decision.settled) == ((), ("acme:large",))
    assert decision.events[0].kind == "price_offer_withdrawn"


def test_what_a_refresh_changed_is_not_offered_back_by_the_same_library():
    """The bundled price is older than the fetched one that replaced it; another version may offer."""
    fetched = row(2.0, source="genai-prices 1.0 fetched 2026-11-20")
    waiting = PriceOffer(row=fetched, is_dated=False, offered_utc_seconds=500.0)

    assert decided(quote(row(1.0)), standing(fetched)) == Decision()
    assert decided(quote(row(1.0)), standing(row(1.0), offers=(waiting,))) == Decision()
    assert decided(quote(row(1.0, source="genai-prices 1.1")), standing(fetched)).offers


def test_a_price_by_the_hour_is_no_change_each_day():
    """Where the accepted price is one of the day's prices, another hour offers nothing."""
    said = quote(row(2.0), within_day=(row(1.0), row(2.0)))

    assert decided(said, standing(row(1.0))) == Decision()


def test_more_that_is_known_needs_nobody():
    """Batch rates and tiers of a price that was accepted before they were known are added from now on."""
    more = row(1.0, batch_input_usd_per_mtok=0.5, batch_output_usd_per_mtok=2.5)
    decision = decided(quote(more), standing(row(1.0)))

    assert [one.batch_input_usd_per_mtok for one in decision.rows] == [0.5]
    assert decision.rows[0].valid_from_utc_seconds == NOW
    assert decision.events[0].kind == "price"
    assert decided(quote(row(1.0)), standing(more)).offers  # what is taken away is a change


def test_a_cached_price_that_comes_is_a_change():
    """It changes bills, so it waits like any other."""
    assert decided(quote(row(1.0, cached_input_usd_per_mtok=0.1)), standing(row(1.0))).offers


def test_the_users_own_price_goes_before_the_catalogue():
    """Order: what the user writes, then what the history holds, then what the catalogue says."""
    prices = written(own(0.5), is_dated=False)
    rows = decided_written(prices, standing()).rows

    assert timeline(*rows) == [(0.0, 0.5)]
    assert decided(quote(row(1.0)), standing(*rows), own_prices=prices) == Decision()
    assert decided(quote(row(1.0)), standing(*rows), own_prices=prices, is_accepted=True) == Decision()


def test_before_the_first_day_of_an_own_price_the_catalogues_holds():
    """A price negotiated from a day on leaves the time before to the catalogue, and no time after."""
    prices = written(own(0.5, at=600.0))
    rows = decided_written(prices, standing()).rows
    said = quote(row(2.0), row(1.0, at=500.0), row(3.0, at=800.0))
    decision = decided(said, standing(*rows), own_prices=prices)

    assert timeline(*rows, *decision.rows) == [(0.0, 2.0), (500.0, 1.0), (600.0, 0.5)]
    assert decided(said, standing(*rows, *decision.rows), own_prices=prices) == Decision()


def test_an_own_price_to_come_leaves_the_present_to_the_catalogue():
    """Until a contract begins, the catalogue's changes are offered; from its first day on it holds."""
    prices = written(own(0.5, at=2_000.0))
    rows = (row(1.0), *decided_written(prices, standing(row(1.0))).rows)
    taken = decided(quote(row(3.0)), standing(*rows), own_prices=prices, is_accepted=True)

    assert timeline(*rows, *taken.rows) == [(0.0, 1.0), (NOW, 3.0), (2_000.0, 0.5)]


def test_an_own_price_that_changes_without_a_day_counts_from_then_on():
    """Yesterday's tokens keep yesterday's price."""
    known = decided_written(written(own(0.5), is_dated=False), standing()).rows
    changed = decided_written(written(own(0.4), is_dated=False), standing(*known)).rows

    assert timeline(*known, *changed) == [(0.0, 0.5), (NOW, 0.4)]


def test_a_dated_price_that_is_corrected_holds_in_place_of_the_old_record():
    """The old record stays, with its date of acceptance; from the same day on the new one holds."""
    old = replace(own(0.5, at=600.0), accepted_utc_seconds=700.0)
    (new,) = decided_written(written(own(0.4, at=600.0)), standing(old)).rows

    assert (new.valid_from_utc_seconds, new.accepted_utc_seconds) == (600.0, NOW)
    assert timeline(old, new) == [(600.0, 0.4)]


def test_an_own_price_of_the_past_holds_now_too():
    """What was accepted since that day does not outlive what the user writes for all time after it."""
    known = (own(1.0), replace(own(2.0, at=800.0), accepted_utc_seconds=800.0))
    added = decided_written(written(own(0.5, at=600.0)), standing(*known)).rows

    assert timeline(*known, *added) == [(0.0, 1.0), (600.0, 0.5), (800.0, 0.5)]


def test_an_own_price_that_is_no_longer_written_ends():
    """The last price that the catalogue gave holds again from now on."""
    known = (row(1.0), replace(own(0.5, at=600.0), accepted_utc_seconds=600.0))
    decision = decided_return("acme:large", standing(*known), known)

    assert timeline(*known, *decision.rows) == [(0.0, 1.0), (600.0, 0.5), (NOW, 1.0)]
    assert decided_return("acme:large", standing(*known, *decision.rows), known) == Decision()


def test_what_a_person_accepts_is_told_as_a_change():
    """An offer counts from its day, or from now on, and says who accepted it."""
    undated = PriceOffer(row=row(2.0, at=900.0), is_dated=False, offered_utc_seconds=900.0)
    dated = PriceOffer(row=row(3.0, at=900.0), is_dated=True, offered_utc_seconds=950.0)

    (one,) = accepted_offers([undated], standing(row(1.0)), written=()).rows
    decision = accepted_offers([dated], standing(row(1.0)), written=())

    assert (one.valid_from_utc_seconds, one.accepted_by) == (NOW, "person")
    assert [(new.valid_from_utc_seconds, new.accepted_by) for new in decision.rows] == [(900.0, "person")]
    assert decision.settled == ("acme:large",)
    assert decision.events[0].text.startswith("price changed from 1970-01-01 on from 1 input")


def test_what_a_person_accepts_ends_where_an_own_price_begins():
    """A contract that begins later holds from its day, whatever is accepted meanwhile."""
    prices = written(own(0.5, at=2_000.0))
    known = (row(1.0), own(0.5, at=2_000.0))
    offer = PriceOffer(row=row(2.0), is_dated=False, offered_utc_seconds=900.0)
    decision = accepted_offers([offer], standing(*known), written=[prices])

    assert timeline(*known, *decision.rows) == [(0.0, 1.0), (NOW, 2.0), (2_000.0, 0.5)]


def test_a_price_in_words_says_all_that_it_has():
    """Batch, cache writes and tiers are told where there are any."""
    tier = RateTier(
        above_input_tokens=200_000, input_usd_per_mtok=Decimal("2.50"), output_usd_per_mtok=Decimal(15)
    )
    full = row(
        1.25,
        cached_input_usd_per_mtok=0.125,
        cache_write_usd_per_mtok=1.5,
        batch_input_usd_per_mtok=0.625,
        batch_output_usd_per_mtok=2.5,
        tiers=(tier,),
    )

    assert in_words(full) == (
        "1.25 input, 0.125 cached, 5 output USD per Mtok, 1.5 to write the cache, in batch 0.625 input and "
        "2.5 output, above 200,000 input tokens 2.50 input and 15 output"
    )


@given(
    st.lists(st.tuples(st.integers(0, 2_000), st.integers(1, 5)), min_size=1, max_size=4),
    st.lists(
        st.tuples(st.integers(0, 2_000), st.integers(1, 5)), min_size=1, max_size=4, unique_by=lambda e: e[0]
    ),
)
def test_what_the_user_dates_is_what_holds(known, wanted):
    """From the first day written on, the written prices hold at any time, whatever was there before."""
    rows = effective_prices(row(float(price), float(at)) for at, price in known)
    own_rows = tuple(own(float(price), float(at)) for at, price in sorted(wanted))
    added = decided_written(written(*own_rows), standing(*rows)).rows
    holds = effective_prices((*rows, *added))

    for at in range(int(own_rows[0].valid_from_utc_seconds), 2_001, 50):
        want = price_in_force(own_rows, "acme:large", at)
        assert same_rates(price_in_force(holds, "acme:large", at), want)
    assert decided_written(written(*own_rows), standing(*holds)) == Decision()


@pytest.mark.parametrize("moment", [-1.0, 0.0])
def test_before_the_first_price_there_is_none(moment):
    """A price holds from its date on."""
    assert (price_in_force([row()], "acme:large", moment) is None) == (moment < 0)
