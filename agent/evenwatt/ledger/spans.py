"""Where an increase lies in time: spans between two moments, and how they are cut at minute boundaries."""

import math
from collections.abc import Iterator

from msgspec import Struct
from msgspec.structs import replace

from evenwatt.model import Moment
from evenwatt.units import (
    SECONDS_PER_DAY,
    SECONDS_PER_HOUR,
    SECONDS_PER_MINUTE,
    SECONDS_PER_QUARTER_HOUR,
)

__all__ = ["Piece", "Span", "cut", "cut_count", "minute_of", "span_between", "split_at_boot"]

_CLOCK_STEP_SECONDS = 1.0
_CLOCK_SLEW_RATIO = 1e-3
"""NTP slews by at most 500 ppm; what parts further than twice that was stepped."""

_LONGEST_IN_QUARTERS_SECONDS = 31 * SECONDS_PER_DAY

_LONGEST_UNKNOWN_SECONDS = 366 * SECONDS_PER_DAY
"""Across a boot only UTC is left, and a dead clock battery can claim decades."""


class Span(Struct, frozen=True, kw_only=True):
    """A stretch of time: its place from UTC, its length from the boot clock.

    Attributes:
        end_utc_seconds: Where it ends in the calendar.
        utc_seconds: How much of the calendar it covers; equals the length but for the slewing of the clock.
        length_seconds: How long it was; never negative.
        stepped_seconds: By how much the wall clock was set forward (or back, negative) within it.
    """

    end_utc_seconds: float
    utc_seconds: float
    length_seconds: float
    stepped_seconds: float = 0.0

    @property
    def start_utc_seconds(self) -> float:
        """Where it begins in the calendar."""
        return self.end_utc_seconds - self.utc_seconds


class Piece(Struct, frozen=True, kw_only=True):
    """The part of a span that lies in one minute.

    Attributes:
        minute: Unix time of the minute's beginning.
        share: Of the span, so that all pieces add up to 1.
    """

    minute: int
    share: float


def minute_of(utc_seconds: float) -> int:
    """Return the Unix time at which the minute of a moment begins."""
    return int(utc_seconds // SECONDS_PER_MINUTE) * SECONDS_PER_MINUTE


def span_between(before: Moment, after: Moment) -> Span:
    """Return the span from one moment to a later one.

    Within a boot the boot clock gives the length, so that stepping the wall clock changes no total; across a
    boot only UTC is left. Where UTC agrees with the boot clock up to slewing, spans that follow each other
    share their boundary in the calendar; where it was stepped, the span is laid back from its end.
    """
    calendar = after.utc_seconds - before.utc_seconds
    if before.boot_id != after.boot_id:
        length = min(max(calendar, 0.0), _LONGEST_UNKNOWN_SECONDS)
        return Span(end_utc_seconds=after.utc_seconds, utc_seconds=length, length_seconds=length)
    length = max(after.boot_seconds - before.boot_seconds, 0.0)
    stepped = abs(calendar - length) > max(_CLOCK_STEP_SECONDS, _CLOCK_SLEW_RATIO * length)
    return Span(
        end_utc_seconds=after.utc_seconds,
        utc_seconds=length if stepped else max(calendar, 0.0),
        length_seconds=length,
        stepped_seconds=calendar - length if stepped else 0.0,
    )


def cut(span: Span) -> tuple[Piece, ...]:
    """Cut a span at minute boundaries.

    A span of more than a day (the agent was away) is cut at quarter hours instead, each piece booked in the
    first minute of its quarter: the finest steps at which electricity is traded. One of more than a month is
    cut at hours: a year of quarters for every model takes four times the memory that the agent may use.
    """
    # Not the span's own number: near today's date a UTC second is only kept to a quarter of a microsecond.
    covered = span.end_utc_seconds - span.start_utc_seconds
    if covered <= 0:
        return (Piece(minute=minute_of(span.end_utc_seconds), share=1.0),)
    step = _step_seconds(span.utc_seconds)
    return tuple(
        Piece(minute=edge, share=inside / covered)
        for edge, inside in _cut_seconds(span.start_utc_seconds, span.end_utc_seconds, step)
    )


def _step_seconds(span_seconds: float) -> int:
    if span_seconds <= SECONDS_PER_DAY:
        return SECONDS_PER_MINUTE
    return SECONDS_PER_QUARTER_HOUR if span_seconds <= _LONGEST_IN_QUARTERS_SECONDS else SECONDS_PER_HOUR


def _cut_seconds(start: float, end: float, step: int) -> Iterator[tuple[int, float]]:
    """Yield each edge of the grid that a stretch reaches past, with the seconds from there to the next."""
    for edge in range(int(start // step) * step, math.ceil(end), step):
        yield edge, min(end, edge + step) - max(start, edge)


def cut_count(count: int, pieces: tuple[Piece, ...]) -> tuple[int, ...]:
    """Spread a whole number over pieces by their shares, without losing or inventing one.

    Each boundary is rounded, not each part, so the parts add up to the whole exactly.
    """
    parts = []
    reached, done = 0.0, 0
    for piece in pieces[:-1]:
        reached += piece.share
        upto = min(count, round(count * reached))
        parts.append(upto - done)
        done = upto
    parts.append(count - done)
    return tuple(parts)


def split_at_boot(span: Span, before: Moment, after: Moment) -> tuple[Span | None, Span | None]:
    """Return the part of a span in which the machine was off, as far as is known, and the part it was up."""
    up_seconds = min(after.boot_seconds, span.length_seconds)
    if before.boot_id == after.boot_id or up_seconds >= span.length_seconds:
        return None, span
    off_seconds = span.length_seconds - up_seconds
    off = Span(
        end_utc_seconds=span.end_utc_seconds - up_seconds, utc_seconds=off_seconds, length_seconds=off_seconds
    )
    return off, replace(span, utc_seconds=up_seconds, length_seconds=up_seconds)
