"""What happened between two readings: the only place where a counter is subtracted."""

from typing import TYPE_CHECKING

from evenwatt.late import late_names
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

if TYPE_CHECKING:
    from evenwatt.ledger.attribution import TokenWeights
    from evenwatt.ledger.book import Ledger, LedgerRules
    from evenwatt.ledger.host import HostRules

__all__ = [
    "EngineUse",
    "GpuUse",
    "HostRules",
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

__getattr__ = late_names(
    __name__, {"HostRules": "host", "Ledger": "book", "LedgerRules": "book", "TokenWeights": "attribution"}
)
"""What only the agent needs."""
