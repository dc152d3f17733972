"""What the ledger books: additive rows of physics, one for each minute and owner.

Absent is None and stays None when rows are added: None + None is None, None + 3 is 3.
"""

from collections.abc import Mapping
from typing import Final, TypeVar

from msgspec import Struct, field
from msgspec.structs import replace

from evenwatt.model import Event, State

__all__ = [
    "LARGER_WINS",
    "ClientKey",
    "ClientUse",
    "EngineKey",
    "EngineUse",
    "GpuKey",
    "GpuUse",
    "HostUse",
    "MeterKey",
    "MeterUse",
    "Posting",
    "SourceTotals",
    "Usage",
    "UsageKey",
    "add_rows",
    "merged_postings",
]

UsageKey = tuple[int, str, str]
"""(minute, engine, model)"""

ClientKey = tuple[int, str, str, str]
"""(minute, engine, model, client)"""

GpuKey = tuple[int, str]
"""(minute, GPU UUID)"""

EngineKey = tuple[int, str]
"""(minute, engine)"""

MeterKey = tuple[int, str]
"""(minute, source of host power)"""


class Usage(Struct, kw_only=True):
    """What one model of one engine used in one minute.

    Seconds are shares of the machine's time: over all engines, models and `unallocated` they add up to it.

    Attributes:
        down_seconds: The part of `idle_empty_seconds` in which the machine was off, as far as is known.
        estimated: 1 where a value was spread over a gap in which nobody looked.
        restarted: 1 where the engine restarted, so that its last tokens before that are not known.
        prefill_seconds: Time that requests spent in prefill, added up over requests (see `ModelCounters`);
            no share of the machine's time.
        decode_seconds: Likewise in decode.
    """

    input_tokens: int | None = None
    cached_input_tokens: int | None = None
    output_tokens: int | None = None
    requests_completed: int | None = None
    requests_aborted: int | None = None
    requests_failed: int | None = None
    active_joules: float | None = None
    idle_loaded_joules: float | None = None
    idle_empty_joules: float | None = None
    active_seconds: float | None = None
    idle_loaded_seconds: float | None = None
    idle_empty_seconds: float | None = None
    down_seconds: float | None = None
    estimated: int = 0
    restarted: int = 0
    prefill_seconds: float | None = None
    decode_seconds: float | None = None

    def add_joules(self, state: State, joules: float) -> None:
        """Add energy that was spent in a state."""
        name = f"{state.value}_joules"
        setattr(self, name, (getattr(self, name) or 0.0) + joules)

    def add_seconds(self, state: State, seconds: float) -> None:
        """Add a share of the machine's time."""
        name = f"{state.value}_seconds"
        setattr(self, name, (getattr(self, name) or 0.0) + seconds)


class ClientUse(Struct, kw_only=True):
    """What one client had of one model in one minute.

    Attributes:
        estimated: 1 where a value was spread over a gap in which nobody looked.
    """

    input_tokens: int | None = None
    cached_input_tokens: int | None = None
    output_tokens: int | None = None
    requests_completed: int | None = None
    requests_aborted: int | None = None
    requests_failed: int | None = None
    estimated: int = 0

    @property
    def requests(self) -> int | None:
        """All that ended, however they did; None where no count is known."""
        counts = (self.requests_completed, self.requests_aborted, self.requests_failed)
        known = [count for count in counts if count is not None]
        return sum(known) if known else None


class GpuUse(Struct, kw_only=True):
    """What one GPU drew in one minute.

    Attributes:
        measured_seconds: For how long its energy is known; less than the minute where nobody looked.
        utilization_seconds: NVML utilization x time, shown beside the load and never used as it.
    """

    energy_joules: float | None = None
    measured_seconds: float | None = None
    utilization_seconds: float | None = None
    estimated: int = 0


