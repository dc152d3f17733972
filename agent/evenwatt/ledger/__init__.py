"""What happened between two readings: the only place where a counter is subtracted."""

from typing import TYPE_CHECKING

from evenwatt.late import late_names
from evenwatt.ledger.entries import (
    ClientUse,
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
    from evenwatt.ledger.book import Ledger
    from evenwatt.ledger.rules import LedgerRules

__all__ = [
    "ClientUse",
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
    __name__, {"HostRules": "host", "Ledger": "book", "LedgerRules": "rules", "TokenWeights": "attribution"}
)
"""What only the agent needs."""
