"""Which engine a process on a GPU computes for, and which engines a GPU belongs to (design section 5)."""

from collections import Counter
from collections.abc import Mapping, Sequence

from msgspec import Struct

from evenwatt.model import GpuProcess, GpuReading, VisibleGpus

__all__ = [
    "SILENT",
    "Activity",
    "GpuPart",
    "Tracer",
    "environment_gpus",
    "gpu_parts",
    "part_owners",
]

Processes = tuple[GpuProcess, ...] | None
"""As in `GpuReading`: None is a list that cannot be read."""


class Activity(Struct, frozen=True, kw_only=True):
    """What an engine did in this tick, as far as it is known, and by what its processes are known.

    Attributes:
        was_active: Requests ran or tokens were counted; None where it was not read.
        weight: Of the tokens counted.
        is_unloaded: It says that no model of it is in memory.
        listener_pid: The process to which GPU processes are traced back; of an engine that is silent now, the
            last one known.
        body: The container or unit of that process.
        environment_gpus: UUIDs of the GPUs and instances that its environment leaves it; empty where it does
            not say.
    """

    was_active: bool | None
    weight: float = 0.0
    is_unloaded: bool = False
    listener_pid: int | None = None
    body: str | None = None
    environment_gpus: frozenset[str] = frozenset()

    @property
    def is_up(self) -> bool:
        """Whether it was read."""
        return self.was_active is not None


SILENT = Activity(was_active=None)
"""An engine that was not read, or that nobody reads any more."""


class GpuPart(Struct, frozen=True, kw_only=True):
    """A GPU, or one instance of a GPU in MIG mode, or what of it no instance has.

    Attributes:
        uuid: Of the GPU or the instance; None for what no instance has.
        gpu: The card's own UUID and its index, by which a configuration may name it.
        share: Of the card; all parts add up to 1.
        utilization_ratio: None where the driver does not tell it of this part.
        is_estimated: The share is one of compute slices: the card has one power sensor.
    """

    uuid: str | None
    gpu: tuple[str, int]
    processes: Processes
    share: float = 1.0
    utilization_ratio: float | None = None
    has_fault: bool = False
    is_estimated: bool = False

    @property
    def is_instance(self) -> bool:
        """Whether it is an instance of a card in MIG mode."""
        return self.uuid is not None and self.uuid != self.gpu[0]


class Tracer:
    """Says of each process on a GPU for which engine it computes."""

    def __init__(self, activities: Mapping[str, Activity]) -> None:
        """Index the engines of one tick."""
        pids = {name: a.listener_pid for name, a in activities.items() if a.listener_pid is not None}
        self._engine_at = {pid: name for name, pid in pids.items()}
        in_body = Counter(a.body for a in activities.values() if a.body is not None)
        self._engine_in = {
            a.body: name for name, a in activities.items() if a.body is not None and in_body[a.body] == 1
        }

    def engine_of(self, process: GpuProcess) -> str | None:
        """Return the engine whose process it is, or is below; else the only one in its container or unit."""
        for pid in (process.pid, *process.ancestors):
            if pid in self._engine_at:
                return self._engine_at[pid]
        return None if process.body is None else self._engine_in.get(process.body)

    def by_engine(self, processes: Processes) -> dict[str | None, list[GpuProcess]]:
        """Return processes by engine; under None those that are of none."""
        found: dict[str | None, list[GpuProcess]] = {}
        for process in processes or ():
            found.setdefault(self.engine_of(process), []).append(process)
        return found


def gpu_parts(reading: GpuReading) -> tuple[GpuPart, ...]:
    """Return what a GPU is shared as: itself, or with MIG its instances and what is left beside them."""
    gpu = (reading.uuid, reading.index)
    if reading.instances is None:
        return (
            GpuPart(
                uuid=reading.uuid,
                gpu=gpu,
                processes=reading.processes,
                utilization_ratio=reading.utilization_ratio,
                has_fault=reading.fault is not None,
            ),
        )
    used = sum(instance.compute_slices for instance in reading.instances)
    slices = max(used, reading.compute_slices or 0)
    parts = [
        GpuPart(
            uuid=instance.uuid,
            gpu=gpu,
            processes=instance.processes,
            share=instance.compute_slices / slices,
            is_estimated=True,
        )
        for instance in reading.instances
        if instance.compute_slices
    ]
    if used < slices or not slices:
        rest = (slices - used) / slices if slices else 1.0
        parts.append(GpuPart(uuid=None, gpu=gpu, processes=(), share=rest, is_estimated=True))
    return tuple(parts)


