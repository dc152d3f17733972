"""Phase times and queues: cut anywhere, they add up to the same."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger_values import Books, at, counters, engine

SECONDS = st.lists(st.integers(1, 29), min_size=1, max_size=20)
"""Between readings, each no gap."""


def page(moment, second):
    """Return the page of an engine whose every counter runs evenly, with a queue that never empties."""
    served = counters(read=second, wrote=second, prefill=0.25 * second, decode=3.0 * second)
    return engine(moment, served, running=4, waiting=2)


def read_at(seconds, *, reopened=False):
    """Return the books of an engine that was read at these seconds, also by an agent that begins anew."""
    books = Books()
    books.fold(at(0), page(at(0), 0))
    for second in seconds:
        books = books.reopened() if reopened else books
        books.fold(at(second), page(at(second), second))
    return books


def moments(steps):
    """Return the seconds of readings some steps apart."""
    reached = 0
    for step in steps:
        reached += step
        yield reached


@given(SECONDS, st.booleans())
def test_cutting_time_anywhere_changes_no_phase(steps, reopened):
    """However often an engine is read, and by how many lives of the agent: the whole increase is booked."""
    books = read_at(moments(steps), reopened=reopened)
    seconds = sum(steps)

    assert books.total("prefill_seconds") == pytest.approx(0.25 * seconds)
    assert books.total("decode_seconds") == pytest.approx(3.0 * seconds)


@given(SECONDS, st.booleans())
def test_cutting_time_anywhere_changes_no_queue(steps, reopened):
    """Four running and two waiting throughout are so many request-seconds, and waiting all of the time."""
    books = read_at(moments(steps), reopened=reopened)
    seconds = sum(steps)
    uses = books.posted.engines.values()

    assert sum(use.observed_seconds for use in uses) == pytest.approx(seconds)
    assert sum(use.waiting_seconds for use in uses) == pytest.approx(seconds)
    assert sum(use.running_request_seconds for use in uses) == pytest.approx(4 * seconds)
    assert sum(use.waiting_request_seconds for use in uses) == pytest.approx(2 * seconds)
    assert max(use.observed_seconds for use in uses) <= 60 + 1e-6
