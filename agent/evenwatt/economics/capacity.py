"""What an engine can sustain: told, measured, or learned from what it served while requests waited.

Unknown stays unknown: an engine that was never busy has no capacity here, and so no load.
"""

from enum import StrEnum

from msgspec import Struct

from evenwatt.economics.breakeven import token_load

__all__ = ["Capacity", "CapacitySource", "best_capacity", "capacity_load"]


class CapacitySource(StrEnum):
    """Who says what an engine can sustain, best first."""

    CONFIGURED = "configured"
    """Somebody wrote it down."""
    CALIBRATED = "calibrated"
    """A load run on request measured it."""
    SIMULATED = "simulated"
    """It is made up, like the engine."""
    LEARNED = "learned"
    """What it served in minutes in which requests waited."""
    PEAK_SEEN = "peak_seen"
    """The most that it ever served, with nobody waiting: it may do more."""


class Capacity(Struct, frozen=True, kw_only=True):
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

    @property
    def is_observed(self) -> bool:
        """Whether it comes from what was served, so that serving more shows that it is more."""
        return self.is_lower_bound or self.source in {CapacitySource.LEARNED, CapacitySource.PEAK_SEEN}


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
    """Return the served share of what could be served, as `token_load` does; None while that is unknown.

    A capacity is never less than what was served: where that is all that it comes from, serving more is a
    full load. Above one that somebody stated or measured apart the load is more than 1, and tells that it is
    set too low.
    """
    if capacity is None:
        return None
    load = token_load(
        input_tokens_per_second=input_tokens_per_second,
        output_tokens_per_second=output_tokens_per_second,
        capacity_tokens_per_second=capacity.tokens_per_second,
        prefill_tokens_per_second=capacity.prefill_tokens_per_second,
        decode_tokens_per_second=capacity.decode_tokens_per_second,
    )
    return min(load, 1.0) if load is not None and capacity.is_observed else load
