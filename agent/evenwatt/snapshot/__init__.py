"""What every view reads: one immutable snapshot a tick, worked out before anyone asks."""

from evenwatt.snapshot.sums import ApiKey, Money, PricedPosting, Sums, sums_with
from evenwatt.snapshot.values import EngineView, HistoryHealth, Snapshot
from evenwatt.snapshot.windows import ALL, ReferenceView, WindowRow, WindowView, window_view

__all__ = [
    "ALL",
    "ApiKey",
    "EngineView",
    "HistoryHealth",
    "Money",
    "PricedPosting",
    "ReferenceView",
    "Snapshot",
    "Sums",
    "WindowRow",
    "WindowView",
    "sums_with",
    "window_view",
]
