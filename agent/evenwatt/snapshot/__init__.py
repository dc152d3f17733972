"""What every view reads: one immutable snapshot a tick, worked out before anyone asks."""

from typing import TYPE_CHECKING

from evenwatt.late import late_names

if TYPE_CHECKING:
    from evenwatt.snapshot.host import CalibrationView, HostView, machine_watts
    from evenwatt.snapshot.outlook import with_outlook
    from evenwatt.snapshot.sums import (
        ApiBill,
        ApiKey,
        Money,
        PricedPosting,
        Sums,
        bill_of,
        later_part,
        money_of,
        sums_with,
        tokens_of,
    )
    from evenwatt.snapshot.values import (
        ElectricityView,
        EngineView,
        HistoryHealth,
        PendingPrice,
        Scrape,
        Snapshot,
    )
    from evenwatt.snapshot.windows import ALL, ReferenceView, WindowRow, WindowView, window_view

__all__ = [
    "ALL",
    "ApiBill",
    "ApiKey",
    "CalibrationView",
    "ElectricityView",
    "EngineView",
    "HistoryHealth",
    "HostView",
    "Money",
    "PendingPrice",
    "PricedPosting",
    "ReferenceView",
    "Scrape",
    "Snapshot",
    "Sums",
    "WindowRow",
    "WindowView",
    "bill_of",
    "later_part",
    "machine_watts",
    "money_of",
    "sums_with",
    "tokens_of",
    "window_view",
    "with_outlook",
]

__getattr__ = late_names(
    __name__,
    {
        "ALL": "windows",
        "ApiBill": "sums",
        "ApiKey": "sums",
        "CalibrationView": "host",
        "ElectricityView": "values",
        "EngineView": "values",
        "HistoryHealth": "values",
        "HostView": "host",
        "Money": "sums",
        "PendingPrice": "values",
        "PricedPosting": "sums",
        "ReferenceView": "windows",
        "Scrape": "values",
        "Snapshot": "values",
        "Sums": "sums",
        "WindowRow": "windows",
        "WindowView": "windows",
        "bill_of": "sums",
        "later_part": "sums",
        "machine_watts": "host",
        "money_of": "sums",
        "sums_with": "sums",
        "tokens_of": "sums",
        "window_view": "windows",
        "with_outlook": "outlook",
    },
)
"""A plan needs none of it, and a report no view of the running agent."""
