"""From two readings of an engine to what it did between them; nowhere else are its counters subtracted."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from evenwatt.ledger.cursors import CounterState, EngineCursor
from evenwatt.ledger.spans import Span, span_between
from evenwatt.model import DEFAULT_MODEL, OTHER_MODEL, EngineReading, ModelCounters, Moment

__all__ = ["EngineIncrease", "ModelIncrease", "engine_increase", "is_same_epoch"]

MODELS_PER_ENGINE = 200
"""Labels are bounded: further models of one engine share `OTHER_MODEL`."""

_START_RESOLUTION_SECONDS = 0.01
"""The kernel tells a start rounded down to its clock tick; no engine has served a token by the next one."""

_PAGE_SIGNALS = ("start_time", "header", "created")
_KERNEL_SIGNALS = ("process", "listener", "boot")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelIncrease:
    """What one model did between two readings; cached is None where the engine does not tell."""

    input_tokens: int
    output_tokens: int
    cached_input_tokens: int | None
    requests: Mapping[str, int]

    @property
    def is_nothing(self) -> bool:
        """Whether no counter moved."""
        counts = (self.input_tokens, self.output_tokens, self.cached_input_tokens or 0)
        return not any(counts) and not any(self.requests.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineIncrease:
    """What an engine did since it was last read.

    Attributes:
        span: When; None at a first sight that is only a baseline.
        models: By label, folded to the bound.
        restarted: The counting began anew since the last reading: what the old process counted after that
            reading cannot be known.
        ran_before: Requests were running at the last reading.
        folded: Names that share `OTHER_MODEL` from now on, as there are more models than labels; told once.
    """

    span: Span | None
    models: Mapping[str, ModelIncrease]
    cursor: EngineCursor
    restarted: bool
    ran_before: bool
    folded: tuple[str, ...]

    @property
    def moved(self) -> bool:
        """Whether any counter moved."""
        return not all(model.is_nothing for model in self.models.values())


def engine_increase(
    cursor: EngineCursor | None,
    reading: EngineReading,
    *,
    watching_since: Moment,
    known_models: frozenset[str],
) -> EngineIncrease:
    """Return what an engine did between its last reading and this one.

    Args:
        cursor: Its last reading; None at first sight.
        reading: This reading.
        watching_since: The first moment of the history: a process that started later counts from zero,
            an older one is only a baseline.
        known_models: Labels that this engine has in the history although it has no cursor; they never fold.
    """
    span, before, restarted = _counted_from(cursor, reading, watching_since)
    increases: dict[str, ModelIncrease] = {}
    states = dict(before)
    for now in reading.models:
        earlier = before.get(now.model, CounterState())
        if _fell(earlier, now):
            earlier, restarted = CounterState(), True
        increases[now.model], states[now.model] = _increase(earlier, now)
    given = known_models - {DEFAULT_MODEL} if cursor is None else cursor.labels
    after = EngineCursor(
        engine=reading.engine,
        moment=reading.moment,
        signals=dict(reading.epoch.signals),
        models=states,
        labels=_labels(increases, given),
        was_running=bool(reading.requests_running),
    )
    return EngineIncrease(
        span=span,
        models={} if span is None else _by_label(increases, after),
        cursor=after,
        restarted=restarted,
        ran_before=cursor is not None and cursor.was_running,
        folded=() if OTHER_MODEL in given else tuple(sorted(increases.keys() - after.labels)),
    )


def _counted_from(
    cursor: EngineCursor | None, reading: EngineReading, watching_since: Moment
) -> tuple[Span | None, Mapping[str, CounterState], bool]:
    """Return over what time an increase lies, the counters at its beginning, and whether they began anew."""
    began = _counting_began(reading, watching_since)
    if cursor is None:
        return None if began is None else span_between(began, reading.moment), {}, False
    if is_same_epoch(cursor.signals, reading.epoch.signals):
        return span_between(cursor.moment, reading.moment), cursor.models, False
    start = began if began is not None and _is_later(began, cursor.moment) else cursor.moment
    return span_between(start, reading.moment), {}, True


def is_same_epoch(before: Mapping[str, str], after: Mapping[str, str]) -> bool:
    """Return whether two readings come from one process counting on.

    What the page says about its own process is the stronger evidence: a listener may be a proxy that restarts
    while the engine behind it counts on. The kernel's word decides where the page is silent; where both are,
    only a falling value tells.
    """
    for signals in (_PAGE_SIGNALS, _KERNEL_SIGNALS):
        shared = [name for name in signals if name in before and name in after]
        if shared:
            return all(before[name] == after[name] for name in shared)
    return True


def _counting_began(reading: EngineReading, watching_since: Moment) -> Moment | None:
    """Return when the counters began, if that was after the history did; else None."""
    started = reading.epoch.started_boot_seconds
    if started is None:
        return None
    now = reading.moment
    age = max(now.boot_seconds - started, 0.0)
    began = Moment(utc_seconds=now.utc_seconds - age, boot_seconds=started, boot_id=now.boot_id)
    at_latest = replace(began, boot_seconds=started + _START_RESOLUTION_SECONDS)
    return began if _is_later(at_latest, watching_since) else None


def _is_later(moment: Moment, than: Moment) -> bool:
    """Return whether a moment of the present boot is later than one noted before, however clocks were set."""
    return moment.boot_id != than.boot_id or moment.boot_seconds >= than.boot_seconds


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
    )
    increase = ModelIncrease(
        input_tokens=max(moved, 0),
        output_tokens=now.output_tokens - before.output_tokens,
        cached_input_tokens=None if cached is None else max(cached - (before.cached_input_tokens or 0), 0),
        requests={
            outcome: max(count - before.requests.get(outcome, 0), 0)
            for outcome, count in now.requests.items()
        },
    )
    return increase, state


def _labels(models: Iterable[str], given: frozenset[str]) -> frozenset[str]:
    """Return the labels given so far and those that new models get, up to the bound."""
    new = sorted(set(models) - given)
    free = max(MODELS_PER_ENGINE - len(given - {OTHER_MODEL}), 0)
    return given.union(new[:free], [OTHER_MODEL] if new[free:] else ())


def _by_label(increases: Mapping[str, ModelIncrease], cursor: EngineCursor) -> dict[str, ModelIncrease]:
    by_label: dict[str, ModelIncrease] = {}
    for model, increase in increases.items():
        label = cursor.label(model)
        by_label[label] = _sum(by_label[label], increase) if label in by_label else increase
    return by_label


def _sum(one: ModelIncrease, other: ModelIncrease) -> ModelIncrease:
    cached = [c for c in (one.cached_input_tokens, other.cached_input_tokens) if c is not None]
    outcomes = one.requests.keys() | other.requests.keys()
    return ModelIncrease(
        input_tokens=one.input_tokens + other.input_tokens,
        output_tokens=one.output_tokens + other.output_tokens,
        cached_input_tokens=sum(cached) if cached else None,
        requests={name: one.requests.get(name, 0) + other.requests.get(name, 0) for name in outcomes},
    )
