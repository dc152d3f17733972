"""What happened between two readings: the only place where a counter is subtracted."""

from evenwatt.ledger.attribution import TokenWeights
from evenwatt.ledger.book import Ledger, LedgerRules
from evenwatt.ledger.entries import (
    ClientUse,
    GpuUse,
    HostUse,
    Posting,
    SourceTotals,
    Usage,
    UsageKey,
    merged_postings,
)

__all__ = [
    "ClientUse",
    "GpuUse",
    "HostUse",
    "Ledger",
    "LedgerRules",
    "Posting",
    "SourceTotals",
    "TokenWeights",
    "Usage",
    "UsageKey",
    "merged_postings",
]
