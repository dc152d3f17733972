"""What each engine can sustain, as a report beside the agent knows it."""

from evenwatt.config import Settings
from evenwatt.economics.capacity import Capacity, CapacitySource

__all__ = ["report_capacities"]


def report_capacities(settings: Settings) -> dict[str, Capacity]:
    """Return the capacity of each engine of which one is configured."""
    return {
        engine.name: Capacity(
            tokens_per_second=engine.capacity_tokens_per_second,
            prefill_tokens_per_second=engine.prefill_tokens_per_second,
            decode_tokens_per_second=engine.decode_tokens_per_second,
            source=CapacitySource.CONFIGURED,
        )
        for engine in settings.engines or ()
        if engine.capacity_tokens_per_second is not None or engine.prefill_tokens_per_second is not None
    }
