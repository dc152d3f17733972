"""Local days and hours of a span, right through changes of the clocks."""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from datetime import date, tzinfo

from evenwatt.economics.offsets import OffsetPiece, offset_pieces
from evenwatt.units import SECONDS_PER_DAY, SECONDS_PER_HOUR

__all__ = ["LocalTime", "date_of", "hour_of_week", "local_time"]

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

    def hour_numbers(self, moments: Sequence[int]) -> list[int]:
        """Return the local hour of each moment, in hours since 1970-01-01 0 h there.

        Args:
            moments: Oldest first; thousands, so each piece of equal offset is numbered at once.
        """
        ends = [bisect_left(moments, start) for start in self._starts[1:]]
        found: list[int] = []
        for piece, start, end in zip(self.pieces, [0, *ends], [*ends, len(moments)], strict=True):
            offset = piece.offset_seconds
            found += [(moment + offset) // SECONDS_PER_HOUR for moment in moments[start:end]]
        return found

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


def local_time(zone: tzinfo, start_utc_seconds: int, end_utc_seconds: int) -> LocalTime:
    """Return the calendar of a zone over a span, which must not be empty."""
    return LocalTime(tuple(offset_pieces(zone, start_utc_seconds, end_utc_seconds)))


def hour_of_week(hour_number: int) -> int:
    """Return which hour of the week a local hour is: 0 to 167, Monday 0 h first."""
    return (hour_number + _EPOCH_WEEKDAY * 24) % 168


def date_of(day_number: int) -> date:
    """Return the date of a day in days since 1970-01-01."""
    return date.fromordinal(_EPOCH_ORDINAL + day_number)
