"""What the agent itself has to tell: logged at once, and an event in the history with the next tick."""

import logging
from collections.abc import Callable

from evenwatt import clock
from evenwatt.model import Event

__all__ = ["Events", "Tell"]

Tell = Callable[[str, str, str], None]
"""Makes an event of a kind, a subject and a text."""

_log = logging.getLogger("evenwatt")

_GOOD_NEWS = frozenset(
    {"alert_resolved", "config_reloaded", "electricity_fresh", "engine_found", "gpus_resumed", "history_back"}
)


class Events:
    """The events that no tick has taken along yet."""

    def __init__(self) -> None:
        """Begin without any."""
        self._waiting: list[Event] = []

    def tell(self, kind: str, subject: str, text: str) -> None:
        """Log something and keep it for the next tick."""
        level = logging.INFO if kind in _GOOD_NEWS else logging.WARNING
        _log.log(level, "%s: %s", subject, text)
        self._waiting.append(Event(utc_seconds=clock.utc_seconds(), kind=kind, subject=subject, text=text))

    def taken(self) -> tuple[Event, ...]:
        """Return what waits, once."""
        waiting = tuple(self._waiting)
        self._waiting.clear()
        return waiting
