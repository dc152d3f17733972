"""Whose joules and seconds: how GPUs, engines and models are shared (design section 5).

Shares always add up to 1, so that nothing is lost between the parts and the whole.
"""

from collections.abc import Mapping, Sequence

from msgspec import Struct

from evenwatt.ledger.cursors import CounterState, EngineCursor
from evenwatt.ledger.tokens import ModelIncrease
from evenwatt.ledger.tracing import SILENT, Activity, GpuPart, Processes, Tracer
from evenwatt.model import DEFAULT_MODEL, UNALLOCATED, GpuProcess, State

__all__ = [
    "Holding",
    "TokenWeights",
    "engine_time_shares",
    "model_shares",
    "part_holdings",
    "unread_holdings",
]

_BUSY_UTILIZATION_RATIO = 0.05
"""A GPU that ran kernels for this share of the time was at work, and so was a process on it.

Below, the driver's whole percents are too coarse to share anything by.
"""


class TokenWeights(Struct, frozen=True, kw_only=True):
    """What a token weighs when models or engines share one machine: an allocation, labelled as such."""

    input_weight: float = 0.2
    output_weight: float = 1.0

    def weight(self, input_tokens: int, output_tokens: int) -> float:
        """Return the weight of computed input and output; reused input costs next to nothing."""
        return self.input_weight * input_tokens + self.output_weight * output_tokens


class Holding(Struct, frozen=True, kw_only=True):
    """One engine's part in one GPU: what share of its joules and of its time, and in which state.

    Attributes:
        is_estimated: The shares are those of MIG's compute slices and no measurement.
    """

    engine: str
    state: State
    joules_share: float
    seconds_share: float
    is_estimated: bool = False


class _Use(Struct, frozen=True, kw_only=True):
    """What one engine's processes, or everybody else's, have of a GPU.

    Attributes:
        memory_bytes: None where the driver does not tell it of one of them.
        sm_utilization_ratio: None where the driver does not tell it of any of them.
    """

    memory_bytes: int | None
    sm_utilization_ratio: float | None


def part_holdings(
    part: GpuPart, owners: tuple[str, ...], activities: Mapping[str, Activity], tracer: Tracer
) -> tuple[Holding, ...]:
    """Return how the joules and the time of a GPU, or of an instance, are shared.

    While somebody is at work on it, joules go by SM activity; where that is not told, by the tokens computed;
    while nobody is, by memory, as time does. What other programs hold and use beside its owners is
    `UNALLOCATED`, as is a part without an owner.

    Args:
        part: What was read of it.
        owners: As `part_owners` gives them.
        activities: By engine; one that is not in it was not read either.
        tracer: Of the same activities.
    """
    if not owners:
        state = _state_unheard(part.processes, part.utilization_ratio)
        return (_whole(part, UNALLOCATED, state),)
    traced = tracer.by_engine(part.processes)
    uses = {owner: _use(traced.get(owner, ())) for owner in owners}
    # Where no process is traced to an owner, those there may well be theirs.
    is_traced = not traced.keys().isdisjoint(owners)
    others = [p for engine, processes in traced.items() if engine not in uses for p in processes]
    states = {
        owner: _state(
            part,
            activity := activities.get(owner, SILENT),
            uses[owner],
            is_there=_is_there(part.processes, activity, owner in traced, is_traced=is_traced),
            is_only=len(owners) == 1,
        )
        for owner in owners
    }
    if is_traced and others:
        uses[UNALLOCATED] = _use(others)
        states[UNALLOCATED] = State.ACTIVE if _is_busy(uses[UNALLOCATED]) else State.IDLE_LOADED
    held = _shares(_memory(uses))
    weights = {o: activities[o].weight for o in owners if states[o] is State.ACTIVE and o in activities}
    joules = _joules_shares(uses, states, weights, held)
    return tuple(
        Holding(
            engine=name,
            state=states[name],
            joules_share=joules[name] * part.share,
            seconds_share=held[name] * part.share,
            is_estimated=part.is_estimated,
        )
        for name in uses
    )


def unread_holdings(owners: tuple[str, ...], activities: Mapping[str, Activity]) -> tuple[Holding, ...]:
    """Return how the time of a GPU that was not read is shared by its owners."""
    part = GpuPart(uuid=None, gpu=("", -1), processes=None)
    return part_holdings(part, owners, activities, Tracer({}))


def engine_time_shares(activities: Mapping[str, Activity]) -> dict[tuple[str, State], float]:
    """Return how the time of a machine without GPUs is shared by its engines: by tokens, else evenly."""
    if not activities:
        return {(UNALLOCATED, State.IDLE_EMPTY): 1.0}
    shares = _shares({engine: activity.weight for engine, activity in activities.items()})
    return {(engine, _state_without_gpu(activities[engine])): share for engine, share in shares.items()}


def model_shares(
    increases: Mapping[str, ModelIncrease], cursor: EngineCursor | None, weights: TokenWeights
) -> dict[str, float]:
    """Return how an engine's joules and time are shared by its models.

    By the tokens of this tick; while idle, by all tokens since the engine started; with none, evenly. A token
    weighs what the engine's own counters say of its time in prefill and decode since it started, else what
    the settings say.
    """
    by_label: dict[str, list[CounterState]] = {}
    if cursor is not None:
        for name, state in cursor.models.items():
            by_label.setdefault(cursor.label(name), []).append(state)
    timed = _timed_weights([state for states in by_label.values() for state in states])
    own = {label: _timed_weights(states) or timed or weights for label, states in by_label.items()}
    moved = {
        m: own.get(m, timed or weights).weight(i.input_tokens, i.output_tokens) for m, i in increases.items()
    }
    if any(moved.values()):
        return _shares({model: weight for model, weight in moved.items() if weight})
    ever = {
        label: sum(own[label].weight(state.input_tokens, state.output_tokens) for state in states)
        for label, states in by_label.items()
    }
    counted = {model: weight for model, weight in ever.items() if weight}
    return _shares(counted or ever or {DEFAULT_MODEL: 0.0})


