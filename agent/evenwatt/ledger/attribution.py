"""Whose joules and seconds: engines own the GPUs that their processes use (design section 5).

Shares always add up to 1, so that nothing is lost between the parts and the whole.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from evenwatt.ledger.cursors import EngineCursor
from evenwatt.ledger.tokens import ModelIncrease
from evenwatt.model import DEFAULT_MODEL, UNALLOCATED, GpuProcess, GpuReading, State

__all__ = [
    "SILENT",
    "Activity",
    "Holding",
    "TokenWeights",
    "engine_time_shares",
    "gpu_holdings",
    "gpu_owners",
    "model_shares",
]

Processes = tuple[GpuProcess, ...] | None
"""As in `GpuReading`: None is a list that cannot be read."""

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
        was_active: Requests ran or tokens were counted; None where it was not read.
        weight: Of the tokens counted.
        listener_pid: The process to which GPU processes are traced back.
    """

    was_active: bool | None
    weight: float = 0.0
    listener_pid: int | None = None

    @property
    def is_up(self) -> bool:
        """Whether it was read."""
        return self.was_active is not None


SILENT = Activity(was_active=None)
"""An engine that was not read, or that nobody reads any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """One engine's part in one GPU: what share of its joules and of its time, and in which state."""

    engine: str
    state: State
    joules_share: float
    seconds_share: float


def gpu_owners(
    reading: GpuReading,
    earlier: tuple[str, ...],
    activities: Mapping[str, Activity],
    configured: Mapping[str, tuple[int | str, ...]],
) -> tuple[str, ...]:
    """Return the engines that use a GPU, best evidence first.

    The configuration; else the process list, each process traced back to the engine that listens; else who
    used it before (its costs go on while it is down), unless it can be seen that all processes there are
    others'. Where the process list or the engine's process cannot be seen and there is but one engine, that
    one.
    """
    stated = sorted(
        engine for engine, gpus in configured.items() if reading.uuid in gpus or reading.index in gpus
    )
    if stated:
        return tuple(stated)
    free = {engine: a for engine, a in activities.items() if not configured.get(engine)}
    found = sorted(engine for engine, activity in free.items() if _memory_bytes(reading.processes, activity))
    if found:
        return tuple(found)
    kept = tuple(e for e in earlier if e in free and not _is_gone(reading, free[e]))
    if kept or reading.fault is not None or len(free) != 1:
        return kept
    ((only, activity),) = free.items()
    is_unseen = activity.is_up and activity.listener_pid is None
    return (only,) if is_unseen or reading.processes is None else ()


def gpu_holdings(
    reading: GpuReading | None, owners: tuple[str, ...], activities: Mapping[str, Activity]
) -> tuple[Holding, ...]:
    """Return how a GPU's joules and time are shared by its owners, or go to `UNALLOCATED`.

    Args:
        reading: What it said; None where it was not read.
        owners: As `gpu_owners` gives them.
        activities: By engine; one that is not in it was not read either.
    """
    processes = None if reading is None else reading.processes
    utilization_ratio = 0.0 if reading is None else reading.utilization_ratio or 0.0
    unheard = _state_unheard(processes, utilization_ratio)
    if not owners:
        return (Holding(engine=UNALLOCATED, state=unheard, joules_share=1.0, seconds_share=1.0),)
    of = {owner: activities.get(owner, SILENT) for owner in owners}
    # What a GPU tells of an engine that was not heard, it tells of its only one.
    silent = unheard if len(owners) == 1 else State.IDLE_EMPTY
    states = {o: _state(processes, of[o]) if of[o].is_up else silent for o in owners}
    held = _shares({owner: _memory_bytes(processes, of[owner]) for owner in owners})
    active = {owner: of[owner].weight for owner in owners if states[owner] is State.ACTIVE}
    joules = dict.fromkeys(owners, 0.0) | _shares(active) if active else held
    return tuple(
        Holding(engine=owner, state=states[owner], joules_share=joules[owner], seconds_share=held[owner])
        for owner in owners
    )


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

    By the tokens of this tick; while idle, by all tokens since the engine started; with none, evenly.
    """
    moved = {m: weights.weight(i.input_tokens, i.output_tokens) for m, i in increases.items()}
    if any(moved.values()):
        return _shares({model: weight for model, weight in moved.items() if weight})
    ever: dict[str, float] = {}
    if cursor is not None:
        for name, state in cursor.models.items():
            weight = weights.weight(state.input_tokens, state.output_tokens)
            ever[cursor.label(name)] = ever.get(cursor.label(name), 0.0) + weight
    counted = {model: weight for model, weight in ever.items() if weight}
    return _shares(counted or ever or {DEFAULT_MODEL: 0.0})


def _shares(weights: Mapping[str, float]) -> dict[str, float]:
    """Return each one's part of the sum; where all weigh nothing, even parts."""
    total = sum(weights.values())
    if total <= 0:
        return dict.fromkeys(weights, 1 / len(weights))
    return {name: weight / total for name, weight in weights.items()}


def _is_gone(reading: GpuReading, activity: Activity) -> bool:
    """Return whether all processes on a GPU are others', from an engine whose own would be recognised."""
    return bool(reading.processes) and activity.listener_pid is not None


def _memory_bytes(processes: Processes, activity: Activity) -> int:
    """Return the memory that an engine's processes hold; at least 1 for each that is there."""
    pid = activity.listener_pid
    return sum(
        max(process.memory_bytes or 1, 1)
        for process in processes or ()
        if pid is not None and (pid == process.pid or pid in process.ancestors)
    )


def _state(processes: Processes, activity: Activity) -> State:
    if activity.was_active:
        return State.ACTIVE
    # An empty list proves nothing where processes cannot be told apart anyway (a container's view).
    is_empty = processes == () and activity.listener_pid is not None
    return State.IDLE_EMPTY if is_empty else State.IDLE_LOADED


def _state_unheard(processes: Processes, utilization_ratio: float) -> State:
    """Return what a GPU alone tells: whether it was at work, and whether anything is on it."""
    is_busy = utilization_ratio >= _BUSY_UTILIZATION_RATIO
    if is_busy and processes != ():
        return State.ACTIVE
    return State.IDLE_LOADED if processes else State.IDLE_EMPTY


def _state_without_gpu(activity: Activity) -> State:
    if activity.was_active:
        return State.ACTIVE
    return State.IDLE_LOADED if activity.is_up else State.IDLE_EMPTY
