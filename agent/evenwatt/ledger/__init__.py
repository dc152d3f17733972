"""What happened between two readings: the only place where a counter is subtracted."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

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
from evenwatt.ledger.host import HostRules

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


_MODULES = {"TokenWeights": "attribution", "Ledger": "book", "LedgerRules": "rules"}
"""What only the agent needs, and where it is: imported when it is asked for, as reports must start fast."""


def __getattr__(name: str) -> Any:
    """Return what is imported late."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