class EngineUse(Struct, kw_only=True):
    """How many requests one engine had in one minute, from its gauges at each reading.

    Attributes:
        observed_seconds: Time between two readings that both told how many requests waited.
        waiting_seconds: The part of it in which at least one request waited.
        running_request_seconds: Requests running x time.
        waiting_request_seconds: Requests waiting x time.
    """

    observed_seconds: float | None = None
    waiting_seconds: float | None = None
    running_request_seconds: float | None = None
    waiting_request_seconds: float | None = None


class MeterUse(Struct, kw_only=True):
    """What the machine drew beside its GPUs in one minute, as one source of host power tells.

    Attributes:
        measured_seconds: For how long it is known.
    """

    energy_joules: float | None = None
    measured_seconds: float | None = None
    estimated: int = 0


class HostUse(Struct, kw_only=True):
    """What passed for the machine as a whole in one minute.

    Attributes:
        seconds: Time accounted for; 60 in a whole minute.
        down_seconds: The part of it in which the machine was off, as far as is known.
        estimated_seconds: The part of it in which the agent was not looking.
    """

    seconds: float | None = None
    down_seconds: float | None = None
    estimated_seconds: float | None = None


class SourceTotals(Struct, kw_only=True):
    """Flaws of one source over the life of the history."""

    restarts: int = 0
    gap_seconds: float = 0.0


Row = TypeVar("Row", Usage, ClientUse, GpuUse, EngineUse, MeterUse, HostUse, SourceTotals)
Key = TypeVar("Key")

LARGER_WINS: Final = frozenset({"estimated", "restarted"})
"""Flags: of several rows the larger one stands. All other columns add up."""

_COLUMNS: Mapping[type, tuple[str, ...]] = {
    kind: kind.__struct_fields__
    for kind in (Usage, ClientUse, GpuUse, EngineUse, MeterUse, HostUse, SourceTotals)
}


def add_rows(into: Row, other: Row) -> None:
    """Add one row to another in place, column by column."""
    for name in _COLUMNS[type(into)]:
        mine, theirs = getattr(into, name), getattr(other, name)
        if theirs is None:
            continue
        if name in LARGER_WINS:
            setattr(into, name, max(mine, theirs))
        else:
            setattr(into, name, theirs if mine is None else mine + theirs)


class Posting(Struct, frozen=True, kw_only=True):
    """All that one tick adds to the history, to be written in one transaction.

    Attributes:
        cursors: By source key, the JSON-ready state from which the next increase is counted.
    """

    usage: Mapping[UsageKey, Usage] = field(default_factory=dict)
    clients: Mapping[ClientKey, ClientUse] = field(default_factory=dict)
    gpus: Mapping[GpuKey, GpuUse] = field(default_factory=dict)
    meters: Mapping[MeterKey, MeterUse] = field(default_factory=dict)
    hosts: Mapping[int, HostUse] = field(default_factory=dict)
    engines: Mapping[EngineKey, EngineUse] = field(default_factory=dict)
    sources: Mapping[str, SourceTotals] = field(default_factory=dict)
    cursors: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    events: tuple[Event, ...] = ()


def merged_postings(first: Posting, second: Posting) -> Posting:
    """Return both postings as one, leaving them alone: what a failed write left over, and what came since."""
    return Posting(
        usage=_merged(first.usage, second.usage),
        clients=_merged(first.clients, second.clients),
        gpus=_merged(first.gpus, second.gpus),
        meters=_merged(first.meters, second.meters),
        hosts=_merged(first.hosts, second.hosts),
        engines=_merged(first.engines, second.engines),
        sources=_merged(first.sources, second.sources),
        cursors={**first.cursors, **second.cursors},
        events=first.events + second.events,
    )


def _merged(first: Mapping[Key, Row], second: Mapping[Key, Row]) -> dict[Key, Row]:
    rows = {**first, **second}
    for key in first.keys() & second.keys():
        rows[key] = replace(first[key])
        add_rows(rows[key], second[key])
    return rows