def _timed_weights(states: Sequence[CounterState]) -> TokenWeights | None:
    """Return the seconds that a computed input and an output token took, on average; None where not told."""
    told = [s for s in states if s.prefill_seconds is not None and s.decode_seconds is not None]
    read, wrote = sum(s.input_tokens for s in told), sum(s.output_tokens for s in told)
    prefill_seconds = sum(s.prefill_seconds or 0.0 for s in told)
    decode_seconds = sum(s.decode_seconds or 0.0 for s in told)
    # Engines count these seconds when a request ends: until then tokens without seconds are no free tokens.
    is_told = (prefill_seconds > 0 or not read) and (decode_seconds > 0 or not wrote)
    if not is_told or not (read or wrote):
        return None
    return TokenWeights(
        input_weight=prefill_seconds / read if read else 0.0,
        output_weight=decode_seconds / wrote if wrote else 0.0,
    )


def _whole(part: GpuPart, engine: str, state: State) -> Holding:
    return Holding(
        engine=engine,
        state=state,
        joules_share=part.share,
        seconds_share=part.share,
        is_estimated=part.is_estimated,
    )


def _joules_shares(
    uses: Mapping[str, _Use],
    states: Mapping[str, State],
    weights: Mapping[str, float],
    held: Mapping[str, float],
) -> Mapping[str, float]:
    if State.ACTIVE not in states.values():
        return held
    activity = {name: use.sm_utilization_ratio or 0.0 for name, use in uses.items()}
    if sum(activity.values()) >= _BUSY_UTILIZATION_RATIO:
        return _shares(activity)
    return dict.fromkeys(uses, 0.0) | _shares(weights) if weights else held


def _shares(weights: Mapping[str, float]) -> dict[str, float]:
    """Return each one's part of the sum; where all weigh nothing, even parts."""
    total = sum(weights.values())
    if total <= 0:
        return dict.fromkeys(weights, 1 / len(weights))
    return {name: weight / total for name, weight in weights.items()}


def _use(processes: Sequence[GpuProcess]) -> _Use:
    told = [p.sm_utilization_ratio for p in processes if p.sm_utilization_ratio is not None]
    held = [p.memory_bytes for p in processes if p.memory_bytes is not None]
    return _Use(
        memory_bytes=sum(held) if len(held) == len(processes) else None,
        sm_utilization_ratio=sum(told) if told else None,
    )


def _memory(uses: Mapping[str, _Use]) -> dict[str, float]:
    """Return the memory by which time is shared; where it is not told of everybody, alike for all there."""
    if any(use.memory_bytes is None for use in uses.values()):
        return {name: float(use.memory_bytes != 0) for name, use in uses.items()}
    return {name: float(use.memory_bytes or 0) for name, use in uses.items()}


def _is_busy(use: _Use) -> bool:
    return (use.sm_utilization_ratio or 0.0) >= _BUSY_UTILIZATION_RATIO


def _is_there(processes: Processes, activity: Activity, is_seen: bool, *, is_traced: bool) -> bool | None:
    """Return whether an owner has a process on a GPU; None where that cannot be told.

    That none is seen proves something where its own would be known for its own, and the list is not of
    another namespace: it is empty, or others' were traced.
    """
    if is_seen:
        return True
    is_proven = activity.listener_pid is not None and (processes == () or is_traced)
    return False if is_proven else None


def _state(part: GpuPart, activity: Activity, use: _Use, *, is_there: bool | None, is_only: bool) -> State:
    """Return what an owner's part of the joules is spent on.

    Args:
        part: What was read of the GPU or instance.
        activity: Of the owner.
        use: Of its processes there.
        is_there: Whether it has some; None: that cannot be told.
        is_only: Whether it is the only owner: what a GPU tells of a silent engine, it tells of it.
    """
    if activity.was_active:
        return State.ACTIVE
    if activity.is_up:
        return State.IDLE_EMPTY if activity.is_unloaded or is_there is False else State.IDLE_LOADED
    if use.sm_utilization_ratio is not None:
        return State.ACTIVE if _is_busy(use) else State.IDLE_LOADED
    if is_only:
        return _state_unheard(part.processes, part.utilization_ratio)
    return State.IDLE_LOADED if is_there else State.IDLE_EMPTY


def _state_unheard(processes: Processes, utilization_ratio: float | None) -> State:
    """Return what a GPU alone tells: whether it was at work, and whether anything is on it."""
    is_busy = (utilization_ratio or 0.0) >= _BUSY_UTILIZATION_RATIO
    if is_busy and processes != ():
        return State.ACTIVE
    return State.IDLE_LOADED if processes else State.IDLE_EMPTY


def _state_without_gpu(activity: Activity) -> State:
    if activity.was_active:
        return State.ACTIVE
    return State.IDLE_LOADED if activity.is_up and not activity.is_unloaded else State.IDLE_EMPTY
