"""What a message carries beside its news: whose it is, and whom it goes to."""

import platform
from collections.abc import Mapping
from typing import Any

from evenwatt.config import Settings
from evenwatt.config.alerts import Notifier
from evenwatt.sinks.alerts.messages import Letterhead
from evenwatt.snapshot import Snapshot

__all__ = ["letterhead", "order_for"]


def letterhead(settings: Settings, snapshot: Snapshot | None = None) -> Letterhead:
    """Return what stands in every message."""
    return Letterhead(
        host=platform.node() or "this machine",
        currency=settings.currency,
        zone=settings.timezone,
        is_simulated=snapshot is not None and snapshot.simulated,
        assumed=() if snapshot is None else tuple(each.setting for each in snapshot.assumptions),
    )


def order_for(notifier: Notifier, content: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the process that sends takes; it holds the secrets."""
    return {
        "name": notifier.name,
        "kind": notifier.kind,
        "url": notifier.url.get_secret_value(),
        "token": None if notifier.token is None else notifier.token.get_secret_value(),
        "message": content,
    }
