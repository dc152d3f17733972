"""What every view reads: one immutable snapshot a tick, worked out before anyone asks."""

from evenwatt.snapshot.chargeback import ClientBill, client_bills
from evenwatt.snapshot.host import CalibrationView, HostView, machine_watts
from evenwatt.snapshot.outlook import with_outlook
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
    "ClientBill",
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
    "client_bills",
    "machine_watts",
    "money_of",
    "sums_with",
    "tokens_of",
    "window_view",
    "with_outlook",
]
