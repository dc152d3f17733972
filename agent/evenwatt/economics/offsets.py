"""The offset from UTC that a zone's clocks show, and when it changes; pure, for prices and for calendars."""

from collections.abc import Iterator
from datetime import UTC, datetime, tzinfo

from msgspec import Struct

from evenwatt.units import SECONDS_PER_DAY, SECONDS_PER_HOUR

__all__ = ["OffsetPiece", "offset_pieces"]


class OffsetPiece(Struct, frozen=True, kw_only=True):
    """A part of a span in which the clocks of the site were not changed.

    Attributes:
        offset_seconds: Local time less UTC.
    """

    start_utc_seconds: int
    end_utc_seconds: int
    offset_seconds: int

    @property
    def hour_shift_seconds(self) -> int:
        """How long after an hour of UTC the local hours begin: 0 in most zones, half an hour in India."""
        return -self.offset_seconds % SECONDS_PER_HOUR


def offset_pieces(zone: tzinfo, start_utc_seconds: int, end_utc_seconds: int) -> Iterator[OffsetPiece]:
    """Yield the pieces of a span, which must not be empty, oldest first and without gaps.

    It is looked at once a day: no zone sets its clocks twice in one.
    """
    begun, offset = start_utc_seconds, _offset_at(zone, start_utc_seconds)
    for at in range(start_utc_seconds, end_utc_seconds, SECONDS_PER_DAY):
        # The end itself is not part of the span: a change there is none of it.
        last = min(at + SECONDS_PER_DAY, end_utc_seconds) - 1
        next_offset = _offset_at(zone, last)
        if next_offset != offset:
            change = _change_between(zone, max(at - 1, start_utc_seconds), last)
            yield OffsetPiece(start_utc_seconds=begun, end_utc_seconds=change, offset_seconds=offset)
            begun, offset = change, next_offset
    yield OffsetPiece(start_utc_seconds=begun, end_utc_seconds=end_utc_seconds, offset_seconds=offset)


def _offset_at(zone: tzinfo, utc_seconds: int) -> int:
    offset = datetime.fromtimestamp(utc_seconds, UTC).astimezone(zone).utcoffset()
    return 0 if offset is None else int(offset.total_seconds())


def _change_between(zone: tzinfo, before: int, after: int) -> int:
    """Return the first second of the offset that holds at the later of two moments."""
    old = _offset_at(zone, before)
    while after - before > 1:
        middle = (before + after) // 2
        if _offset_at(zone, middle) == old:
            before = middle
        else:
            after = middle
    return after
