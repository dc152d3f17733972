"""What an engine can sustain is learned from minutes in which requests waited, and from nothing else."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evenwatt.economics.saturation import (
    LEARNED_OVER_DAYS,
    RateRecord,
    ServedMinute,
    learned_capacity,
    peak_capacity,
    record_with,
    stored_record,
)

DAY = 86_400
START = 20_000 * DAY
"""The first second of a day."""


def minute(number, rate, *, waiting=60.0, estimated=False):
    """Return the minute of a number in which an engine served so many tokens a second."""
    return ServedMinute(
        minute=START + 60 * number,
        engine="chat",
        model="small",
        tokens=60 * rate,
        waiting_seconds=waiting,
        is_estimated=estimated,
    )


def recorded(minutes, *, counts_late=False):
    """Return the record of some minutes."""
    record = RateRecord()
    for served in minutes:
        record = record_with(record, served, counts_late=counts_late)
    return record


def learned(record, *, days=0):
    """Return the rate that was learned, some days later."""
    capacity = learned_capacity(record, now_utc_seconds=START + days * DAY)
    return None if capacity is None else capacity.tokens_per_second


def test_a_quarter_of_an_hour_of_waiting_is_enough():
    """Fifteen saturated minutes teach; fourteen do not."""
    minutes = [minute(number, 100) for number in range(15)]

    assert learned(recorded(minutes[:14])) is None
    assert learned(recorded(minutes)) == 100.0


def test_it_is_the_ninetieth_percentile():
    """Of twenty minutes at 10, 20, ... 200 tokens a second, eighteen are at most 180."""
    record = recorded(minute(100 * number, 10 * (number + 1)) for number in range(20))

    assert learned(record) == 180.0


@pytest.mark.parametrize(
    "poor", [{"waiting": 44.9}, {"waiting": 60.0, "estimated": True}, {"waiting": 0.0}], ids=str
)
def test_minutes_that_are_not_saturated_teach_nothing(poor):
    """Too little waiting, or tokens that are a spread over a gap."""
    assert learned(recorded(minute(number, 100, **poor) for number in range(60))) is None


def test_an_engine_that_is_stuck_is_not_saturated():
    """Hours in which requests waited and nothing was served do not make a capacity of zero."""
    stuck = [minute(100 + number, 0) for number in range(300)]

    assert learned(recorded([*[minute(number, 100) for number in range(15)], *stuck])) == 100.0
    assert learned(recorded(stuck)) is None


def test_it_is_never_less_than_what_was_sustained():
    """A quarter of an hour at 500 with nobody waiting shows more than saturated minutes at 100."""
    busy = [minute(number, 100) for number in range(15)]
    busier = [minute(100 + number, 500, waiting=0.0) for number in range(15)]

    assert learned(recorded([*busy, *busier])) == 500.0


def test_it_forgets_after_two_weeks():
    """Older minutes may be of another machine; the peak stays, as a lower bound for ever."""
    record = recorded(minute(number, 100) for number in range(15))

    assert learned(record, days=LEARNED_OVER_DAYS - 1) == 100.0
    assert learned(record, days=LEARNED_OVER_DAYS) is None

    later = record_with(record, minute(24 * 60 * LEARNED_OVER_DAYS, 1), counts_late=False)

    assert len(later.days) == 1
    assert peak_capacity(later).tokens_per_second == 100.0


def test_the_peak_is_a_lower_bound():
    """The highest one-minute rate says that the engine can do at least that, and when it did."""
    capacity = peak_capacity(recorded([minute(0, 50, waiting=0), minute(7, 80, waiting=0), minute(8, 70)]))

    assert (capacity.tokens_per_second, capacity.source) == (80.0, "peak_seen")
    assert capacity.at_utc_seconds == START + 420
    assert capacity.is_lower_bound


def test_nothing_served_is_no_peak():
    """An engine that never served has no capacity, which is not a capacity of zero."""
    assert peak_capacity(RateRecord()) is None
    assert peak_capacity(recorded([minute(0, 0)])) is None
    assert peak_capacity(recorded([minute(0, 100, estimated=True)])) is None


def test_an_engine_that_counts_late_is_judged_over_five_minutes():
    """Tokens of four minutes that show in the fifth are no peak of five times what it can do."""
    rates = [0, 0, 0, 0, 500] * 6
    minutes = [minute(number, rate) for number, rate in enumerate(rates)]
    late = recorded(minutes, counts_late=True)

    assert peak_capacity(late).tokens_per_second == 100.0
    assert learned(late) == 100.0
    assert peak_capacity(recorded(minutes)).tokens_per_second == 500.0


def test_a_late_minute_counts_only_with_four_saturated_ones_before():
    """A single saturated minute of such an engine says nothing."""
    apart = recorded((minute(10 * number, 100) for number in range(30)), counts_late=True)

    assert learned(apart) is None


minutes_served = st.lists(
    st.tuples(
        st.integers(1, 40), st.integers(0, 5_000), st.sampled_from([0.0, 44.0, 45.0, 60.0]), st.booleans()
    ),
    max_size=80,
)


def laid_out(steps):
    """Return minutes, each some minutes after the one before."""
    number = 0
    for step, rate, waiting, estimated in steps:
        number += step
        yield minute(number, rate, waiting=waiting, estimated=estimated)


@given(minutes_served, st.booleans())
def test_a_stored_record_goes_on_as_if_it_had_not_been_stored(steps, counts_late):
    """Cut anywhere by a restart of the agent, minutes teach the same."""
    minutes = list(laid_out(steps))
    record = RateRecord()
    for served in minutes:
        record = stored_record(json.loads(json.dumps(record.stored())))
        record = record_with(record, served, counts_late=counts_late)

    assert record == recorded(minutes, counts_late=counts_late)


@given(minutes_served)
def test_what_is_learned_lies_between_what_was_sustained_and_the_peak(steps):
    """It is never below the mean of a quarter of an hour, and hardly above the highest minute."""
    minutes = list(laid_out(steps))
    record = recorded(minutes)
    rate = learned(record, days=2)
    watched = {served.minute: 0 if served.is_estimated else served.tokens for served in minutes}
    quarters = [
        sum(tokens for at, tokens in watched.items() if last - 900 < at <= last) / 900 for last in watched
    ]

    if rate is not None:
        assert rate >= max(quarters) - 1e-9
        assert rate <= 1.01 * record.peak_tokens_per_second


@given(st.integers(1, 10**7))
def test_rates_are_kept_to_one_percent(rate):
    """What is learned of fifteen equal minutes is their rate, to one percent."""
    assert learned(recorded(minute(number, rate) for number in range(15))) == pytest.approx(rate, rel=0.0101)


@given(minutes_served)
def test_minutes_without_waiting_teach_nothing_whatever_they_served(steps):
    """A server that nobody waited for may always do more."""
    calm = [(step, rate, min(waiting, 44.0), estimated) for step, rate, waiting, estimated in steps]

    assert learned(recorded(laid_out(calm)), days=2) is None
