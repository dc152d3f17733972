"""The engines' part of the ledger: where each one and its clients were last read, and what each did since."""

from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from evenwatt.ledger import narration
from evenwatt.ledger.attribution import model_shares
from evenwatt.ledger.clients import client_increase
from evenwatt.ledger.cursors import EngineCursor, client_key, engine_key, stored_engine
from evenwatt.ledger.epochs import process_pid
from evenwatt.ledger.gauges import engine_use
from evenwatt.ledger.journal import Journal
from evenwatt.ledger.parts import PartBook, Watch
from evenwatt.ledger.rules import LedgerRules
from evenwatt.ledger.tokens import EngineIncrease, engine_increase
from evenwatt.ledger.tracing import SILENT, Activity, environment_gpus
from evenwatt.model import DEFAULT_MODEL, UNALLOCATED, EngineReading, GpuReading, Moment, Reading

__all__ = ["EngineBook"]

_MARKS = ("process", "created", "header")
"""Signals that only one process in the world has, the kernel's word first.

A start time is not among them: two processes may begin within one tick of a clock.
"""


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
        self._last: dict[str, EngineReading] = {}
        self._behind: dict[str, str] = {}
        self._left_out: set[str] = set()
        self._parts = PartBook(cursors)
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
        """Leave out an engine whose process was read under another name in this tick: it counts only once.

        Whose process can be seen goes first: of a port that is passed on only the page tells who answers.
        """
        names: dict[str, str] = {}
        engines = [reading for reading in readings if isinstance(reading, EngineReading)]
        twins: dict[str, str] = {}
        for reading in sorted(engines, key=lambda reading: "process" not in reading.epoch.signals):
            signals = reading.epoch.signals
            marks = [signals[name] for name in _MARKS if name in signals]
            # What the kernel says of a process is not put in doubt by its page.
            deciding = marks[:1] if "process" in signals else marks
            first = next((names[mark] for mark in deciding if mark in names), None)
            if first is not None:
                twins[reading.engine] = first
            for mark in marks:
                names.setdefault(mark, reading.engine)
        for name, first in twins.items():
            self._tell_twin(journal, name, first)
        return [
            self._without_twin_parts(journal, reading, names)
            for reading in readings
            if not isinstance(reading, EngineReading) or reading.engine not in twins
        ]

    def _without_twin_parts(self, journal: Journal, reading: Reading, names: Mapping[str, str]) -> Reading:
        """Leave out a process of an engine that is read as an engine of its own."""
        if not isinstance(reading, EngineReading) or reading.parts is None:
            return reading
        parts = []
        for part in reading.parts:
            twin = names.get(part.epoch.signals.get("process", ""))
            if twin is None:
                parts.append(part)
            else:
                self._tell_twin(journal, f"{reading.engine} {part.model}", twin)
        return replace(reading, parts=tuple(parts))

    def _tell_twin(self, journal: Journal, engine: str, first: str) -> None:
        if engine not in self._twins:
            self._twins.add(engine)
            journal.event(narration.engine_twin(engine, first))

    def in_totals(
        self, journal: Journal, readings: Sequence[Reading], engines: Sequence[str]
    ) -> tuple[str, ...]:
        """Return the engines whose tokens are added up: of a chain only one counts.

        A gateway is left out where any other engine is known, a frontend where one is that says it works for
        its kind, and a proxy where the engine behind it is read.
        One that was not read yet may be anything, and is taken for an engine.
        """
        read = [reading for reading in readings if isinstance(reading, EngineReading)]
        self._last |= {reading.engine: reading for reading in read}
        self._behind |= _behind(read)
        known = [self._last[engine] for engine in engines if engine in self._last]
        gateways = {reading.engine for reading in known if reading.is_gateway}
        others = [engine for engine in engines if engine not in gateways]
        chains = {gateway: others for gateway in gateways if others}
        for front in known:
            if workers := [reading.engine for reading in known if reading.front_kind == front.kind]:
                chains[front.engine] = workers
        chains |= {front: [engine] for front, engine in self._behind.items() if engine in engines}
        stated = self._rules.in_totals
        counted = [engine for engine in engines if stated.get(engine, engine not in chains)]
        for engine in engines:
            if engine in counted:
                self._left_out.discard(engine)
            elif engine not in self._left_out:
                self._left_out.add(engine)
                if engine not in stated:
                    journal.event(narration.gateway_left_out(engine, chains[engine]))
        return tuple(counted)

    def pass_by(
        self, journal: Journal, reading: EngineReading, watching_since: Moment, engines: Sequence[str]
    ) -> None:
        """Follow an engine that is left out and book nothing; the arguments are those of `fold`.

        Were it ever added up again, it goes on from here: what it counted meanwhile others counted too.
        """
        unbooked = Journal(journal.moment)
        self.fold(unbooked, reading, watching_since, engines)
        if reading.clients is not None:
            self.fold_clients(unbooked, reading, watching_since, engines)
        for key, stored in unbooked.posting().cursors.items():
            journal.cursor(key, stored)

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
        if increase.coarser_step_tokens is not None:
            journal.event(narration.counters_in_steps(name, increase.coarser_step_tokens))
        if reading.parts is not None:
            increase = self._with_parts(
                Watch(journal=journal, rules=self._rules, since=watching_since, engines=engines),
                reading,
                before,
                increase,
            )
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
        if reading.parts is None:
            journal.tokens(name, increase, span, estimated=self._rules.is_gap(span))
        if before is not None and not increase.restarted and not self._rules.is_gap(span):
            journal.requests(name, engine_use(before, reading, span.length_seconds), span)
        return increase

    def _with_parts(
        self, watch: Watch, reading: EngineReading, before: EngineCursor | None, increase: EngineIncrease
    ) -> EngineIncrease:
        """Book what the processes of an engine counted, and return it as what the engine did."""
        parts = self._parts.fold(watch, reading, before, increase.cursor.labels)
        return replace(
            increase,
            models=parts.models,
            cursor=replace(increase.cursor, labels=parts.labels),
            ran_before=increase.ran_before or parts.ran_before,
        )

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

    def activities(
        self,
        engines: Sequence[str],
        readings: Sequence[Reading],
        increases: Mapping[str, EngineIncrease],
        gpus: Sequence[GpuReading],
        boot_id: str,
    ) -> dict[str, Activity]:
        """Return what each engine did in the tick, as GPUs and time are shared by it.

        An engine that was not read is known by the process that it had: a page that hangs while requests run
        is no reason to give its joules to others.
        """
        read = {r.engine: r for r in readings if isinstance(r, EngineReading)}
        return {
            name: self._activity(read[name], increases[name], gpus)
            if name in read
            else self._silence(name, boot_id)
            for name in engines
        }

    def _silence(self, engine: str, boot_id: str) -> Activity:
        cursor = self._engines.get(engine)
        if cursor is None or cursor.moment.boot_id != boot_id:
            return SILENT
        return replace(SILENT, listener_pid=cursor.listener_pid, body=cursor.body)

    def _activity(
        self, reading: EngineReading, increase: EngineIncrease, gpus: Sequence[GpuReading]
    ) -> Activity:
        return Activity(
            was_active=increase.moved or bool(reading.requests_running) or increase.ran_before,
            weight=sum(
                self._rules.weights.weight(model.input_tokens, model.output_tokens)
                for model in increase.models.values()
            ),
            is_unloaded=reading.is_unloaded,
            listener_pid=reading.listener_pid,
            body=reading.body,
            environment_gpus=environment_gpus(reading.visible_gpus, gpus),
        )

    def model_shares(self, engine: str, increases: Mapping[str, EngineIncrease]) -> Mapping[str, float]:
        """Return how what an engine is charged is shared by its models; of nobody's part, all of it."""
        if engine == UNALLOCATED:
            return {DEFAULT_MODEL: 1.0}
        increase = increases.get(engine)
        moved = {} if increase is None else increase.models
        cursor = self._engines.get(engine)
        if cursor is not None and cursor.parts is not None:
            cursor = replace(cursor, models=self._parts.loaded(engine))
        return model_shares(moved, cursor, self._rules.weights)


def _behind(readings: Sequence[EngineReading]) -> dict[str, str]:
    """Return by engine which other one its requests go to: that one's process is what computes for it."""
    own = {process_pid(reading.epoch.signals): reading.engine for reading in readings}
    return {
        reading.engine: own[reading.listener_pid]
        for reading in readings
        if reading.listener_pid is not None
        and reading.listener_pid in own
        and own[reading.listener_pid] != reading.engine
    }
