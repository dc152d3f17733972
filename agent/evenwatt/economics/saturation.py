"""What an engine can sustain, learned from the minutes that it served: pure, minute by minute.

A minute in which requests waited shows what the engine can do; one in which none did shows only that it can
do that much. Every minute is taken in once, and little is kept of it, so that what was learned outlives the
minutes themselves.
"""

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import accumulate
from typing import Any

from msgspec import Struct, field
from msgspec.structs import replace

from evenwatt.economics.capacity import Capacity, CapacitySource
from evenwatt.units import SECONDS_PER_DAY, SECONDS_PER_MINUTE

__all__ = [
    "LEARNED_OVER_DAYS",
    "RateRecord",
    "ServedMinute",
    "learned_capacity",
    "peak_capacity",
    "record_with",
    "stored_record",
]

LEARNED_OVER_DAYS = 14
"""Older minutes may be of other settings or other hardware."""

SATURATED_SECONDS = 45.0
"""How much of a minute somebody has to wait in."""

LEAST_SATURATED_MINUTES = 15

PERCENTILE = 0.9
"""High enough to leave out minutes of bad luck, low enough to be reached again."""

SUSTAINED_MINUTES = 15
"""What was served on the mean of a quarter of an hour was plainly sustained, whoever waited."""

_SPAN_MINUTES = 1
_LATE_SPAN_MINUTES = 5


class ServedMinute(Struct, frozen=True, kw_only=True):
    """What an engine did in one minute.

    Attributes:
        minute: Unix time of its beginning.
        model: The one that was served; None where it was several, or none.
        tokens: Computed input and output.
        waiting_seconds: How long at least one request was seen waiting.
        is_estimated: Its tokens are an even spread over time in which nobody looked.
    """

    minute: int
    engine: str
    model: str | None
    tokens: int
    waiting_seconds: float = 0.0
    is_estimated: bool = False

    @property
    def is_saturated(self) -> bool:
        """Whether it shows what the engine can do."""
        return not self.is_estimated and self.waiting_seconds >= SATURATED_SECONDS


class _Day(Struct, frozen=True, kw_only=True):
    """One day's rates, in tokens per second.

    Attributes:
        sustained: The highest mean of a quarter of an hour.
        saturated: How many saturated minutes had a rate, by the rate to one percent.
    """

    sustained: float = 0.0
    saturated: Mapping[float, int] = field(default_factory=dict)


class RateRecord(Struct, frozen=True, kw_only=True):
    """What the minutes so far say of an engine, whatever it served, or of it serving one model alone.

    Attributes:
        recent: The last quarter of an hour: minute, tokens, whether it was saturated.
        peak_tokens_per_second: The highest rate ever seen.
        peak_utc_seconds: When.
        days: By number of the day since 1970.
    """

    recent: tuple[tuple[int, int, bool], ...] = ()
    peak_tokens_per_second: float = 0.0
    peak_utc_seconds: float = 0.0
    days: Mapping[int, _Day] = field(default_factory=dict)

    def stored(self) -> dict[str, object]:
        """Return the JSON-ready form."""
        return {
            "recent": [list(entry) for entry in self.recent],
            "peak": [self.peak_tokens_per_second, self.peak_utc_seconds],
            "days": {
                str(number): {"sustained": day.sustained, "saturated": list(map(list, day.saturated.items()))}
                for number, day in self.days.items()
            },
        }


def stored_record(value: Mapping[str, Any]) -> RateRecord:
    """Return a record from its stored form."""
    peak, peak_at = value["peak"]
    return RateRecord(
        recent=tuple((minute, tokens, saturated) for minute, tokens, saturated in value["recent"]),
        peak_tokens_per_second=peak,
        peak_utc_seconds=peak_at,
        days={
            int(number): _Day(sustained=day["sustained"], saturated=dict(day["saturated"]))
            for number, day in value["days"].items()
        },
    )


