"""What every view reads: one immutable snapshot a tick, worked out before anyone asks."""

from evenwatt.snapshot.sums import (
    ApiBill,
    ApiKey,
    Money,
    PricedPosting,
    Sums,
    bill_of,
    money_of,
    sums_with,
    tokens_of,
)
from evenwatt.snapshot.values import EngineView, HistoryHealth, PendingPrice, Snapshot
from evenwatt.snapshot.windows import ALL, ReferenceView, WindowRow, WindowView, window_view

__all__ = [
    "ALL",
    "ApiBill",
    "ApiKey",
    "EngineView",
    "HistoryHealth",
    "Money",
    "PendingPrice",
    "PricedPosting",
    "ReferenceView",
    "Snapshot",
    "Sums",
    "WindowRow",
    "WindowView",
    "bill_of",
    "money_of",
    "sums_with",
    "tokens_of",
    "window_view",
]
