"""Phase times of requests are counted like tokens; gauges become time in which requests ran and waited."""

import pytest

from ledger_values import START, Books, at, counters, engine


@pytest.fixture
def books():
    """Return books that have read an engine once, at 10, with one request running."""
    books = Books()
    books.fold(at(0))
    books.fold(at(10), engine(at(10), counters(prefill=5.0, decode=50.0), running=1, waiting=0))
    return books


def phases(books):
    """Return what was booked of prefill and decode."""
    return books.total("prefill_seconds"), books.total("decode_seconds")


def gauges(books, minute=START):
    """Return the gauge use of a minute."""
    use = books.posted.engines[minute, "chat"]
    return use.observed_seconds, use.waiting_seconds, use.running_request_seconds, use.waiting_request_seconds


def test_phase_times_count_their_increase(books):
    """What an engine spent before its first reading is not booked; what it spends later is."""
    assert phases(books) == (None, None)

    books.fold(at(20), engine(at(20), counters(wrote=1, prefill=7.0, decode=80.0)))

    assert phases(books) == (2.0, 30.0)


def test_phase_times_survive_the_agent(books):
    """A new process counts on from the stored cursor."""
    books = books.reopened()
    books.fold(at(20), engine(at(20), counters(prefill=6.0, decode=51.0)))

    assert phases(books) == (1.0, 1.0)


def test_a_restart_counts_the_new_value(books):
    """Another process began its phase times at zero, as it did its tokens."""
    again = counters(prefill=3.0, decode=4.0)
    books.fold(at(20), engine(at(20), again, signals={"header": "new"}, started=15))

    assert phases(books) == (3.0, 4.0)


def test_phase_times_that_fall_alone_are_nothing(books):
    """Tokens decide what a restart is; a lower sum of seconds beside them is no negative time."""
    books.fold(at(20), engine(at(20), counters(wrote=5, prefill=1.0, decode=60.0)))

    assert phases(books) == (0.0, 10.0)
    assert not books.events("engine_restart")


def test_phase_times_that_appear_later_begin_with_a_baseline():
    """A model that was known without them has no first increase: its past was not watched."""
    books = Books()
    books.fold(at(0))
    books.fold(at(10), engine(at(10), counters(read=5)))
    books.fold(at(20), engine(at(20), counters(read=6, prefill=900.0, decode=900.0)))
    books.fold(at(30), engine(at(30), counters(read=7, prefill=901.0, decode=902.0)))

    assert phases(books) == (1.0, 2.0)


def test_phase_times_of_a_model_that_appears_count_from_zero(books):
    """Its series were not on an earlier good page, so they were zero there."""
    books.fold(at(20), engine(at(20), counters("large", wrote=2, prefill=1.5, decode=2.5)))

    assert phases(books) == (1.5, 2.5)


def test_phase_times_are_cut_at_minutes(books):
    """Ten seconds around a minute's end lie half in each."""
    books.fold(at(55), engine(at(55), counters(prefill=5.0, decode=50.0)))
    books.fold(at(65), engine(at(65), counters(wrote=1, prefill=7.0, decode=50.0)))

    assert books.posted.usage[START, "chat", "small"].prefill_seconds == 1.0
    assert books.posted.usage[START + 60, "chat", "small"].prefill_seconds == 1.0


def test_gauges_are_joined_by_a_line(books):
    """From 1 to 3 running are 20 request-seconds in 10 s; who waits at one end of two waited half of it."""
    books.fold(at(20), engine(at(20), counters(), running=3, waiting=4))

    assert gauges(books) == (10.0, 5.0, 20.0, 20.0)


def test_waiting_throughout(books):
    """Somebody waits at every reading: all of the time."""
    for second in (20, 30, 40):
        books.fold(at(second), engine(at(second), counters(), running=2, waiting=1))

    assert gauges(books) == (30.0, 25.0, 55.0, 25.0)


def test_gauges_say_nothing_of_a_gap(books):
    """Over more than three ticks nobody looked: not observed, not waiting, not idle."""
    books.fold(at(50), engine(at(50), counters(), running=3, waiting=4))

    assert books.posted.engines == {}


def test_gauges_say_nothing_across_a_restart(books):
    """The queue of one process is not that of the next."""
    again = engine(at(20), counters(), signals={"header": "new"}, started=15, running=1, waiting=9)
    books.fold(at(20), again)

    assert books.posted.engines == {}


def test_an_engine_without_gauges_is_not_observed():
    """No gauge is not a gauge of zero."""
    books = Books()
    books.fold(at(0))
    books.fold(at(10), engine(at(10), counters()))
    books.fold(at(20), engine(at(20), counters()))

    assert gauges(books) == (None, None, None, None)