def record_with(record: RateRecord, served: ServedMinute, *, counts_late: bool) -> RateRecord:
    """Return a record with a later minute taken in.

    Args:
        record: Up to now.
        served: A minute after all that are in it. What is an even spread over a gap shows no rate, and an
            engine that serves nothing while requests wait is stuck and not saturated.
        counts_late: The engine counts output when a request ends, so that one minute holds what several
            made: its rates are means over five minutes, saturated where all five are.
    """
    entry = (served.minute, 0 if served.is_estimated else served.tokens, served.is_saturated)
    recent = tuple(_last_minutes((*record.recent, entry), SUSTAINED_MINUTES, served.minute))
    span = _LATE_SPAN_MINUTES if counts_late else _SPAN_MINUTES
    within = _last_minutes(recent, span, served.minute)
    rate = _rate(within, span)
    number = served.minute // SECONDS_PER_DAY
    day = record.days.get(number, _Day())
    saturated = day.saturated
    if rate and len(within) == span and all(is_saturated for _, _, is_saturated in within):
        rounded = _rounded(rate)
        saturated = {**saturated, rounded: saturated.get(rounded, 0) + 1}
    sustained = max(day.sustained, _rate(recent, SUSTAINED_MINUTES))
    is_peak = rate > record.peak_tokens_per_second
    return RateRecord(
        recent=recent,
        peak_tokens_per_second=max(rate, record.peak_tokens_per_second),
        peak_utc_seconds=served.minute if is_peak else record.peak_utc_seconds,
        days={
            **{n: d for n, d in record.days.items() if n > number - LEARNED_OVER_DAYS},
            number: replace(day, sustained=sustained, saturated=saturated),
        },
    )


def learned_capacity(record: RateRecord, *, now_utc_seconds: float) -> Capacity | None:
    """Return what saturated minutes of the last two weeks show; None while there are too few.

    The ninetieth percentile of their rates, but never less than what was served on the mean of any quarter of
    an hour.
    """
    first = now_utc_seconds // SECONDS_PER_DAY - LEARNED_OVER_DAYS
    days = {number: day for number, day in record.days.items() if number > first}
    rates = sum((Counter(day.saturated) for day in days.values()), start=Counter[float]())
    if rates.total() < LEAST_SATURATED_MINUTES:
        return None
    return Capacity(
        tokens_per_second=max(_percentile(rates), *(day.sustained for day in days.values())),
        source=CapacitySource.LEARNED,
        at_utc_seconds=(max(number for number, day in days.items() if day.saturated)) * SECONDS_PER_DAY,
    )


def peak_capacity(record: RateRecord) -> Capacity | None:
    """Return the most that was ever served in a minute: the engine may do more. None where it was nothing."""
    if not record.peak_tokens_per_second:
        return None
    return Capacity(
        tokens_per_second=record.peak_tokens_per_second,
        source=CapacitySource.PEAK_SEEN,
        at_utc_seconds=record.peak_utc_seconds,
        is_lower_bound=True,
    )


def _last_minutes(
    entries: Iterable[tuple[int, int, bool]], minutes: int, last: int
) -> list[tuple[int, int, bool]]:
    return [entry for entry in entries if entry[0] > last - minutes * SECONDS_PER_MINUTE]


def _rate(entries: Iterable[tuple[int, int, bool]], minutes: int) -> float:
    """Return tokens per second over a span; a minute that is not in it served nothing."""
    return sum(tokens for _, tokens, _ in entries) / (minutes * SECONDS_PER_MINUTE)


def _rounded(rate: float) -> float:
    """Return a rate to one percent, in round numbers: so few of them that a day of them is soon stored."""
    decade = 10.0 ** math.floor(math.log10(rate))
    step = decade / (10 if rate >= decade * 5 else 50)
    return round(rate / step) * step


def _percentile(rates: Counter[float]) -> float:
    """Return the nearest rank: the least rate that so many of all are not above."""
    ordered = sorted(rates)
    reached = list(accumulate(rates[rate] for rate in ordered))
    return ordered[bisect_left(reached, math.ceil(PERCENTILE * rates.total()))]
