"""From two readings of an engine to what it did between them; nowhere else are its counters subtracted."""

from collections.abc import Iterable, Mapping
from typing import TypeVar

from msgspec import Struct
from msgspec.structs import replace

from evenwatt.ledger.cursors import CounterState, EarlierProcess, EngineCursor
from evenwatt.ledger.epochs import (
    counting_began,
    is_known_process,
    is_later,
    is_older,
    is_one_process,
    is_same_epoch,
)
from evenwatt.ledger.spans import Span, span_between
from evenwatt.model import DEFAULT_MODEL, OTHER_MODEL, EngineReading, ModelCounters, Moment

__all__ = ["EngineIncrease", "ModelIncrease", "engine_increase", "sum_of"]

Number = TypeVar("Number", int, float)

MODELS_PER_ENGINE = 200
"""Labels are bounded: further models of one engine share `OTHER_MODEL`."""

_EARLIER_PROCESSES = 4

_ZERO = CounterState(prefill_seconds=0.0, decode_seconds=0.0)
"""Where a model stood that was not there."""


class ModelIncrease(Struct, frozen=True, kw_only=True):
    """What one model did between two readings; cached input and phases are None where nobody tells."""

    input_tokens: int
    output_tokens: int
    cached_input_tokens: int | None
    requests: Mapping[str, int]
    prefill_seconds: float | None = None
    decode_seconds: float | None = None

    @property
    def is_nothing(self) -> bool:
        """Whether no counter moved."""
        counts = (self.input_tokens, self.output_tokens, self.cached_input_tokens or 0)
        return not any(counts) and not any(self.requests.values())


class EngineIncrease(Struct, frozen=True, kw_only=True):
    """What an engine did since it was last read.

    Attributes:
        span: When; None at a first sight that is only a baseline.
        models: By label, folded to the bound.
        restarted: The counting began anew since the last reading: what the old process counted after that
            reading cannot be known.
        ran_before: Requests were running at the last reading.
        folded: Names that share `OTHER_MODEL` from now on, as there are more models than labels; told once.
        renamed_from: The name under which this process was counted until now.
        coarser_step_tokens: In steps of how many tokens its counters move from now on, where they moved in
            smaller ones until now.
    """

    span: Span | None
    models: Mapping[str, ModelIncrease]
    cursor: EngineCursor
    restarted: bool
    ran_before: bool
    folded: tuple[str, ...]
    renamed_from: str | None = None
    coarser_step_tokens: int | None = None

    @property
    def moved(self) -> bool:
        """Whether any counter moved."""
        return not all(model.is_nothing for model in self.models.values())


class _Basis(Struct, frozen=True, kw_only=True):
    """What an increase is counted from.

    Attributes:
        span: Over which it lies; None: there is nothing to count from, the reading is a baseline.
        counters: Where they stood at its beginning; a model that is not there stood at zero.
    """

    span: Span | None
    counters: Mapping[str, CounterState]
    restarted: bool = False
    renamed_from: str | None = None


def engine_increase(
    cursor: EngineCursor | None,
    reading: EngineReading,
    *,
    watching_since: Moment,
    known_models: frozenset[str],
    others: Iterable[EngineCursor] = (),
    most_labels: int = MODELS_PER_ENGINE,
) -> EngineIncrease:
    """Return what an engine did between its last reading and this one.

    Args:
        cursor: Its last reading; None at first sight.
        reading: This reading.
        watching_since: The first moment of the history: a process that started later counts from zero,
            an older one is only a baseline.
        known_models: Labels that this engine has in the history although it has no cursor; they never fold.
        others: Last readings of engines that are not there any more: one of them may have been renamed.
        most_labels: How many models have a label of their own.
    """
    basis = _basis(cursor, reading, watching_since, others)
    fell = {now.model for now in reading.models if _fell(basis.counters.get(now.model, CounterState()), now)}
    if cursor is not None and fell and _is_doubtful(cursor, reading):
        return _doubted(cursor, reading)
    increases: dict[str, ModelIncrease] = {}
    states = dict(basis.counters)
    for now in reading.models:
        before = _ZERO if now.model in fell else basis.counters.get(now.model, _ZERO)
        increases[now.model], states[now.model] = _increase(before, now)
    given = known_models - {DEFAULT_MODEL} if cursor is None else cursor.labels
    after = EngineCursor(
        engine=reading.engine,
        moment=reading.moment,
        signals=dict(reading.epoch.signals),
        models=states,
        labels=_labels(increases, given, most_labels),
        was_running=bool(reading.requests_running),
        earlier=_earlier(cursor, reading),
        requests_running=reading.requests_running,
        requests_waiting=reading.requests_waiting,
        parts=None
        if reading.parts is None
        else frozenset(part.name for part in reading.parts if not part.has_ended),
        listener_pid=reading.listener_pid,
        body=reading.body,
    )
    step_tokens = _step(states)
    return EngineIncrease(
        span=basis.span,
        models={} if basis.span is None else _by_label(increases, after),
        cursor=after,
        restarted=basis.restarted or bool(fell),
        ran_before=cursor is not None and cursor.was_running,
        folded=() if OTHER_MODEL in given else tuple(sorted(increases.keys() - after.labels)),
        renamed_from=basis.renamed_from,
        coarser_step_tokens=step_tokens if step_tokens > _step(basis.counters) else None,
    )


def _step(models: Mapping[str, CounterState]) -> int:
    """Return the largest step in which counters of an engine move."""
    return max((state.step_tokens for state in models.values()), default=1)


