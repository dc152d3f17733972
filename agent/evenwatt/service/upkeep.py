"""The upkeep of the history beside the ticks: forgetting what is old, and knowing how large it becomes."""

from contextlib import suppress

from evenwatt.config import Settings
from evenwatt.errors import HistoryError
from evenwatt.model import Moment
from evenwatt.sinks.history import History
from evenwatt.sinks.history.size import HistorySize, history_size
from evenwatt.units import SECONDS_PER_DAY, SECONDS_PER_HOUR

__all__ = ["Upkeep"]

_STEADY_SECONDS = SECONDS_PER_HOUR
"""How long the clock has to go on without being set before anything is forgotten by it."""

_SET_SECONDS = 60.0
"""By how much UTC has to leave the boot clock to count as set."""

_MEASURE_SECONDS = SECONDS_PER_HOUR
"""Between two looks at the size; one takes some hundredths of a second."""


class Upkeep:
    """Forgets a little with each tick, so that none is held up, also where a year is to be forgotten.

    A clock that is wrong must not make it forget what is young: it waits until the clock has been steady for
    an hour, and waits anew when it is set.

    Attributes:
        size: As last measured; None before that.
    """

    def __init__(self, history: History, settings: Settings) -> None:
        """Begin to watch the clock."""
        self._history = history
        self._settings = settings
        self._offset_seconds: float | None = None
        self._steady_since = 0.0
        self._next_measure = 0.0
        self.size: HistorySize | None = None

    def adopt(self, settings: Settings) -> None:
        """Go on with other settings."""
        self._settings = settings
        self._next_measure = 0.0

    def follow(self, moment: Moment) -> None:
        """Do what is due; a history that cannot be written or read is told by who writes ticks."""
        is_steady = self._is_steady(moment)
        with suppress(HistoryError):
            if is_steady:
                self._history.forget_some(self._kept_from(moment.utc_seconds))
            if moment.boot_seconds >= self._next_measure:
                kept = self._settings.history
                self.size = history_size(
                    self._history,
                    keep_minutes_days=kept.keep_minutes_days,
                    keep_hours_days=kept.keep_hours_days,
                )
                self._next_measure = moment.boot_seconds + _MEASURE_SECONDS

    def _is_steady(self, moment: Moment) -> bool:
        offset = moment.utc_seconds - moment.boot_seconds
        if self._offset_seconds is None or abs(offset - self._offset_seconds) > _SET_SECONDS:
            self._steady_since = moment.boot_seconds
        self._offset_seconds = offset
        return moment.boot_seconds - self._steady_since >= _STEADY_SECONDS

    def _kept_from(self, now: float) -> dict[str, int]:
        kept = self._settings.history
        days = {"minute": kept.keep_minutes_days, "hour": kept.keep_hours_days}
        return {
            level: int((now - count * SECONDS_PER_DAY) // SECONDS_PER_DAY) * SECONDS_PER_DAY
            for level, count in days.items()
        }
