"""What each engine can sustain: configured, calibrated on request, or learned from the history's minutes."""

from collections.abc import Iterable, Mapping
from typing import Any

from evenwatt.config import Settings
from evenwatt.config.engines import Engine
from evenwatt.economics.capacity import Capacity, CapacitySource, best_capacity
from evenwatt.economics.load_run import phases_explain
from evenwatt.economics.saturation import (
    LEARNED_OVER_DAYS,
    RateRecord,
    ServedMinute,
    learned_capacity,
    peak_capacity,
    record_with,
    stored_record,
)
from evenwatt.sinks.history import CalibrationRow, HistoryReader
from evenwatt.units import SECONDS_PER_DAY, SECONDS_PER_MINUTE

__all__ = ["CALIBRATION", "CapacityKeeper", "calibrated_capacity", "configured_capacities"]

CALIBRATION = "capacity"
"""The kind under which load runs are kept with the history's calibrations."""

_SETTLED_SECONDS = 120
"""A minute is taken in this long after it began: a slow engine's last reading of it is booked by then."""

_RATES = ("tokens_per_second", "prefill_tokens_per_second", "decode_tokens_per_second")

_MOST_SECONDS = SECONDS_PER_DAY // 4
"""How much of a long history is taken in at once; empty stretches are passed over."""


