"""The electricity feed beside the ticks: never waited for, kept when it falls silent, told when it does."""

import json
import sqlite3
import threading
import time
from contextlib import closing, contextmanager

import pytest

from config_fixtures import settings_of
from evenwatt import clock
from evenwatt.economics.tariffs import Tariff, is_stale_at, price_per_kwh_at
from evenwatt.readings.electricity_feed import QuotedPrice
from evenwatt.service.electricity.keeper import ElectricityKeeper, Quotes
from evenwatt.sinks.history import ElectricityPriceRow, History
from loopback_servers import PageServer

LONG = 30.0
HOUR = 3_600
FEED = settings_of("electricity: {feed: {url: http://127.0.0.1:1/feed, price: price}}")


class Feed:
    """A feed that answers what a test says, when it says so."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.asked = []
        self.may_answer = threading.Event()
        self.may_answer.set()

    def __call__(self, settings, feed):
        self.asked.append(feed.url)
        self.may_answer.wait(LONG)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


class Told:
    """What was told, by kind."""

    def __init__(self):
        self.events = []

    def __call__(self, kind, subject, text):
        self.events.append((kind, subject, text))

    @property
    def kinds(self):
        return [kind for kind, *_ in self.events]


@pytest.fixture
def history(tmp_path):
    """A new history."""
    with closing(History(tmp_path / "history.db", currency="USD")) as opened:
        yield opened


@pytest.fixture
def told():
    """What is told."""
    return Told()


def quote(price, start=-600, end=HOUR):
    """Return a price with its times from this minute on."""
    minute = clock.utc_seconds() // 60 * 60
    return QuotedPrice(start_utc_seconds=minute + start, end_utc_seconds=minute + end, price_per_kwh=price)


def stored(history, price, start=-600, end=HOUR):
    """Keep a price in the history, with its times from this minute on."""
    minute = clock.utc_seconds() // 60 * 60
    row = ElectricityPriceRow(
        start_utc_seconds=minute + start, end_utc_seconds=minute + end, price_per_kwh=price, source="feed"
    )
    history.accept_electricity_prices([row], accepted_utc_seconds=minute)


def follow_until(keeper, told, condition):
    """Let ticks go by until something is so; return whether a price was new in one of them."""
    is_new = False
    until = time.monotonic() + LONG
    while True:
        is_new |= keeper.follow(told)
        if condition():
            return is_new
        assert time.monotonic() < until
        time.sleep(0.001)


def price_now(keeper):
    """Return the price of now, as a tariff on this feed has it."""
    return price_per_kwh_at(Tariff(prices=(), feed=keeper.prices), clock.utc_seconds())


def is_stale(keeper):
    """Say whether the price of now is stale."""
    return is_stale_at(Tariff(prices=(), feed=keeper.prices), clock.utc_seconds())


@contextmanager
def locked(history):
    """Hold the history's write lock."""
    with closing(sqlite3.connect(history.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


def test_a_real_feed_is_read_and_stored(history, told):
    """From HTTP to the tariff and the history: the price of now and the one of the next hour."""
    hour = int(clock.utc_seconds() // HOUR * HOUR)
    columns = {"at": [hour + HOUR * number for number in range(3)], "p": [100, 110, 120]}
    with PageServer({"/feed?area=DE": (200, {}, json.dumps(columns).encode())}) as server:
        settings = settings_of(
            f"""
            electricity:
              feed: {{url: "{server.url}/feed?area=DE", start: at, price: p, unit: per_mwh, add: 0.1}}
            """
        )
        keeper = ElectricityKeeper(history, settings)

        assert follow_until(keeper, told, lambda: len(keeper.prices.starts_utc_seconds) == 3)

    assert price_now(keeper) == pytest.approx(0.2)
    assert price_per_kwh_at(Tariff(prices=(), feed=keeper.prices), hour + HOUR) == pytest.approx(0.21)
    assert list(history.electricity_prices().prices_per_kwh) == pytest.approx([0.2, 0.21, 0.22])
    (health,) = keeper.health
    assert (health.source, health.up, health.error) == ("electricity", True, None)
    assert health.address == f"{server.url}/feed"
    assert told.events == []


def test_without_a_feed_nothing_is_asked(history, told):
    """A keeper of settings without a feed has no health and no price."""
    feed = Feed(Quotes(prices=(quote(0.3),)))
    keeper = ElectricityKeeper(history, settings_of(""), read=feed)

    assert not keeper.follow(told)
    assert keeper.health == ()
    assert feed.asked == []


def test_a_feed_that_hangs_is_not_waited_for(history, told):
    """While it does not answer, ticks go on, and it is not asked a second time."""
    feed = Feed(Quotes(prices=(quote(0.3),)))
    feed.may_answer.clear()
    keeper = ElectricityKeeper(history, FEED, read=feed)
    began = time.monotonic()
    follow_until(keeper, told, lambda: feed.asked)

    assert not any(keeper.follow(told) for _ in range(10))
    assert time.monotonic() - began < LONG / 2
    assert len(feed.asked) == 1
    assert price_now(keeper) is None

    feed.may_answer.set()
    assert follow_until(keeper, told, lambda: price_now(keeper) == 0.3)


def test_the_last_known_price_is_kept_and_told_stale_then_fresh(history, told, caplog):
    """A feed that is down leaves the last price in force, marked; an answer ends that. Each is told once."""
    stored(history, 0.25, start=-7_200, end=-3_600)
    feed = Feed(Quotes(error="http://feed answered HTTP 500"), Quotes(prices=(quote(0.3),)))
    keeper = ElectricityKeeper(history, FEED, read=feed)
    assert price_now(keeper) == 0.25
    assert is_stale(keeper)

    follow_until(keeper, told, lambda: told.kinds)
    for _ in range(3):
        keeper.follow(told)

    assert told.kinds == ["electricity_stale"]
    assert "last known one, 0.25 per kWh" in told.events[0][2]
    assert "HTTP 500" in told.events[0][2]
    assert not keeper.health[0].up
    assert price_now(keeper) == 0.25

    keeper._next_read = clock.boot_seconds()
    follow_until(keeper, told, lambda: len(told.kinds) == 2)

    assert told.kinds == ["electricity_stale", "electricity_fresh"]
    assert price_now(keeper) == 0.3
    assert keeper.health[0].up
    assert [record.message for record in caplog.records if record.levelname == "WARNING"] == [
        "electricity prices: http://feed answered HTTP 500"
    ]


def test_a_price_that_is_about_to_be_read_is_not_told_stale(history, told):
    """After an absence the last price is old until the first answer: that alone is no news."""
    stored(history, 0.25, start=-7_200, end=-3_600)
    feed = Feed(Quotes(prices=(quote(0.3),)))
    feed.may_answer.clear()
    keeper = ElectricityKeeper(history, FEED, read=feed)
    follow_until(keeper, told, lambda: feed.asked)

    assert told.events == []
    feed.may_answer.set()
    follow_until(keeper, told, lambda: price_now(keeper) == 0.3)
    assert told.events == []


def test_prices_of_other_times_alone_are_a_fault(history, told):
    """An answer about yesterday is kept for what it is, and the feed counts as down."""
    feed = Feed(Quotes(prices=(quote(0.2, start=-7_200, end=-3_600),)))
    keeper = ElectricityKeeper(history, FEED, read=feed)
    follow_until(keeper, told, lambda: told.kinds)

    assert told.kinds == ["electricity_stale"]
    assert "for other times than now" in keeper.health[0].error
    assert price_now(keeper) == 0.2


def test_what_is_revised_before_it_begins_is_replaced(history, told):
    """Quarters that were to come give way to an hour that is told in their place."""
    quarters = tuple(
        quote(0.1 * number, start=900 * number, end=900 * number + 900) for number in range(1, 4)
    )
    now, revised = quote(0.4, end=900), quote(0.5, start=900, end=4_500)
    feed = Feed(Quotes(prices=(now, *quarters)), Quotes(prices=(revised,)))
    keeper = ElectricityKeeper(history, FEED, read=feed)
    follow_until(keeper, told, lambda: len(keeper.prices.starts_utc_seconds) == 4)
    keeper._next_read = clock.boot_seconds()
    follow_until(keeper, told, lambda: len(keeper.prices.starts_utc_seconds) == 2)

    assert list(keeper.prices.prices_per_kwh) == [0.4, 0.5]
    assert list(history.electricity_prices().prices_per_kwh) == [0.4, 0.5]


def test_prices_hold_while_the_history_cannot_be_written(history, told):
    """A locked disk is written later; the price is in force at once."""
    feed = Feed(Quotes(prices=(quote(0.3),)))
    keeper = ElectricityKeeper(history, FEED, read=feed)
    with locked(history):
        history._connection.execute("PRAGMA busy_timeout = 1")
        follow_until(keeper, told, lambda: price_now(keeper) == 0.3)
        assert len(history.electricity_prices().starts_utc_seconds) == 0
    keeper.follow(told)

    assert list(history.electricity_prices().prices_per_kwh) == [0.3]


def test_another_feed_is_read_at_once(history, told):
    """A reload to another address does not wait for the old one's turn, and passes over its late answer."""
    feed = Feed(Quotes(prices=(quote(0.3),)), Quotes(prices=(quote(0.4),)))
    feed.may_answer.clear()
    keeper = ElectricityKeeper(history, FEED, read=feed)
    follow_until(keeper, told, lambda: feed.asked)
    keeper.adopt(settings_of("electricity: {feed: {url: http://127.0.0.1:1/other, price: price}}"))
    feed.may_answer.set()
    follow_until(keeper, told, lambda: price_now(keeper) is not None)

    assert price_now(keeper) == 0.4
    assert feed.asked == ["http://127.0.0.1:1/feed", "http://127.0.0.1:1/other"]


def test_an_unchanged_feed_waits_for_its_turn(history, told):
    """A reload of something else asks nothing."""
    feed = Feed(Quotes(prices=(quote(0.3),)))
    keeper = ElectricityKeeper(history, FEED, read=feed)
    follow_until(keeper, told, lambda: price_now(keeper) == 0.3)
    keeper.adopt(FEED)
    keeper.follow(told)

    assert len(feed.asked) == 1
    assert keeper.health[0].up


def test_a_fault_of_ours_ends_no_tick(history, told, caplog):
    """What nobody foresaw while reading is told, and the feed is asked again later."""
    keeper = ElectricityKeeper(history, FEED, read=Feed(RuntimeError("oops")))
    follow_until(keeper, told, lambda: keeper.health[0].error != "not read yet")

    assert "internal fault: RuntimeError('oops')" in keeper.health[0].error
    assert "please report it" in caplog.text


def test_prices_of_long_ago_are_let_go_from_memory_alone(history, told):
    """What no tick can be priced at any more is in the history, but for the one in force at the edge."""
    day = 86_400
    for age in (12, 11, 10, 9):
        stored(history, age / 100, start=-age * day, end=-age * day + day)
    last = clock.utc_seconds() - 11.5 * day
    keeper = ElectricityKeeper(history, FEED, last_utc_seconds=last, read=Feed(Quotes(prices=(quote(0.3),))))
    assert list(keeper.prices.prices_per_kwh) == [0.12, 0.11, 0.10, 0.09]
    follow_until(keeper, told, lambda: price_now(keeper) == 0.3)

    assert list(keeper.prices.prices_per_kwh) == [0.09, 0.3]
    assert len(history.electricity_prices().starts_utc_seconds) == 5
