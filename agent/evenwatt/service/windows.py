"""The windows up to now, each from the sums of the history."""

from collections.abc import Iterable, Mapping
from datetime import datetime, tzinfo

from evenwatt.config import Window
from evenwatt.economics.capacity import Capacity
from evenwatt.sinks.history import History
from evenwatt.snapshot import WindowView, window_view
from evenwatt.units import SECONDS_PER_MINUTE

__all__ = ["window_views"]


def window_views(
    history: History,
    windows: Iterable[Window],
    *,
    now_utc_seconds: float,
    zone: tzinfo,
    capacities: Mapping[str, Capacity],
) -> tuple[WindowView, ...]:
    """Return what each window says now.

    Args:
        history: Whose sums are taken.
        windows: As configured.
        now_utc_seconds: Where they end.
        zone: In which the month begins.
        capacities: By engine, what it can sustain.
    """
    views = []
    for window in windows:
        start = _start(window, now_utc_seconds, zone)
        minute = int(start // SECONDS_PER_MINUTE) * SECONDS_PER_MINUTE
        views.append(
            window_view(
                history.sums_since(minute),
                name=window.label,
                start_utc_seconds=start,
                seconds=now_utc_seconds - start,
                capacities=capacities,
            )
        )
    return tuple(views)


def _start(window: Window, now_utc_seconds: float, zone: tzinfo) -> float:
    if window.seconds is not None:
        return now_utc_seconds - window.seconds
    now = datetime.fromtimestamp(now_utc_seconds, zone)
    return now.replace(day=1, hour=0, minute=0, second=0, microsecond=0).timestamp()