class CapacityKeeper:
    """Takes in each minute of the history once, and knows what it shows of each engine.

    Its state is stored with the cursors, and is worth keeping: it outlives the minutes.
    """

    CURSOR = "capacity"
    """The key under which it is stored with the cursors."""

    def __init__(self, stored: Mapping[str, Any]) -> None:
        """Go on from what `changed` returned when the history was last written."""
        self._until: int | None = stored.get("until")
        # By engine and the one model that it served; None: whatever it served.
        self._records: dict[tuple[str, str | None], RateRecord] = {
            (record["engine"], record["model"]): stored_record(record) for record in stored.get("records", ())
        }
        self._simulated: dict[str, Capacity] = {
            engine: Capacity(**rates, source=CapacitySource.SIMULATED)
            for engine, rates in stored.get("simulated", {}).items()
        }
        self._calibrations: tuple[CalibrationRow, ...] = ()
        self._worked_out: dict[tuple[str, tuple[str, ...]], tuple[Capacity | None, ...]] = {}
        self._is_changed = False

    def follow(self, history: HistoryReader, *, now_utc_seconds: float, kinds: Mapping[str, str]) -> None:
        """Take in the minutes that have ended, and see what was calibrated since; once a minute.

        Args:
            history: To look at.
            now_utc_seconds: The present.
            kinds: Of the engines, by name.

        Raises:
            HistoryError: It cannot be read; nothing is lost.
        """
        minute = int(now_utc_seconds // SECONDS_PER_MINUTE) * SECONDS_PER_MINUTE
        end = minute - _SETTLED_SECONDS + SECONDS_PER_MINUTE
        until = end - LEARNED_OVER_DAYS * SECONDS_PER_DAY if self._until is None else self._until
        if until >= end:
            return
        self.recall(history)
        minutes: tuple[ServedMinute, ...] = ()
        while until < end and not minutes:
            begin, until = until, min(end, until + _MOST_SECONDS)
            minutes = history.served_minutes(begin, until)
        self._take_in(minutes, kinds)
        self._worked_out.clear()
        self._until = until
        self._is_changed = True

    def remember_simulated(self, told: Mapping[str, Capacity]) -> None:
        """Keep what simulated engines say of themselves, for whoever looks at their history without them.

        Args:
            told: By engine; what is not simulated is left to who told it.
        """
        simulated = {
            engine: capacity
            for engine, capacity in told.items()
            if capacity.source is CapacitySource.SIMULATED
        }
        if simulated and simulated != self._simulated:
            self._simulated = simulated
            self._is_changed = True

    def recall(self, history: HistoryReader) -> None:
        """See what was calibrated, without taking in minutes: for a look beside the agent, which does that.

        Raises:
            HistoryError: It cannot be read.
        """
        self._calibrations = history.calibrations(CALIBRATION)

    def changed(self) -> dict[str, dict[str, object]]:
        """Return what has to be kept since this was last asked: a cursor, or nothing."""
        if not self._is_changed:
            return {}
        self._is_changed = False
        records = [
            {"engine": engine, "model": model, **record.stored()}
            for (engine, model), record in self._records.items()
        ]
        cursor: dict[str, object] = {"until": self._until, "records": records}
        if self._simulated:
            cursor["simulated"] = {
                engine: {rate: getattr(capacity, rate) for rate in _RATES}
                for engine, capacity in self._simulated.items()
            }
        return {self.CURSOR: cursor}

    def capacities(
        self,
        told: Mapping[str, Capacity],
        models: Mapping[str, tuple[str, ...]],
        *,
        now_utc_seconds: float,
    ) -> dict[str, Capacity]:
        """Return the best that is known of each engine; one of which nothing is known is left out.

        Args:
            told: What the configuration says, or a simulated engine of itself.
            models: What each engine serves, as last read; empty where it was not.
            now_utc_seconds: The present.
        """
        best = {}
        for engine, served in models.items():
            measured = self._worked_out.get((engine, served))
            if measured is None:
                measured = self._measured(engine, served, now_utc_seconds)
                self._worked_out[engine, served] = measured
            best[engine] = best_capacity(told.get(engine), self._simulated.get(engine), *measured)
        return {engine: capacity for engine, capacity in best.items() if capacity is not None}

    def _take_in(self, minutes: Iterable[ServedMinute], kinds: Mapping[str, str]) -> None:
        # A report recalls and takes in nothing: it must not wait for the readers of engines.
        from evenwatt.readings.engines import counts_late  # noqa: PLC0415

        for served in minutes:
            is_late = counts_late(kinds.get(served.engine, ""))
            for model in {None, served.model}:
                key = (served.engine, model)
                record = self._records.get(key, RateRecord())
                self._records[key] = record_with(record, served, counts_late=is_late)

    def _measured(
        self, engine: str, served: tuple[str, ...], now_utc_seconds: float
    ) -> tuple[Capacity | None, ...]:
        """Return what is known of an engine serving these models: of one, what was seen of that one alone."""
        record = self._records.get((engine, served[0] if len(served) == 1 else None), RateRecord())
        calibrated = next(
            (
                calibrated_capacity(row)
                for row in self._calibrations
                if row.subject == engine and (not served or row.result.get("model") in served)
            ),
            None,
        )
        learned = learned_capacity(record, now_utc_seconds=now_utc_seconds)
        return calibrated, learned, peak_capacity(record)


def configured_capacities(settings: Settings) -> dict[str, Capacity]:
    """Return what engines sustain, where the configuration says so."""
    told = {engine.name: _configured_capacity(engine) for engine in settings.engines or ()}
    return {name: capacity for name, capacity in told.items() if capacity is not None}


def calibrated_capacity(row: CalibrationRow) -> Capacity:
    """Return what a load run found.

    The phases are taken only where they explain the mixed step of the same run: an engine that does prefill
    and decode side by side much better than one after the other has a capacity at its mix, and no sum of two.
    """
    result = row.result
    phases = ("prefill_tokens_per_second", "decode_tokens_per_second")
    return Capacity(
        tokens_per_second=result["tokens_per_second"],
        **{name: result[name] if phases_explain(result) else None for name in phases},
        source=CapacitySource.CALIBRATED,
        at_utc_seconds=row.utc_seconds,
        is_lower_bound=bool(result["still_growing"]),
    )


def _configured_capacity(engine: Engine) -> Capacity | None:
    rates = (engine.capacity_tokens_per_second, engine.prefill_tokens_per_second)
    if all(rate is None for rate in rates):
        return None
    return Capacity(
        tokens_per_second=engine.capacity_tokens_per_second,
        prefill_tokens_per_second=engine.prefill_tokens_per_second,
        decode_tokens_per_second=engine.decode_tokens_per_second,
        source=CapacitySource.CONFIGURED,
    )
