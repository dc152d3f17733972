"""`evenwatt alerts test`: a message to whom alerts are told, by the way that alerts go."""

from collections.abc import Iterator

from msgspec import Struct

from evenwatt import clock
from evenwatt.config import Settings
from evenwatt.errors import OptionError
from evenwatt.service.alerts.courier import send_now
from evenwatt.service.alerts.orders import letterhead, order_for
from evenwatt.sinks.alerts.messages import trial_message

__all__ = ["Trial", "send_trials"]

_SECONDS = 5.0
"""For which a test is tried again: a person waits for it."""


class Trial(Struct, frozen=True, kw_only=True):
    """How a test went.

    Attributes:
        error: Why the message was not taken; None: it was.
    """

    name: str
    kind: str
    error: str | None


def send_trials(settings: Settings, *, only: str | None) -> Iterator[Trial]:
    """Send a test message to each notifier, and yield how it went.

    Args:
        settings: As loaded.
        only: The name of one; None: all.

    Raises:
        OptionError: There is none, or none of that name.
    """
    notifiers = settings.alerts.notify
    if not notifiers:
        raise OptionError("nobody is told: write alerts.notify into the configuration (docs/alerts.md)")
    chosen = [notifier for notifier in notifiers if only in {None, notifier.name}]
    if not chosen:
        known = ", ".join(notifier.name for notifier in notifiers)
        raise OptionError(f"--notifier: got {only}, expected one of alerts.notify: {known}")
    content = trial_message(letterhead(settings), now_utc_seconds=clock.utc_seconds())
    for notifier in chosen:
        error = send_now({**order_for(notifier, content), "seconds": _SECONDS})
        yield Trial(name=notifier.name, kind=notifier.kind, error=error)
