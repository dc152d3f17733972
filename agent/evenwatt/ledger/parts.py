"""Engines whose models are processes of their own: a cursor for each process, for as long as it lives.

Ollama and a llama-server that routes start a server for each model that they load, and end it when they
unload the model; each counts from zero. What such a process counted is booked under its engine.
"""

from collections.abc import Mapping, Sequence

from msgspec import Struct, field
from msgspec.structs import replace

from evenwatt.ledger import narration
from evenwatt.ledger.cursors import CounterState, EngineCursor, is_part_key, part_key, stored_engine
from evenwatt.ledger.epochs import is_known_process, is_same_epoch
from evenwatt.ledger.journal import Journal
from evenwatt.ledger.rules import LedgerRules
from evenwatt.ledger.tokens import EngineIncrease, ModelIncrease, engine_increase, sum_of
from evenwatt.model import OTHER_MODEL, EnginePart, EngineReading, Moment

__all__ = ["PartBook", "PartsIncrease", "Watch"]


class Watch(Struct, frozen=True, kw_only=True):
    """In which tick, and by what, readings are folded.

    Attributes:
        journal: Of the tick.
        since: The first moment of the history.
        engines: All that are known now; who is not among them may have another name now.
    """

    journal: Journal
    rules: LedgerRules
    since: Moment
    engines: Sequence[str]


class PartsIncrease(Struct, kw_only=True):
    """What an engine's processes did since they were last read.

    Attributes:
        labels: Names of models that are labels of their own from now on.
        models: By label.
        ran_before: One of them was at work at its last reading.
    """

    labels: frozenset[str]
    models: dict[str, ModelIncrease] = field(default_factory=dict)
    ran_before: bool = False


class PartBook:
    """Folds the parts of engine readings; what it has to remember is what their cursors hold."""

    def __init__(self, cursors: Mapping[str, Mapping[str, object]]) -> None:
        """Begin where stored cursors end."""
        self._parts = {
            key: stored_engine(value) for key, value in cursors.items() if value and is_part_key(key)
        }

    def fold(
        self,
        watch: Watch,
        reading: EngineReading,
        before: EngineCursor | None,
        labels: frozenset[str],
    ) -> PartsIncrease:
        """Book what each process of an engine counted.

        Args:
            watch: The tick.
            reading: Of the engine; its parts are all that live, and those that ended since the last one.
            before: The engine's own last reading.
            labels: Names of models that are labels already.
        """
        total = PartsIncrease(labels=labels)
        keys = set()
        for part in reading.parts or ():
            key = part_key(reading.engine, part.name)
            keys.add(key)
            if part.models is not None:
                self._fold_part(
                    watch, _as_engine(reading, part), key, _unseen_before(before, reading, part), total
                )
            if part.has_ended:
                if part.is_cut_short:
                    _tell_cut_short(watch, reading.engine, [part.model], total.labels)
                self._drop(watch, key)
        for key, cursor in tuple(self._parts.items()):
            if cursor.engine == reading.engine and key not in keys:
                _tell_cut_short(watch, reading.engine, list(cursor.models), total.labels)
                self._drop(watch, key)
        return total

    def loaded(self, engine: str) -> Mapping[str, CounterState]:
        """Return what each model of an engine has counted in the processes that live."""
        models: dict[str, CounterState] = {}
        for cursor in self._parts.values():
            if cursor.engine == engine:
                for name, state in cursor.models.items():
                    other = models.get(name, CounterState())
                    models[name] = CounterState(
                        input_tokens=state.input_tokens + other.input_tokens,
                        output_tokens=state.output_tokens + other.output_tokens,
                    )
        return models

    def _fold_part(
        self,
        watch: Watch,
        reading: EngineReading,
        key: str,
        unseen: EngineCursor | None,
        total: PartsIncrease,
    ) -> None:
        before = self._parts.get(key) or self._taken_over(watch, reading)
        cursor = before or unseen
        increase = engine_increase(
            None if cursor is None else replace(cursor, labels=total.labels),
            reading,
            watching_since=watch.since,
            known_models=total.labels,
        )
        self._parts[key] = increase.cursor
        watch.journal.cursor(key, increase.cursor.stored())
        total.labels = increase.cursor.labels
        total.ran_before = total.ran_before or increase.ran_before
        if increase.folded:
            watch.journal.event(narration.models_folded(reading.engine, increase.folded))
        if increase.coarser_step_tokens is not None:
            watch.journal.event(narration.counters_in_steps(reading.engine, increase.coarser_step_tokens))
        if increase.span is None:
            watch.journal.event(narration.first_sight(reading.engine, increase.cursor))
            return
        if before is not None and increase.restarted:
            watch.journal.restart(reading.engine)
            watch.journal.event(narration.engine_restart(reading.engine, before.moment, increase))
        is_gap = watch.rules.is_gap(increase.span)
        watch.journal.tokens(reading.engine, increase, increase.span, estimated=is_gap)
        _add(increase, total)

    def _taken_over(self, watch: Watch, reading: EngineReading) -> EngineCursor | None:
        """Return the cursor that this process has under an engine that is not there any more."""
        for key, cursor in self._parts.items():
            is_gone = cursor.engine not in watch.engines
            if is_gone and is_known_process(cursor.signals, reading.epoch.signals, also_by_kernel=True):
                self._drop(watch, key)
                return replace(cursor, engine=reading.engine)
        return None

    def _drop(self, watch: Watch, key: str) -> None:
        if self._parts.pop(key, None) is not None:
            watch.journal.cursor(key, {})


def _as_engine(reading: EngineReading, part: EnginePart) -> EngineReading:
    """Return what a process of an engine said as if it were one."""
    return replace(
        reading,
        moment=part.moment,
        epoch=part.epoch,
        models=part.models or (),
        parts=None,
        requests_running=part.requests_running,
        requests_waiting=None,
    )


def _unseen_before(
    before: EngineCursor | None, reading: EngineReading, part: EnginePart
) -> EngineCursor | None:
    """Return where a process stood at the engine's last reading, when it surely was not there yet.

    Needed where the kernel does not tell when it began: an engine on another machine.
    """
    if before is None or before.parts is None or part.name in before.parts:
        return None
    if part.epoch.started_boot_seconds is not None or not is_same_epoch(
        before.signals, reading.epoch.signals
    ):
        return None
    return EngineCursor(
        engine=reading.engine, moment=before.moment, signals={}, models={}, labels=frozenset()
    )


def _tell_cut_short(watch: Watch, engine: str, models: Sequence[str], labels: frozenset[str]) -> None:
    """Flag the minute of the tick: what was counted in it cannot be known to the last token."""
    watch.journal.cut_short(engine, sorted({model if model in labels else OTHER_MODEL for model in models}))
    watch.journal.event(narration.part_cut_short(engine, models))


def _add(increase: EngineIncrease, total: PartsIncrease) -> None:
    for label, counts in increase.models.items():
        total.models[label] = sum_of(total.models[label], counts) if label in total.models else counts