def _basis(
    cursor: EngineCursor | None,
    reading: EngineReading,
    watching_since: Moment,
    others: Iterable[EngineCursor],
) -> _Basis:
    now, signals = reading.moment, reading.epoch.signals
    began = counting_began(reading, watching_since)
    if cursor is None:
        for other in others:
            if is_known_process(other.signals, signals, also_by_kernel=True):
                span = span_between(other.moment, now)
                return _Basis(span=span, counters=other.models, renamed_from=other.engine)
        return _Basis(span=None if began is None else span_between(began, now), counters={})
    if is_same_epoch(cursor.signals, signals):
        return _Basis(span=span_between(cursor.moment, now), counters=cursor.models)
    for process in cursor.earlier:
        if is_known_process(process.signals, signals, also_by_kernel=False):
            return _Basis(span=span_between(cursor.moment, now), counters=process.models)
    if not is_one_process(cursor.signals, signals) and is_older(reading, cursor.moment):
        return _Basis(span=None, counters={})
    start = began if began is not None and is_later(began, cursor.moment) else cursor.moment
    return _Basis(span=span_between(start, now), counters={}, restarted=True)


def _is_doubtful(cursor: EngineCursor, reading: EngineReading) -> bool:
    """Return whether counters that fell are to be seen twice: everything else says that nothing restarted."""
    is_known = is_known_process(cursor.signals, reading.epoch.signals, also_by_kernel=False)
    return is_known and not cursor.is_doubted


def _doubted(cursor: EngineCursor, reading: EngineReading) -> EngineIncrease:
    """Return that nothing is counted of a page, and that the cursor stays where it was."""
    return EngineIncrease(
        span=span_between(reading.moment, reading.moment),
        models={},
        cursor=replace(cursor, is_doubted=True, was_running=bool(reading.requests_running)),
        restarted=False,
        ran_before=cursor.was_running,
        folded=(),
    )


def _earlier(cursor: EngineCursor | None, reading: EngineReading) -> tuple[EarlierProcess, ...]:
    """Return the processes to remember, without the one that answers now."""
    if cursor is None:
        return ()
    signals = reading.epoch.signals
    processes = cursor.earlier
    if cursor.signals and not is_same_epoch(cursor.signals, signals):
        processes = (EarlierProcess(signals=cursor.signals, models=cursor.models), *processes)
    others = [p for p in processes if not is_known_process(p.signals, signals, also_by_kernel=False)]
    return tuple(others[:_EARLIER_PROCESSES])


def _fell(before: CounterState, now: ModelCounters) -> bool:
    # `input_tokens` alone may dip where it is a difference of two counters; the sum it comes from may not.
    logical = now.input_tokens + (now.cached_input_tokens or 0)
    cached_fell = (now.cached_input_tokens or 0) < (before.cached_input_tokens or 0)
    cached_known = now.cached_input_tokens is not None
    return (
        now.output_tokens < before.output_tokens
        or logical < before.logical_input_tokens
        or (cached_known and cached_fell)
    )


def _increase(before: CounterState, now: ModelCounters) -> tuple[ModelIncrease, CounterState]:
    moved = now.input_tokens - before.input_tokens - before.input_excess_tokens
    cached = now.cached_input_tokens
    state = CounterState(
        input_tokens=now.input_tokens,
        output_tokens=now.output_tokens,
        cached_input_tokens=cached,
        requests={**before.requests, **now.requests},
        input_excess_tokens=max(-moved, 0),
        prefill_seconds=now.prefill_seconds,
        decode_seconds=now.decode_seconds,
        step_tokens=now.step_tokens,
    )
    increase = ModelIncrease(
        input_tokens=max(moved, 0),
        output_tokens=now.output_tokens - before.output_tokens,
        cached_input_tokens=None if cached is None else max(cached - (before.cached_input_tokens or 0), 0),
        requests={
            outcome: max(count - before.requests.get(outcome, 0), 0)
            for outcome, count in now.requests.items()
        },
        prefill_seconds=_risen_by(before.prefill_seconds, now.prefill_seconds),
        decode_seconds=_risen_by(before.decode_seconds, now.decode_seconds),
    )
    return increase, state


def _risen_by(before: float | None, now: float | None) -> float | None:
    """Return by how much a counter of seconds rose; not known at its first sight.

    Where it alone fell, nothing was measured that could be told: tokens decide what a restart is.
    """
    return None if before is None or now is None else max(now - before, 0.0)


def _labels(models: Iterable[str], given: frozenset[str], most_labels: int) -> frozenset[str]:
    """Return the labels given so far and those that new models get, up to the bound."""
    new = sorted(set(models) - given)
    free = max(most_labels - len(given - {OTHER_MODEL}), 0)
    return given.union(new[:free], [OTHER_MODEL] if new[free:] else ())


def _by_label(increases: Mapping[str, ModelIncrease], cursor: EngineCursor) -> dict[str, ModelIncrease]:
    by_label: dict[str, ModelIncrease] = {}
    for model, increase in increases.items():
        label = cursor.label(model)
        by_label[label] = sum_of(by_label[label], increase) if label in by_label else increase
    return by_label


def sum_of(one: ModelIncrease, other: ModelIncrease) -> ModelIncrease:
    """Return what two increases come to; what only one of them tells is what it tells."""
    outcomes = one.requests.keys() | other.requests.keys()
    return ModelIncrease(
        input_tokens=one.input_tokens + other.input_tokens,
        output_tokens=one.output_tokens + other.output_tokens,
        cached_input_tokens=_known_sum(one.cached_input_tokens, other.cached_input_tokens),
        requests={name: one.requests.get(name, 0) + other.requests.get(name, 0) for name in outcomes},
        prefill_seconds=_known_sum(one.prefill_seconds, other.prefill_seconds),
        decode_seconds=_known_sum(one.decode_seconds, other.decode_seconds),
    )


def _known_sum(one: Number | None, other: Number | None) -> Number | None:
    if one is None or other is None:
        return other if one is None else one
    return one + other