def part_owners(
    part: GpuPart,
    earlier: tuple[str, ...],
    activities: Mapping[str, Activity],
    configured: Mapping[str, tuple[int | str, ...]],
    tracer: Tracer,
) -> tuple[str, ...]:
    """Return the engines that use a GPU or an instance of one, best evidence first.

    The configuration and the process list, each process traced back to the engine that it computes for; else,
    where processes cannot be traced at all, the environment that engines were started with; else who used it
    before (its costs go on while it is down), unless it can be seen that all processes there are others'.
    Where neither list nor engine's process can be seen and there is but one engine, that one. An engine whose
    GPUs are configured is found on no other.
    """
    of_instance = {name for name, gpus in configured.items() if part.is_instance and part.uuid in gpus}
    stated = of_instance or {name for name, gpus in configured.items() if not {*part.gpu}.isdisjoint(gpus)}
    if part.uuid is None:
        return tuple(sorted(stated))
    free = {engine: a for engine, a in activities.items() if engine not in configured}
    traced = tracer.by_engine(part.processes)
    found = stated | (free.keys() & traced.keys())
    if found:
        return tuple(sorted(found))
    if not part.has_fault and not any(process.ancestors for process in part.processes or ()):
        told = sorted(engine for engine, activity in free.items() if part.uuid in activity.environment_gpus)
        if told:
            return tuple(told)
    kept = tuple(e for e in earlier if e in free and not _is_gone(part.processes, free[e]))
    if kept or part.has_fault or len(free) != 1:
        return kept
    ((only, activity),) = free.items()
    if activity.environment_gpus:
        return ()
    is_unseen = activity.is_up and activity.listener_pid is None
    return (only,) if is_unseen or part.processes is None else ()


def environment_gpus(visible: VisibleGpus | None, gpus: Sequence[GpuReading]) -> frozenset[str]:
    """Return the UUIDs of the GPUs and MIG instances that an environment leaves an engine.

    Empty where it does not say. CUDA counts among what the container was given, the fastest first unless it
    is told otherwise, the driver by bus: where cards differ, CUDA's numbers are not taken for the driver's.
    """
    if visible is None:
        return frozenset()
    cards = sorted(gpus, key=lambda gpu: gpu.index)
    given = [card.uuid for card in cards]
    if visible.container is not None and visible.container != ("all",):
        given = _chosen(visible.container, given, cards)
    elif visible.cuda is None:
        return frozenset()
    if visible.cuda is None:
        return frozenset(given)
    is_one_order = visible.is_pci_order or len({card.name for card in cards}) <= 1
    return frozenset(_chosen(visible.cuda, given if is_one_order else [], cards))


def _chosen(words: tuple[str, ...], given: Sequence[str], cards: Sequence[GpuReading]) -> list[str]:
    """Return the UUIDs meant by numbers and (beginnings of) UUIDs, up to the first that means none.

    As CUDA has it: what comes after an invalid entry is not visible.
    """
    known = [uuid for card in cards for uuid in (card.uuid, *(i.uuid for i in card.instances or ()))]
    chosen = []
    for word in words:
        if word.isdecimal():
            matching = [given[int(word)]] if int(word) < len(given) else []
        else:
            matching = [uuid for uuid in known if word.startswith(("GPU-", "MIG-")) and uuid.startswith(word)]
        if len(matching) != 1:
            break
        chosen += matching
    return chosen


def _is_gone(processes: Processes, activity: Activity) -> bool:
    """Return whether all processes on a GPU are others', from an engine whose own would be recognised."""
    return bool(processes) and activity.is_up and activity.listener_pid is not None
