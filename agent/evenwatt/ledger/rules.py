"""What the ledger has to be told beside readings; a reload changes it while the cursors stay."""

from collections.abc import Mapping

from msgspec import Struct, field

from evenwatt.ledger.attribution import TokenWeights
from evenwatt.ledger.host import HostRules
from evenwatt.ledger.spans import Span

__all__ = ["LedgerRules"]


class LedgerRules(Struct, frozen=True, kw_only=True):
    """By what readings are folded.

    Attributes:
        gap_after_seconds: An interval longer than this was not watched; what it holds is spread evenly and
            flagged.
        in_totals: By engine, whether its tokens are added up, where the configuration says so; else those of
            a gateway are where no other engine is known.
        configured_gpus: By engine, what the configuration states: indexes or UUIDs of GPUs, UUIDs of MIG
            instances.
        remote_engines: Engines on other hosts: none of this machine's GPUs are theirs, unless their process
            is found here (a container by its address).
        weights: What tokens weigh where models share an engine, or engines a GPU.
        longest_power_gap_seconds: How far apart power samples may be joined by a line.
        host: How host energy follows from what its source measures.
        cross_check_seconds: Busy time over which an energy counter is compared with integrated power.
    """

    gap_after_seconds: float = 30.0
    configured_gpus: Mapping[str, tuple[int | str, ...]] = field(default_factory=dict)
    in_totals: Mapping[str, bool] = field(default_factory=dict)
    remote_engines: frozenset[str] = frozenset()
    weights: TokenWeights = field(default_factory=TokenWeights)
    longest_power_gap_seconds: float = 30.0
    host: HostRules = field(default_factory=HostRules)
    cross_check_seconds: float = 300.0
    cross_check_tolerance_ratio: float = 0.1
    cross_check_busy_ratio: float = 0.5

    def is_gap(self, span: Span) -> bool:
        """Return whether nobody watched in a span."""
        return span.length_seconds > self.gap_after_seconds
