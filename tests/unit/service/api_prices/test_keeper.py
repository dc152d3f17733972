"""Prices are accepted once, dated and told; the catalogue is never waited for."""

import logging
import sqlite3
import threading
import time
from contextlib import closing, contextmanager

import pytest
from msgspec.structs import replace

from config_fixtures import settings_of
from evenwatt.errors import HistoryError
from evenwatt.service.api_prices.keeper import PriceKeeper
from evenwatt.service.api_prices.quotes import OfferedPrices, Quote
from evenwatt.sinks.history import History, PriceRow, history_beside

LONG = 30.0
CATALOGUE = settings_of("references: [acme:large]")
WRITTEN = "references: [{name: flat, input: %s, output: 5}]"


def row(reference="acme:large", price=1.0, at=0.0, **changes):
    """Return a price as the catalogue says it, or as it was accepted."""
    return PriceRow(
        **{
            "reference": reference,
            "valid_from_utc_seconds": at,
            "accepted_utc_seconds": 0.0,
            "input_usd_per_mtok": price,
            "cached_input_usd_per_mtok": None,
            "output_usd_per_mtok": 5.0,
            "source": "test 1.0",
            **changes,
        }
    )


def says(*prices, **changes):
    """Return an answer of the catalogue with prices of all time."""
    rows = [row(price=price, **changes) for price in prices or (1.0,)]
    quotes = (Quote(reference=one.reference, entries=(one,), within_day=(one,)) for one in rows)
    return OfferedPrices(quotes=tuple(quotes))


