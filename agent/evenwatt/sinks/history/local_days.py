"""Days of a site's calendar, as rows of the history are told apart by them."""

import calendar
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta, tzinfo

__all__ = ["LocalDays"]


class LocalDays:
    """Tells which day of a site's calendar a moment is in.

    A day begins when its clocks first show 0:00, or pass it by; what is told apart is the date that they
    show, so that a day has the 23 or 25 hours that it has.
    """

    def __init__(self, zone: tzinfo) -> None:
        self.zone = zone
        self._day = self._start = self._end = 0

    def __call__(self, utc_seconds: float) -> int:
        """Return the key of the day that a moment is in: its date, as the moment of its midnight in UTC."""
        if not self._start <= utc_seconds < self._end:
            day = datetime.fromtimestamp(utc_seconds, self.zone).date()
            self._day, self._start, self._end = _key(day), self._midnight(day), self._midnight(_after(day))
        return self._day

    def between(self, start: int, end: int) -> Iterator[tuple[int, int, int]]:
        """Yield key, beginning and end of each day that a span touches, oldest first."""
        moment = start
        while moment < end:
            day = self(moment)
            yield day, self._start, self._end
            moment = self._end

    def _midnight(self, day: date) -> int:
        # Where the clocks go from 0:00 to 1:00 there is no such moment; this is the one at which they do.
        return int(datetime.combine(day, time(), tzinfo=self.zone).timestamp())


def _key(day: date) -> int:
    return calendar.timegm(day.timetuple())


def _after(day: date) -> date:
    return day + timedelta(days=1)
