"""What each engine can sustain, as a report beside the agent knows it."""

from collections.abc import Iterable, Mapping
from typing import Any

from evenwatt.config import Settings
from evenwatt.economics.capacity import Capacity
from evenwatt.model import DEFAULT_MODEL, UNALLOCATED
from evenwatt.service.capacity import CapacityKeeper, configured_capacities
from evenwatt.sinks.history import HistoryReader

__all__ = ["report_capacities"]


def report_capacities(
    settings: Settings,
    reader: HistoryReader,
    cursors: Mapping[str, Mapping[str, Any]],
    served: Iterable[tuple[str, str]],
    *,
    now_utc_seconds: float,
) -> dict[str, Capacity]:
    """Return what is known best of each engine: configured, calibrated, or as the agent learned it.

    Args:
        settings: As configured.
        reader: Of the history, for calibrations.
        cursors: Of the history, where the agent keeps what it learned.
        served: Engines and models of the window.
        now_utc_seconds: The present; what was learned long ago counts for less.

    Raises:
        HistoryError: The calibrations cannot be read.
    """
    keeper = CapacityKeeper(cursors.get(CapacityKeeper.CURSOR, {}))
    keeper.recall(reader)
    models: dict[str, tuple[str, ...]] = {}
    for engine, model in served:
        if engine != UNALLOCATED:
            known = models.setdefault(engine, ())
            models[engine] = known if model == DEFAULT_MODEL else (*known, model)
    return keeper.capacities(configured_capacities(settings), models, now_utc_seconds=now_utc_seconds)
