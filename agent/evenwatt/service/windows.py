"""The windows up to now, each from the sums of the history."""

from collections.abc import Iterable, Mapping
from datetime import datetime, tzinfo

from evenwatt.config import Window
from evenwatt.economics.capacity import Capacity
from evenwatt.sinks.history import History
from evenwatt.snapshot import PricedPosting, Sums, WindowView, later_part, sums_with, window_view
from evenwatt.units import SECONDS_PER_MINUTE

__all__ = ["SumsSince", "window_views"]


class SumsSince:
    """What the history adds up to from some minutes on: read once, then carried on by what each tick adds.

    An hour of hundreds of models takes a quarter of a second to add up, and where it begins moves once a
    minute only. Whoever else writes to the history has it read anew.
    """

    def __init__(self, history: History) -> None:
        self._history = history
        self._edition: tuple[int, int] | None = None
        self._sums: dict[int, Sums] = {}

    def add(self, tick: PricedPosting) -> None:
        """Carry on by a tick that was written."""
        self._sums = {start: sums_with(sums, later_part(tick, start)) for start, sums in self._sums.items()}

    def forget(self) -> None:
        """Have all read anew: what is written was changed."""
        self._sums = {}

    def at(self, minutes: Iterable[int]) -> Mapping[int, Sums]:
        """Return the sums from each of some minutes on; those from others are let go.

        Raises:
            HistoryError: The history cannot be read.
        """
        edition = self._history.edition()
        if edition != self._edition:
            self.forget()
        self._edition = edition
        self._sums = {
            at: self._sums[at] if at in self._sums else self._history.sums_since(at) for at in minutes
        }
        return self._sums


def window_views(
    sums: SumsSince,
    windows: Iterable[Window],
    *,
    now_utc_seconds: float,
    zone: tzinfo,
    capacities: Mapping[str, Capacity],
) -> tuple[WindowView, ...]:
    """Return what each window says now.

    Args:
        sums: Of the history.
        windows: As configured.
        now_utc_seconds: Where they end.
        zone: In which the month begins.
        capacities: By engine, what it can sustain.
    """
    starts = [(window.label, _start(window, now_utc_seconds, zone)) for window in windows]
    since = sums.at({_minute(start) for _, start in starts})
    return tuple(
        window_view(
            since[_minute(start)],
            name=label,
            start_utc_seconds=start,
            seconds=now_utc_seconds - start,
            capacities=capacities,
        )
        for label, start in starts
    )


def _minute(utc_seconds: float) -> int:
    return int(utc_seconds // SECONDS_PER_MINUTE) * SECONDS_PER_MINUTE


def _start(window: Window, now_utc_seconds: float, zone: tzinfo) -> float:
    if window.seconds is not None:
        return now_utc_seconds - window.seconds
    now = datetime.fromtimestamp(now_utc_seconds, zone)
    return now.replace(day=1, hour=0, minute=0, second=0, microsecond=0).timestamp()
