"""Electricity prices by the time of day and the kind of day, as the site's own clock shows them.

What the wall clock shows decides. In the hour that is skipped in spring nothing is billed, and in the hour
that comes twice in autumn the same price holds twice, whatever band it lies in.
"""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, tzinfo

from msgspec import Struct

from evenwatt.economics.offsets import offset_pieces
from evenwatt.units import SECONDS_PER_DAY, SECONDS_PER_MINUTE

__all__ = ["DAYS", "HOLIDAY", "MINUTES_PER_DAY", "Band", "BandStep", "BandTariff", "band_at", "day_kinds"]

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
"""In the order of `date.weekday`."""

HOLIDAY = "holiday"
MINUTES_PER_DAY = SECONDS_PER_DAY // SECONDS_PER_MINUTE

_WEEKEND = frozenset({"sat", "sun"})
_CHUNK_SECONDS = 32 * SECONDS_PER_DAY
"""Steps are worked out for so long a stretch at a time: once for each month that anybody asks about."""

BandStep = tuple[float | None, str | None]
"""(price per kWh, name of the band); a price without a name is the one outside all bands."""


class Band(Struct, frozen=True, kw_only=True):
    """A part of the day with a price of its own.

    Attributes:
        start_minute: Of the day, as the clock on the wall shows it; the band holds from there on.
        end_minute: Where it ends; at or before the start: on the next day.
        days: The kinds of day on which it *starts*, of `DAYS` and `HOLIDAY`; None: every day.
    """

    name: str
    price_per_kwh: float
    start_minute: int = 0
    end_minute: int = MINUTES_PER_DAY
    days: frozenset[str] | None = None

    @property
    def is_over_midnight(self) -> bool:
        """Whether it ends on the day after the one that it starts on."""
        return self.end_minute <= self.start_minute


@dataclass(frozen=True, slots=True, kw_only=True)
class BandTariff:
    """Time bands from a moment on, until a later price takes over.

    Attributes:
        bands: The first that fits holds.
        zone: Whose clock decides.
        default_price_per_kwh: Outside all bands; None: not known there.
        holidays: Public holidays of the site.
        valid_from_utc_seconds: Left out: since ever.
    """

    bands: tuple[Band, ...]
    zone: tzinfo
    default_price_per_kwh: float | None = None
    holidays: frozenset[date] = frozenset()
    valid_from_utc_seconds: float = float("-inf")
    _chunks: dict[int, tuple[list[float], list[BandStep]]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def step_at(self, utc_seconds: float) -> BandStep:
        """Return the price and the band at a moment."""
        starts, steps = self._chunk(int(utc_seconds // _CHUNK_SECONDS))
        return steps[bisect_right(starts, utc_seconds) - 1]

    def edges(self, start_utc_seconds: float, end_utc_seconds: float) -> Iterator[float]:
        """Yield the moments after a start and before an end at which the band may change."""
        first, last = (int(moment // _CHUNK_SECONDS) for moment in (start_utc_seconds, end_utc_seconds))
        for number in range(first, last + 1):
            for edge in self._chunk(number)[0]:
                if start_utc_seconds < edge < end_utc_seconds:
                    yield edge

    def _chunk(self, number: int) -> tuple[list[float], list[BandStep]]:
        """Return the moments of a stretch at which a step begins, and the steps; worked out once."""
        chunk = self._chunks.get(number)
        if chunk is None:
            chunk = self._chunks[number] = self._worked_out(number * _CHUNK_SECONDS)
        return chunk

    def _worked_out(self, start: int) -> tuple[list[float], list[BandStep]]:
        starts: list[float] = []
        steps: list[BandStep] = []
        for moment in self._candidates(start, start + _CHUNK_SECONDS):
            step = self._evaluated(moment)
            if not steps or step != steps[-1]:
                starts.append(float(moment))
                steps.append(step)
        return starts, steps

    def _candidates(self, start: int, end: int) -> list[int]:
        """Return all moments of a stretch, its start included, at which the wall clock may cross an edge."""
        marks = {0, *(mark for band in self.bands for mark in (band.start_minute, band.end_minute))}
        found = {start}
        for piece in offset_pieces(self.zone, start, end):
            begin, until, offset = piece.start_utc_seconds, piece.end_utc_seconds, piece.offset_seconds
            found.add(begin)
            first_day = (begin + offset) // SECONDS_PER_DAY
            last_day = (until + offset) // SECONDS_PER_DAY
            moments = (
                day * SECONDS_PER_DAY + mark * SECONDS_PER_MINUTE - offset
                for day in range(first_day, last_day + 1)
                for mark in marks
            )
            found.update(moment for moment in moments if begin <= moment < until)
        return sorted(found)

    def _evaluated(self, utc_seconds: int) -> BandStep:
        local = datetime.fromtimestamp(utc_seconds, self.zone)
        today = local.date()
        band = band_at(
            self.bands,
            minute_of_day=local.hour * 60 + local.minute,
            today=day_kinds(today, self.holidays),
            yesterday=day_kinds(today - timedelta(days=1), self.holidays),
        )
        return (self.default_price_per_kwh, None) if band is None else (band.price_per_kwh, band.name)


def day_kinds(day: date, holidays: frozenset[date]) -> frozenset[str]:
    """Return what kind of day a date is.

    A public holiday from Monday to Friday is no working day: it is a holiday alone. One at the weekend is
    both, so that a weekend band goes on through it.
    """
    weekday = DAYS[day.weekday()]
    if day not in holidays:
        return frozenset({weekday})
    return frozenset({weekday, HOLIDAY}) if weekday in _WEEKEND else frozenset({HOLIDAY})


def band_at(
    bands: tuple[Band, ...], *, minute_of_day: int, today: frozenset[str], yesterday: frozenset[str]
) -> Band | None:
    """Return the first band that holds at a minute of a day; None outside all.

    Args:
        bands: In the order in which they are tried.
        minute_of_day: As the clock on the wall shows it.
        today: The kinds of that day.
        yesterday: Those of the day before, whose bands may reach over midnight.
    """
    for band in bands:
        if _starts_on(band, today) and band.start_minute <= minute_of_day < _end_today(band):
            return band
        if band.is_over_midnight and _starts_on(band, yesterday) and minute_of_day < band.end_minute:
            return band
    return None


def _starts_on(band: Band, kinds: frozenset[str]) -> bool:
    return band.days is None or not band.days.isdisjoint(kinds)


def _end_today(band: Band) -> int:
    return MINUTES_PER_DAY if band.is_over_midnight else band.end_minute
