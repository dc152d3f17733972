"""What happened between two readings: the only place where a counter is subtracted."""

from evenwatt.ledger.attribution import TokenWeights
from evenwatt.ledger.book import Ledger, LedgerRules
from evenwatt.ledger.entries import (
    EngineUse,
    GpuUse,
    HostUse,
    MeterUse,
    Posting,
    SourceTotals,
    Usage,
    UsageKey,
    merged_postings,
)

__all__ = [
    "EngineUse",
    "GpuUse",
    "HostUse",
    "Ledger",
    "LedgerRules",
    "MeterUse",
    "Posting",
    "SourceTotals",
    "TokenWeights",
    "Usage",
    "UsageKey",
    "merged_postings",
]