class Catalogue:
    """A catalogue that answers what a test says, when it says so."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.asked = []
        self.may_answer = threading.Event()
        self.may_answer.set()

    def __call__(self, settings):
        self.asked.append(settings)
        self.may_answer.wait(LONG)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def history(tmp_path):
    """A new history."""
    with closing(History(tmp_path / "history.db", currency="USD")) as opened:
        yield opened


def follow_until(keeper, condition):
    """Let ticks go by until something is so; return whether a price was new in one of them."""
    is_new = False
    until = time.monotonic() + LONG
    while True:
        is_new |= keeper.follow()
        if condition():
            return is_new
        assert time.monotonic() < until
        time.sleep(0.001)


@contextmanager
def locked(history):
    """Hold the history's write lock."""
    with closing(sqlite3.connect(history.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


def test_the_first_price_stands_for_all_time_before_it(history):
    """A reference that is new is priced from the beginning of time, and says when that was accepted."""
    catalogue = Catalogue(says())
    keeper = PriceKeeper(history, CATALOGUE, fetch=catalogue)

    assert follow_until(keeper, lambda: keeper.rows)
    (accepted,) = history.prices()
    assert keeper.rows == (accepted,)
    assert replace(accepted, accepted_utc_seconds=0.0) == row()
    assert accepted.accepted_utc_seconds > 0.0
    (event,) = history.events(limit=20)
    assert (event.kind, event.subject) == ("price", "acme:large")
    assert event.text == (
        "price accepted: 1 input, no price for cached input, 5 output USD per Mtok (test 1.0)"
    )


def test_the_catalogue_is_never_waited_for(history):
    """While it does not answer, ticks go on without its prices, and it is not asked a second time."""
    catalogue = Catalogue(says())
    catalogue.may_answer.clear()
    began = time.monotonic()
    keeper = PriceKeeper(history, CATALOGUE, fetch=catalogue)
    follow_until(keeper, lambda: catalogue.asked)

    assert not any(keeper.follow() for _ in range(10))
    assert time.monotonic() - began < LONG / 2
    assert len(catalogue.asked) == 1

    catalogue.may_answer.set()
    assert follow_until(keeper, lambda: keeper.rows)


def test_written_prices_need_no_catalogue(history):
    """What the configuration writes out is accepted by the first tick."""
    keeper = PriceKeeper(history, settings_of(WRITTEN % 1), fetch=Catalogue(OfferedPrices()))

    assert keeper.follow()
    assert [(old.reference, old.input_usd_per_mtok) for old in keeper.rows] == [("flat", 1.0)]
    assert not keeper.follow()


def test_a_change_counts_from_its_date_and_is_told(history, caplog):
    """Another price stands beside the old one, from when it was offered on."""
    keeper = PriceKeeper(history, settings_of(WRITTEN % 1), fetch=Catalogue(OfferedPrices()))
    keeper.follow()
    keeper.adopt(settings_of(WRITTEN % 2))

    assert keeper.follow()
    first, second = history.prices()
    assert first.valid_from_utc_seconds == 0.0
    assert second.valid_from_utc_seconds == second.accepted_utc_seconds > 0.0
    assert second.input_usd_per_mtok == 2.0
    change = history.events(limit=1)[0]
    assert change.kind == "price_change"
    assert change.text.startswith("price changed from 1 input, no price for cached input, 5 output")
    assert sum("price changed" in record.getMessage() for record in caplog.records) == 1


def test_the_same_price_again_is_no_news(history):
    """What was accepted is neither accepted nor told a second time, also by another agent."""
    settings = settings_of(WRITTEN % 1)
    PriceKeeper(history, settings, fetch=Catalogue(OfferedPrices())).follow()
    again = PriceKeeper(history, settings, fetch=Catalogue(OfferedPrices()))

    assert not again.follow()
    assert len(history.prices()) == len(history.events(limit=20)) == 1


def test_a_catalogue_that_fails_changes_nothing(history, caplog):
    """Old prices stay in force; each fault is told once, however often the catalogue repeats it."""
    history.settle_prices([row()])
    faulty = OfferedPrices(faults=("the catalogue could not be read",))
    catalogue = Catalogue(faulty, faulty)
    keeper = PriceKeeper(history, CATALOGUE, fetch=catalogue)
    follow_until(keeper, lambda: "could not be read" in caplog.text)
    keeper.adopt(settings_of("references: [acme:large, acme:small]"))
    assert not follow_until(keeper, lambda: not catalogue.answers)
    follow_until(keeper, lambda: len(catalogue.asked) == 2)

    assert keeper.rows == (row(),)
    assert caplog.text.count("could not be read") == 1


def test_a_fault_of_ours_does_not_end_the_asking(history, caplog):
    """An exception in the thread that asks is told, and a new reference is asked for all the same."""
    caplog.set_level(logging.ERROR, "evenwatt")
    catalogue = Catalogue(ZeroDivisionError("a bug"), says())
    keeper = PriceKeeper(history, CATALOGUE, fetch=catalogue)
    follow_until(keeper, lambda: "internal fault while asking for API prices" in caplog.text)
    keeper.adopt(replace(CATALOGUE))  # as a reload: other settings, also where they say the same

    assert follow_until(keeper, lambda: keeper.rows)


def test_a_reference_that_comes_while_the_catalogue_is_asked_is_asked_for_next(history):
    """An answer to a question of before does not put off a reference of after."""
    catalogue = Catalogue(says(), says(reference="acme:small"))
    catalogue.may_answer.clear()
    keeper = PriceKeeper(history, CATALOGUE, fetch=catalogue)
    follow_until(keeper, lambda: catalogue.asked)
    more = settings_of("references: [acme:large, acme:small]")
    keeper.adopt(more)
    catalogue.may_answer.set()
    follow_until(keeper, lambda: len(keeper.rows) == 2)

    assert catalogue.asked == [CATALOGUE, more]


def test_a_known_reference_is_not_asked_for_at_each_reload(history):
    """A reload that brings nothing new does not ask the catalogue."""
    catalogue = Catalogue(says())
    keeper = PriceKeeper(history, CATALOGUE, fetch=catalogue)
    follow_until(keeper, lambda: keeper.rows)
    keeper.adopt(settings_of("references: [acme:large]"))
    keeper.follow()

    assert len(catalogue.asked) == 1


def test_a_price_that_cannot_be_kept_is_not_used(history):
    """A price is in force only once it is in the history; it is accepted as soon as that can be written."""
    keeper = PriceKeeper(history, settings_of(WRITTEN % 1), fetch=Catalogue(OfferedPrices()))
    with locked(history):
        assert not keeper.follow()
        assert keeper.rows == ()

    assert keeper.follow()
    assert keeper.rows == history.prices()
    assert len(keeper.rows) == 1


def test_another_price_of_the_catalogue_waits_to_be_accepted(history, caplog):
    """A catalogue that says something else makes an offer, told once, and the accepted price still counts."""
    history.settle_prices([row()])
    keeper = PriceKeeper(history, CATALOGUE, fetch=Catalogue(says(2.0)))
    follow_until(keeper, lambda: keeper.offers)

    assert keeper.rows == (row(),)
    (offer,) = history.price_offers()
    assert (offer.row.input_usd_per_mtok, offer.is_dated) == (2.0, False)
    assert history.events(limit=1)[0].kind == "price_offered"
    assert caplog.text.count("until it is accepted (evenwatt prices accept acme:large)") == 1


def test_a_price_that_was_accepted_beside_counts_with_the_next_tick(history):
    """What a command accepts in the same file is in force in the running agent without being asked."""
    history.settle_prices([row()])
    keeper = PriceKeeper(history, CATALOGUE, fetch=Catalogue(says(2.0)))
    follow_until(keeper, lambda: keeper.offers)
    with history_beside(history.path, may_write=True) as beside:
        beside.settle_prices([row(price=2.0, at=1_000.0)], settled=["acme:large"])

    assert keeper.follow()
    assert [old.input_usd_per_mtok for old in keeper.rows] == [1.0, 2.0]
    assert keeper.offers == ()
    assert not keeper.follow()


def test_a_catalogue_whose_changes_are_accepted_needs_nobody(history):
    """With accept_catalogue a change counts at once; set by a reload, what waits is accepted too."""
    history.settle_prices([row()])
    catalogue = Catalogue(says(2.0), says(2.0))
    keeper = PriceKeeper(history, CATALOGUE, fetch=catalogue)
    follow_until(keeper, lambda: keeper.offers)
    keeper.adopt(settings_of("references: [acme:large]\nprices: {accept_catalogue: true}"))

    assert follow_until(keeper, lambda: len(keeper.rows) == 2)
    assert keeper.offers == history.price_offers() == ()
    assert history.events(limit=1)[0].kind == "price_change"


def test_an_own_price_that_is_taken_out_gives_way_to_the_catalogues(history):
    """A catalogue's model whose own price is no longer written has the last accepted price again."""
    own = settings_of('references: [{name: "acme:large", input: 0.5, output: 5}]')
    keeper = PriceKeeper(history, CATALOGUE, fetch=Catalogue(says(1.0)))
    follow_until(keeper, lambda: keeper.rows)
    keeper.adopt(own)
    keeper.follow()
    keeper.adopt(CATALOGUE)
    keeper.follow()

    assert [old.input_usd_per_mtok for old in keeper.rows] == [1.0, 0.5, 1.0]
    assert [old.accepted_by for old in keeper.rows] == ["catalogue", "configuration", "catalogue"]


def test_an_own_price_that_was_the_first_gives_way_as_soon_as_the_catalogue_answers(history):
    """Where the catalogue never gave a price, it is asked, and its price counts from then on."""
    own = settings_of('references: [{name: "acme:large", input: 0.5, output: 5}]')
    keeper = PriceKeeper(history, own, fetch=Catalogue(OfferedPrices(), says(1.0)))
    follow_until(keeper, lambda: keeper.rows)
    keeper.adopt(CATALOGUE)

    assert follow_until(keeper, lambda: len(keeper.rows) == 2)
    first, second = keeper.rows
    assert (first.valid_from_utc_seconds, first.input_usd_per_mtok) == (0.0, 0.5)
    assert second.valid_from_utc_seconds == second.accepted_utc_seconds > 0.0
    assert history.price_offers() == ()


def test_a_history_that_is_begun_anew_gets_its_prices_anew(history):
    """Where somebody deleted it, prices are accepted again into the new one, written and asked for."""
    both = settings_of("references: [acme:large, {name: flat, input: 1, output: 5}]")
    keeper = PriceKeeper(history, both, fetch=Catalogue(says(), says()))
    follow_until(keeper, lambda: len(keeper.rows) == 2)
    history.path.unlink()
    with pytest.raises(HistoryError, match="opened anew"):
        history.settle_prices()

    follow_until(keeper, lambda: len(history.prices()) == 2)
    assert {row.reference for row in keeper.rows} == {"acme:large", "flat"}
