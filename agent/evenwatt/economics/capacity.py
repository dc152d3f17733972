"""What an engine can sustain: told, measured, or learned from what it served while requests waited.

Unknown stays unknown: an engine that was never busy has no capacity here, and so no load.
"""

from dataclasses import dataclass
from enum import StrEnum

from evenwatt.economics.breakeven import token_load

__all__ = ["Capacity", "CapacitySource", "best_capacity", "capacity_load"]


class CapacitySource(StrEnum):
    """Who says what an engine can sustain, best first."""

    CONFIGURED = "configured"
    """Somebody wrote it down."""
    CALIBRATED = "calibrated"
    """A load run on request measured it."""
    LEARNED = "learned"
    """What it served in minutes in which requests waited."""
    PEAK_SEEN = "peak_seen"
    """The most that it ever served, with nobody waiting: it may do more."""
    SIMULATED = "simulated"
    """It is made up, like the engine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Capacity:
    """What an engine can sustain.

    Attributes:
        tokens_per_second: Computed input and output together, at the usual mix; None where only the phases
            are known.
        prefill_tokens_per_second: Computed input, with nothing else to do; None where not known.
        decode_tokens_per_second: Output, likewise.
        at_utc_seconds: When it was measured, or last changed; None where nobody says.
        is_lower_bound: It may do more, so that a load worked out with it is at most that.
    """

    tokens_per_second: float | None
    source: CapacitySource
    prefill_tokens_per_second: float | None = None
    decode_tokens_per_second: float | None = None
    at_utc_seconds: float | None = None
    is_lower_bound: bool = False


def best_capacity(*known: Capacity | None) -> Capacity | None:
    """Return the one that is believed: what was configured, else calibrated, else learned, else the peak."""
    order = tuple(CapacitySource)
    return min(
        (capacity for capacity in known if capacity is not None),
        key=lambda capacity: order.index(capacity.source),
        default=None,
    )


def capacity_load(
    capacity: Capacity | None, *, input_tokens_per_second: float, output_tokens_per_second: float
) -> float | None:
    """Return the served share of what could be served, as `token_load` does; None while that is unknown."""
    if capacity is None:
        return None
    return token_load(
        input_tokens_per_second=input_tokens_per_second,
        output_tokens_per_second=output_tokens_per_second,
        capacity_tokens_per_second=capacity.tokens_per_second,
        prefill_tokens_per_second=capacity.prefill_tokens_per_second,
        decode_tokens_per_second=capacity.decode_tokens_per_second,
    )
