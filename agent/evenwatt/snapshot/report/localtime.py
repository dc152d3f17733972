"""Local days and hours of a span, right through changes of the clocks."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from datetime import date, tzinfo

from evenwatt.economics.offsets import OffsetPiece, offset_pieces
from evenwatt.units import SECONDS_PER_DAY, SECONDS_PER_HOUR

__all__ = ["LocalTime", "date_of", "local_time"]

_EPOCH_ORDINAL = date(1970, 1, 1).toordinal()
_EPOCH_WEEKDAY = 3
"""1970-01-01 was a Thursday; Monday is 0."""


class LocalTime:
    """The calendar of a site over a span.

    Attributes:
        pieces: Oldest first, without gaps.
    """

    def __init__(self, pieces: Sequence[OffsetPiece]) -> None:
        """Take the pieces of a span, oldest first."""
        self.pieces = tuple(pieces)
        self._starts = [piece.start_utc_seconds for piece in self.pieces]

    @property
    def has_whole_hours(self) -> bool:
        """Whether its hours begin with those of UTC."""
        return not any(piece.hour_shift_seconds for piece in self.pieces)

    def day_number(self, utc_seconds: int) -> int:
        """Return the local day of a moment, in days since 1970-01-01."""
        return (utc_seconds + self._offset(utc_seconds)) // SECONDS_PER_DAY

    def hour_of_week(self, utc_seconds: int) -> int:
        """Return the local hour of a moment: 0 to 167, Monday 0 h first."""
        hours = (utc_seconds + self._offset(utc_seconds)) // SECONDS_PER_HOUR
        return (hours + _EPOCH_WEEKDAY * 24) % 168

    def days(self) -> Iterator[tuple[int, int, int]]:
        """Yield each local day of the span: its number, where it begins, and how many seconds it has."""
        found: dict[int, tuple[int, int]] = {}
        for piece in self.pieces:
            offset = piece.offset_seconds
            first = (piece.start_utc_seconds + offset) // SECONDS_PER_DAY
            last = (piece.end_utc_seconds + offset - 1) // SECONDS_PER_DAY
            for number in range(first, last + 1):
                start = max(number * SECONDS_PER_DAY - offset, piece.start_utc_seconds)
                end = min((number + 1) * SECONDS_PER_DAY - offset, piece.end_utc_seconds)
                begun, seconds = found.get(number, (start, 0))
                found[number] = begun, seconds + end - start
        for number in sorted(found):
            yield number, *found[number]

    def _offset(self, utc_seconds: int) -> int:
        return self.pieces[max(bisect_right(self._starts, utc_seconds) - 1, 0)].offset_seconds


def local_time(zone: tzinfo, start_utc_seconds: int, end_utc_seconds: int) -> LocalTime:
    """Return the calendar of a zone over a span, which must not be empty."""
    return LocalTime(tuple(offset_pieces(zone, start_utc_seconds, end_utc_seconds)))


def date_of(day_number: int) -> date:
    """Return the date of a day in days since 1970-01-01."""
    return date.fromordinal(_EPOCH_ORDINAL + day_number)
