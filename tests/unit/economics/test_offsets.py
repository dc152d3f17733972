"""The pieces of a span between changes of a zone's clocks."""

from datetime import UTC, datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evenwatt.economics.offsets import offset_pieces

DAY = 86_400


def utc(*parts):
    """Return a moment of UTC in whole seconds."""
    return int(datetime(*parts, tzinfo=UTC).timestamp())


@pytest.mark.parametrize(
    ("zone", "start", "change", "offsets"),
    [
        ("Europe/Berlin", utc(2026, 3, 28), utc(2026, 3, 29, 1), [3_600, 7_200]),
        ("Europe/Berlin", utc(2026, 10, 24, 22), utc(2026, 10, 25, 1), [7_200, 3_600]),
        ("America/Havana", utc(2026, 3, 1, 5), utc(2026, 3, 8, 5), [-18_000, -14_400]),
    ],
    ids=["spring", "autumn", "at midnight, which is where each day of the span begins"],
)
def test_a_piece_ends_to_the_second_where_the_clocks_change(zone, start, change, offsets):
    """Two pieces meet at the change, wherever in a day of the span it falls."""
    first, second = offset_pieces(ZoneInfo(zone), start, start + 14 * DAY)

    assert [first.offset_seconds, second.offset_seconds] == offsets
    assert (first.start_utc_seconds, first.end_utc_seconds) == (start, change)
    assert (second.start_utc_seconds, second.end_utc_seconds) == (change, start + 14 * DAY)


def test_a_change_at_the_end_is_none_of_the_span():
    """A span that ends where the clocks change is one piece."""
    change = utc(2026, 3, 29, 1)
    (piece,) = offset_pieces(ZoneInfo("Europe/Berlin"), change - 2 * DAY, change)

    assert piece.end_utc_seconds == change


@given(
    st.sampled_from(
        ["Europe/Berlin", "America/Havana", "Australia/Lord_Howe", "Asia/Kolkata", "Africa/Cairo"]
    ),
    st.integers(utc(2020, 1, 1), utc(2030, 1, 1)),
    st.integers(1, 400 * DAY),
)
def test_pieces_are_the_span(zone, start, length):
    """Without gaps, from end to end, each with the offset of its first and its last second."""
    tz = ZoneInfo(zone)
    pieces = list(offset_pieces(tz, start, start + length))

    assert (pieces[0].start_utc_seconds, pieces[-1].end_utc_seconds) == (start, start + length)
    assert all(before.end_utc_seconds == after.start_utc_seconds for before, after in pairwise(pieces))
    for piece in pieces:
        for at in (piece.start_utc_seconds, piece.end_utc_seconds - 1):
            offset = datetime.fromtimestamp(at, UTC).astimezone(tz).utcoffset()
            assert offset.total_seconds() == piece.offset_seconds
