"""Spans between moments, and how they are cut."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evenwatt.ledger.spans import Span, cut, cut_count, minute_of, span_between
from ledger_values import START, at

DAY = 86_400


def span(start, end):
    """Return the span between two numbers of seconds after the start of the tests."""
    return span_between(at(start), at(end))


@pytest.mark.parametrize("stepped", [3_600.0, -3_600.0, 1.5, -20.0])
def test_a_stepped_wall_clock_does_not_change_a_length(stepped):
    """Setting the wall clock shows as a step, and the span is laid back from its end."""
    found = span_between(at(0), at(10, stepped=stepped))

    assert found.length_seconds == 10
    assert found.stepped_seconds == pytest.approx(stepped)
    assert found.start_utc_seconds == START + stepped


def test_a_slewed_wall_clock_leaves_no_seam():
    """Where the clock is only pulled, the next span begins in the calendar where this one ended."""
    middle = at(10, stepped=0.004)
    first, second = span_between(at(0), middle), span_between(middle, at(20, stepped=0.008))

    assert first.end_utc_seconds == second.start_utc_seconds
    assert first.length_seconds == 10
    assert first.stepped_seconds == 0


def test_slewing_through_a_long_gap_is_no_step():
    """A day of slewing at the rate that NTP allows moves the clock by many seconds and is no step."""
    assert span_between(at(0), at(DAY, stepped=0.0005 * DAY)).stepped_seconds == 0


def test_a_short_pull_back_past_the_beginning_has_a_length():
    """A clock pulled back by more than the span leaves a length without a place of its own."""
    found = span_between(at(0), at(0.25, stepped=-0.5))

    assert found.length_seconds == 0.25
    assert found.utc_seconds == 0
    assert len(cut(found)) == 1


def test_suspend_counts_as_time():
    """The boot clock runs on through suspend, so both clocks agree about its length."""
    found = span(0, 8 * 3_600)

    assert found.length_seconds == 8 * 3_600
    assert found.stepped_seconds == 0


def test_across_a_boot_the_calendar_gives_the_length():
    """Another boot's clock says nothing about this one's."""
    assert span_between(at(0), at(90, boot="boot-2", uptime=20)).length_seconds == 90


def test_across_a_boot_time_never_runs_backwards():
    """A wall clock that comes up earlier than it went down gives no negative time."""
    assert span_between(at(0), at(-90, boot="boot-2", uptime=20)).length_seconds == 0


def test_across_a_boot_no_decades_are_believed():
    """A clock that came up in 1970 and was mended by a reboot does not book 50 years."""
    assert span_between(at(-START), at(0, boot="boot-2", uptime=20)).length_seconds == 366 * DAY


def test_within_a_boot_time_never_runs_backwards():
    """Two readings in the wrong order lie no negative time apart."""
    assert span(10, 9).length_seconds == 0


def test_minutes_begin_at_whole_minutes_of_utc():
    """A minute is named by the Unix time at which it begins."""
    assert minute_of(START) == START
    assert minute_of(START + 59.999) == START
    assert minute_of(START - 0.001) == START - 60


def test_a_span_within_a_minute_is_one_piece():
    """Nothing is cut that crosses no boundary."""
    (piece,) = cut(span(60, 120))

    assert piece.minute == START + 60
    assert piece.share == 1


def test_a_span_is_cut_where_minutes_change():
    """Each minute gets the part of the span that lies in it."""
    pieces = cut(span(50, 130))

    assert [(p.minute - START, p.share) for p in pieces] == [(0, 0.125), (60, 0.75), (120, 0.125)]


def test_a_span_without_length_lies_in_its_minute():
    """An increase between two readings of one moment is booked all the same."""
    (piece,) = cut(span(30, 30))

    assert piece.minute == START
    assert piece.share == 1


def test_a_whole_day_is_still_cut_at_minutes():
    """Up to a day of absence every minute is told."""
    assert len(cut(span(0, DAY))) == 1_440


def test_more_than_a_day_is_cut_at_quarter_hours():
    """A longer absence is booked by the quarter hour, the finest step of electricity prices."""
    pieces = cut(span(1_800, 1_800 + 2 * DAY))

    assert len(pieces) == 2 * 96
    assert {piece.minute % 900 for piece in pieces} == {0}
    assert pieces[0].minute == START + 1_800
    assert pieces[0].share == pytest.approx(1 / 192)


def test_more_than_a_month_is_cut_at_hours():
    """What takes more memory than the agent has is told more coarsely."""
    assert len(cut(span(0, 31 * DAY))) == 31 * 96
    assert len(cut(span(0, 32 * DAY))) == 32 * 24


utc = st.floats(min_value=0, max_value=4e9)
lengths = st.floats(min_value=0, max_value=3e6) | st.floats(min_value=0, max_value=1e-3)


@given(end=utc, seconds=lengths, length=lengths)
def test_pieces_are_the_whole_span_in_order(end, seconds, length):
    """However the clock's digits fall, the parts add up to 1, and minutes rise."""
    pieces = cut(Span(end_utc_seconds=end, utc_seconds=min(seconds, end), length_seconds=length))
    minutes = [piece.minute for piece in pieces]

    assert sum(piece.share for piece in pieces) == pytest.approx(1.0, rel=1e-12)
    assert all(piece.share > 0 for piece in pieces)
    assert minutes == sorted(set(minutes))
    assert minutes[-1] <= end
    assert minutes[-1] % 60 == 0


@given(count=st.integers(min_value=0, max_value=10**12), start=utc, seconds=lengths)
def test_counts_are_spread_without_loss(count, start, seconds):
    """The parts of a whole number are whole, add up to it, and are each within one of their share."""
    pieces = cut(Span(end_utc_seconds=start + seconds, utc_seconds=seconds, length_seconds=seconds))
    parts = cut_count(count, pieces)

    assert sum(parts) == count
    assert min(parts) >= 0
    for part, piece in zip(parts, pieces, strict=True):
        assert abs(part - count * piece.share) <= 1 + 1e-12 * count * len(pieces)
