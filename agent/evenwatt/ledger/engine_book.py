"""The engines' part of the ledger: where each one and its clients were last read, and what each did since."""

from collections.abc import Mapping, Sequence

from evenwatt.ledger import narration
from evenwatt.ledger.attribution import SILENT, Activity, model_shares
from evenwatt.ledger.clients import client_increase
from evenwatt.ledger.cursors import EngineCursor, client_key, engine_key, stored_engine
from evenwatt.ledger.gauges import engine_use
from evenwatt.ledger.journal import Journal
from evenwatt.ledger.rules import LedgerRules
from evenwatt.ledger.tokens import EngineIncrease, engine_increase
from evenwatt.model import DEFAULT_MODEL, UNALLOCATED, EngineReading, Moment, Reading

__all__ = ["EngineBook"]


class EngineBook:
    """Folds the readings of engines; what it has to remember is what their cursors hold."""

    def __init__(
        self,
        rules: LedgerRules,
        *,
        cursors: Mapping[str, Mapping[str, object]],
        models: Mapping[str, frozenset[str]],
    ) -> None:
        """Begin where stored cursors end; the arguments are those of `Ledger`."""
        self._rules = rules
        self._models = models
        self._twins: set[str] = set()
        self._engines: dict[str, EngineCursor] = {}
        self._clients: dict[str, EngineCursor] = {}
        for key, value in cursors.items():
            if value and key.startswith(engine_key("")):
                engine = stored_engine(value)
                self._engines[engine.engine] = engine
            elif value and key.startswith(client_key("")):
                clients = stored_engine(value)
                self._clients[clients.engine] = clients

    def adopt(self, rules: LedgerRules) -> None:
        """Go on under other rules from the next tick."""
        self._rules = rules

    def without_twins(self, journal: Journal, readings: Sequence[Reading]) -> list[Reading]:
        """Leave out an engine whose process was read under another name in this tick: it counts only once."""
        kept: list[Reading] = []
        names: dict[str, str] = {}
        for reading in readings:
            process = reading.epoch.signals.get("process") if isinstance(reading, EngineReading) else None
            if process is not None and isinstance(reading, EngineReading):
                first = names.setdefault(process, reading.engine)
                if first != reading.engine:
                    if reading.engine not in self._twins:
                        self._twins.add(reading.engine)
                        journal.event(narration.engine_twin(reading.engine, first))
                    continue
            kept.append(reading)
        return kept

    def fold(
        self, journal: Journal, reading: EngineReading, watching_since: Moment, engines: Sequence[str]
    ) -> EngineIncrease:
        """Book the tokens and requests of an engine.

        Args:
            journal: Of the tick.
            reading: What its page said.
            watching_since: The first moment of the history.
            engines: All that are known now; another one may have been this one's old name.
        """
        name = reading.engine
        before = self._engines.get(name)
        known = self._models.get(name, frozenset())
        increase = engine_increase(
            before,
            reading,
            watching_since=watching_since,
            known_models=known,
            others=[cursor for engine, cursor in self._engines.items() if engine not in engines],
        )
        if increase.renamed_from is not None:
            # Its counters go on under the new name: were it to come back under the old one, so do they.
            del self._engines[increase.renamed_from]
            journal.cursor(engine_key(increase.renamed_from), {})
            journal.event(narration.engine_renamed(name, increase.renamed_from))
        if increase.folded:
            journal.event(narration.models_folded(name, increase.folded))
        self._engines[name] = increase.cursor
        journal.cursor(engine_key(name), increase.cursor.stored())
        span = increase.span
        if span is None:
            journal.event(narration.first_sight(name, increase.cursor))
            return increase
        if before is not None and increase.restarted:
            journal.restart(name)
            journal.event(narration.engine_restart(name, before.moment, increase))
        if before is not None and self._rules.is_gap(span):
            journal.gap(name, span)
        journal.tokens(name, increase, span, estimated=self._rules.is_gap(span))
        if before is not None and not increase.restarted and not self._rules.is_gap(span):
            journal.requests(name, engine_use(before, reading, span.length_seconds), span)
        return increase

    def fold_clients(
        self, journal: Journal, reading: EngineReading, watching_since: Moment, engines: Sequence[str]
    ) -> None:
        """Book the tokens of an engine's clients; the arguments are those of `fold`."""
        name = reading.engine
        increase = client_increase(
            self._clients.get(name),
            reading,
            watching_since=watching_since,
            others=[cursor for engine, cursor in self._clients.items() if engine not in engines],
        )
        if increase.renamed_from is not None:
            del self._clients[increase.renamed_from]
            journal.cursor(client_key(increase.renamed_from), {})
        self._clients[name] = increase.cursor
        journal.cursor(client_key(name), increase.cursor.stored())
        if increase.span is not None:
            journal.clients(name, increase, increase.span, estimated=self._rules.is_gap(increase.span))

    def activity(
        self, engine: str, readings: Sequence[Reading], increases: Mapping[str, EngineIncrease]
    ) -> Activity:
        """Return what an engine did in the tick, as GPUs and time are shared by it."""
        reading = next((r for r in readings if isinstance(r, EngineReading) and r.engine == engine), None)
        if reading is None:
            return SILENT
        increase = increases[engine]
        return Activity(
            was_active=increase.moved or bool(reading.requests_running) or increase.ran_before,
            weight=sum(
                self._rules.weights.weight(model.input_tokens, model.output_tokens)
                for model in increase.models.values()
            ),
            listener_pid=reading.listener_pid,
        )

    def model_shares(self, engine: str, increases: Mapping[str, EngineIncrease]) -> Mapping[str, float]:
        """Return how what an engine is charged is shared by its models; of nobody's part, all of it."""
        if engine == UNALLOCATED:
            return {DEFAULT_MODEL: 1.0}
        increase = increases.get(engine)
        moved = {} if increase is None else increase.models
        return model_shares(moved, self._engines.get(engine), self._rules.weights)
