"""Whose joules and seconds: engines own the GPUs that their processes use (design section 5).

Shares always add up to 1, so that nothing is lost between the parts and the whole.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from evenwatt.ledger.cursors import CounterState
from evenwatt.ledger.tokens import ModelIncrease
from evenwatt.model import DEFAULT_MODEL, UNALLOCATED, GpuReading, State

__all__ = [
    "Activity",
    "Holding",
    "TokenWeights",
    "engine_time_shares",
    "gpu_holdings",
    "gpu_owners",
    "model_shares",
]

_BUSY_UTILIZATION_RATIO = 0.05
"""With no word from an engine, a GPU that ran kernels for this share of the time was at work."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenWeights:
    """What a token weighs when models or engines share one machine: an allocation, labelled as such."""

    input_weight: float = 0.2
    output_weight: float = 1.0

    def weight(self, input_tokens: int, output_tokens: int) -> float:
        """Return the weight of computed input and output; reused input costs next to nothing."""
        return self.input_weight * input_tokens + self.output_weight * output_tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class Activity:
    """What an engine did in this tick, as far as it is known.

    Attributes:
        is_up: It was read.
        was_active: Requests ran or tokens were counted; None where it was not read.
        weight: Of the tokens counted.
        listener_pid: The process to which GPU processes are traced back.
    """

    is_up: bool
    was_active: bool | None
    weight: float = 0.0
    listener_pid: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """One engine's part in one GPU: what share of its joules and of its time, and in which state."""

    engine: str
    state: State
    joules_share: float
    seconds_share: float


@dataclass(slots=True)
class _Weights:
    by_engine: dict[str, float] = field(default_factory=dict)

    def shares(self, engines: Sequence[str]) -> dict[str, float]:
        total = sum(self.by_engine.get(engine, 0.0) for engine in engines)
        if total <= 0:
            return dict.fromkeys(engines, 1 / len(engines))
        return {engine: self.by_engine.get(engine, 0.0) / total for engine in engines}


def gpu_owners(
    reading: GpuReading,
    earlier: tuple[str, ...],
    activities: Mapping[str, Activity],
    configured: Mapping[str, tuple[int | str, ...]],
) -> tuple[str, ...]:
    """Return the engines that use a GPU, best evidence first.

    The configuration; else the process list, each process traced back to the engine that listens; else, with
    no process to be seen, who used it before (its costs go on while it is down). Where the process list or
    the engine's process cannot be seen and there is but one engine, that one.
    """
    stated = sorted(
        engine for engine, gpus in configured.items() if reading.uuid in gpus or reading.index in gpus
    )
    if stated:
        return tuple(stated)
    free = {engine: a for engine, a in activities.items() if not configured.get(engine)}
    found = sorted(
        engine for engine, activity in free.items() if _process_memory(reading, activity.listener_pid)
    )
    if found:
        return tuple(found)
    if earlier or reading.fault is not None:
        return tuple(engine for engine in earlier if engine in activities)
    unseen = [engine for engine, activity in free.items() if activity.is_up and activity.listener_pid is None]
    blind = reading.processes is None
    only = list(free)
    if len(only) == 1 and (unseen or blind):
        return (only[0],)
    return ()


def gpu_holdings(
    reading: GpuReading, owners: tuple[str, ...], activities: Mapping[str, Activity]
) -> tuple[Holding, ...]:
    """Return how a GPU's joules and time are shared by its owners, or go to `UNALLOCATED`."""
    if not owners:
        return (
            Holding(
                engine=UNALLOCATED, state=_state_without_engine(reading), joules_share=1.0, seconds_share=1.0
            ),
        )
    states = {owner: _state(reading, activities.get(owner), alone=len(owners) == 1) for owner in owners}
    held = _Weights(
        {o: float(_process_memory(reading, _listener(activities, o)) or 0) for o in owners}
    ).shares(owners)
    active = [owner for owner in owners if states[owner] is State.ACTIVE]
    joules = held
    if active:
        by_tokens = {owner: activities[owner].weight for owner in active if owner in activities}
        joules = dict.fromkeys(owners, 0.0) | _Weights(by_tokens).shares(active)
    return tuple(
        Holding(engine=owner, state=states[owner], joules_share=joules[owner], seconds_share=held[owner])
        for owner in owners
    )


def engine_time_shares(activities: Mapping[str, Activity]) -> dict[tuple[str, State], float]:
    """Return how the time of a machine without GPUs is shared by its engines: by tokens, else evenly."""
    if not activities:
        return {(UNALLOCATED, State.IDLE_EMPTY): 1.0}
    shares = _Weights({engine: a.weight for engine, a in activities.items()}).shares(tuple(activities))
    return {(engine, _state_without_gpu(activities[engine])): share for engine, share in shares.items()}


def model_shares(
    increases: Mapping[str, ModelIncrease], counters: Mapping[str, CounterState], weights: TokenWeights
) -> dict[str, float]:
    """Return how an engine's joules and time are shared by its models.

    By the tokens of this tick; while idle, by all tokens since the engine started; with none, evenly.
    """
    moved = {m: weights.weight(i.input_tokens, i.output_tokens) for m, i in increases.items()}
    ever = {m: weights.weight(c.input_tokens, c.output_tokens) for m, c in counters.items()}
    for candidate in (moved, ever):
        total = sum(candidate.values())
        if total > 0:
            return {model: weight / total for model, weight in candidate.items() if weight}
    names: Iterable[str] = counters or (DEFAULT_MODEL,)
    names = tuple(names)
    return dict.fromkeys(names, 1 / len(names))


def _listener(activities: Mapping[str, Activity], engine: str) -> int | None:
    activity = activities.get(engine)
    return None if activity is None else activity.listener_pid


def _process_memory(reading: GpuReading, listener_pid: int | None) -> int:
    """Return the memory that an engine's processes hold; at least 1 for each that is there."""
    if listener_pid is None:
        return 0
    return sum(
        max(process.memory_bytes or 1, 1)
        for process in reading.processes or ()
        if listener_pid == process.pid or listener_pid in process.ancestors
    )


def _state(reading: GpuReading, activity: Activity | None, *, alone: bool) -> State:
    if activity is not None and activity.was_active is not None:
        return State.ACTIVE if activity.was_active else State.IDLE_LOADED
    if activity is not None and activity.is_up:
        return State.IDLE_LOADED
    # The engine said nothing: a GPU at work, or one with a process on it, tells what it can.
    return _state_without_engine(reading) if alone else State.IDLE_EMPTY


def _state_without_gpu(activity: Activity) -> State:
    if activity.was_active:
        return State.ACTIVE
    return State.IDLE_LOADED if activity.is_up else State.IDLE_EMPTY


def _state_without_engine(reading: GpuReading) -> State:
    if reading.processes:
        busy = (reading.utilization_ratio or 0.0) >= _BUSY_UTILIZATION_RATIO
        return State.ACTIVE if busy else State.IDLE_LOADED
    if reading.processes is None and (reading.utilization_ratio or 0.0) >= _BUSY_UTILIZATION_RATIO:
        return State.ACTIVE
    return State.IDLE_EMPTY
