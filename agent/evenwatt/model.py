"""The frozen values that cross layers: what sources say, what the ledger books, and what views show.

Absent is None: never 0, never NaN. Units are in the names. Nothing here computes.

Readings can be written to a file and read again (see `readings.recording`).
"""

from collections.abc import Mapping
from enum import StrEnum

from msgspec import Struct, field

__all__ = [
    "DEFAULT_MODEL",
    "OTHER_CLIENT",
    "OTHER_MODEL",
    "UNALLOCATED",
    "Assumption",
    "ClientCounters",
    "Coverage",
    "EnergyCounter",
    "EnginePart",
    "EngineReading",
    "Epoch",
    "Event",
    "GpuInstance",
    "GpuProcess",
    "GpuReading",
    "GpusReading",
    "HostReading",
    "ModelCounters",
    "Moment",
    "Note",
    "PowerSample",
    "Reading",
    "SourceHealth",
    "State",
    "VisibleGpus",
]

UNALLOCATED = "unallocated"
"""The engine label of what no engine used: idle GPUs without an engine, other programs' share."""

DEFAULT_MODEL = ""
"""The model label where no model is known: an engine that never answered, and `UNALLOCATED`."""

OTHER_MODEL = "other"
"""The model label that models beyond the bound of one engine share."""


OTHER_CLIENT = "other"
"""The client label of everybody whom no rule names, and of clients beyond the bound."""


class _Recorded(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a recording has: what is not known is left out of it, and a field too many is refused."""


class Moment(_Recorded, frozen=True, kw_only=True):
    """One moment on both clocks: UTC says where in the calendar, the boot clock says how long.

    Attributes:
        utc_seconds: Seconds since 1970-01-01 UTC; may be stepped.
        boot_seconds: CLOCK_BOOTTIME; never stepped, comparable only within one boot.
        boot_id: The kernel's identity of the boot.
    """

    utc_seconds: float
    boot_seconds: float
    boot_id: str


class State(StrEnum):
    """What a joule or a second was spent on."""

    ACTIVE = "active"
    """Requests were running."""
    IDLE_LOADED = "idle_loaded"
    """No request was running; a model sat in memory."""
    IDLE_EMPTY = "idle_empty"
    """Nothing of the engine was in memory."""


class Epoch(_Recorded, frozen=True, kw_only=True):
    """Who counts: the identity of the process, driver or boot behind a cumulative counter.

    Attributes:
        signals: Evidence by name, best first known: `start_time` (the page's process_start_time_seconds),
            `created` (a digest of the page's `_created` series), `header` (llama.cpp's start header), `store`
            (a folder in which the counters outlive their process, and go on under the next one),
            `process` (boot id, PID and start tick of the listening process), `listener` (inode of the
            listening socket where its process cannot be read), `boot`. Empty: nothing is known, and only
            a falling value tells of a restart.
        started_boot_seconds: When the counting began on this boot's clock, where a local source tells;
            counters cannot hold anything older.
    """

    signals: Mapping[str, str] = field(default_factory=dict)
    started_boot_seconds: float | None = None


class PowerSample(_Recorded, frozen=True, kw_only=True):
    """The power that a GPU or the host drew at one moment of the present boot."""

    boot_seconds: float
    power_watts: float


class GpuProcess(_Recorded, frozen=True, kw_only=True):
    """A process with a compute context on a GPU.

    Attributes:
        pid: As the driver reports it (the host's PID namespace).
        ancestors: Parents of the process, nearest first, as far as /proc tells.
        memory_bytes: GPU memory held; None where the driver does not say.
        body: The container or systemd unit that it runs in, as its cgroup says; None where in none.
        sm_utilization_ratio: Mean share of the multiprocessors' time that its kernels took since the previous
            reading; None where the driver does not tell it by process.
    """

    pid: int
    ancestors: tuple[int, ...] = ()
    memory_bytes: int | None = None
    body: str | None = None
    sm_utilization_ratio: float | None = None


class GpuInstance(_Recorded, frozen=True, kw_only=True):
    """A part of a GPU in MIG mode: it computes by itself, and has no power sensor of its own.

    Attributes:
        uuid: Begins with `MIG-`.
        compute_slices: Of those that the card has in all (`GpuReading.compute_slices`).
        processes: None where the list cannot be read.
    """

    uuid: str
    compute_slices: int
    processes: tuple[GpuProcess, ...] | None = None


class GpuReading(_Recorded, frozen=True, kw_only=True):
    """What one GPU said; any value it cannot or did not give is None.

    Attributes:
        uuid: Identity; the index is only a label and may shift.
        moment: When the energy counter was read.
        energy_joules: The driver's cumulative counter; None where this GPU has none or it failed this time.
        has_energy_counter: Whether this GPU is known to have the counter (False: power is integrated).
        power_samples: Power since the previous reading, oldest first.
        utilization_ratio: Mean over the samples of the share of time in which any kernel ran; never load.
        processes: None where the list cannot be read, which is not the same as an empty list. With MIG, those
            of its instances are theirs, and this is None.
        instances: None unless the GPU is in MIG mode.
        compute_slices: How many the whole card has, in MIG mode.
        fault: Why this GPU gave nothing, in words (lost, reset required); then all values are None.
    """

    uuid: str
    index: int
    name: str
    moment: Moment
    has_energy_counter: bool
    energy_joules: float | None = None
    power_samples: tuple[PowerSample, ...] = ()
    power_watts: float | None = None
    power_limit_watts: float | None = None
    utilization_ratio: float | None = None
    memory_used_bytes: int | None = None
    memory_bytes: int | None = None
    temperature_celsius: float | None = None
    processes: tuple[GpuProcess, ...] | None = None
    instances: tuple[GpuInstance, ...] | None = None
    compute_slices: int | None = None
    fault: str | None = None


class GpusReading(_Recorded, frozen=True, kw_only=True):
    """All GPUs of this machine, as one source read them; an unreadable GPU is there with its fault."""

    moment: Moment
    gpus: tuple[GpuReading, ...]
    driver_version: str | None = None


class ModelCounters(_Recorded, frozen=True, kw_only=True):
    """Cumulative counters of one served model since its process began to count.

    Attributes:
        model: The name that the engine serves, as it says it.
        input_tokens: Prompt tokens computed. May dip by a little where an engine's page gives it only as
            a difference of two counters that are not read at one instant.
        cached_input_tokens: Prompt tokens whose KV was reused; None where the engine does not tell, and
            then they are inside `input_tokens`.
        output_tokens: Generated tokens, thinking included.
        requests: Requests by outcome (`completed`, `aborted`, `failed`) as far as the engine counts them.
        prefill_seconds: Time that its requests spent in prefill, added up over requests: those that are
            served side by side count side by side, so it may rise faster than the clock. None where the
            engine does not tell.
        decode_seconds: Likewise in decode.
        step_tokens: In steps of how many the engine tells its tokens: so uncertain is each of these counters,
            and what lies between two readings.
    """

    model: str
    input_tokens: int
    output_tokens: int
    cached_input_tokens: int | None = None
    requests: Mapping[str, int] = field(default_factory=dict)
    prefill_seconds: float | None = None
    decode_seconds: float | None = None
    step_tokens: int = 1


class ClientCounters(_Recorded, frozen=True, kw_only=True):
    """Cumulative counters of one client of one served model, where tokens are known by client."""

    client: str
    counters: ModelCounters


class EnginePart(_Recorded, frozen=True, kw_only=True):
    """One process of an engine that counts on its own, for as long as a model is loaded.

    Attributes:
        name: Tells it from all other parts of this engine, also from those that ended.
        model: What it serves.
        moment: When its page was read.
        epoch: Who counts.
        models: None where its page was not read this time; it lives, and counts on.
        requests_running: At that moment; None where not told.
        has_ended: The process is gone, and this is its last page; told once.
        is_cut_short: It ended at work: what it counted after this page cannot be known.
    """

    name: str
    model: str
    moment: Moment
    epoch: Epoch = field(default_factory=Epoch)
    models: tuple[ModelCounters, ...] | None = None
    requests_running: int | None = None
    has_ended: bool = False
    is_cut_short: bool = False


class VisibleGpus(_Recorded, frozen=True, kw_only=True):
    """Which GPUs an engine was started with, as its environment says; words as they are written there.

    Attributes:
        container: NVIDIA_VISIBLE_DEVICES: what its container was given, in the driver's order.
        cuda: CUDA_VISIBLE_DEVICES: what of that its process may use, in CUDA's own order.
        is_pci_order: Whether CUDA_DEVICE_ORDER makes CUDA's order the driver's.
    """

    container: tuple[str, ...] | None = None
    cuda: tuple[str, ...] | None = None
    is_pci_order: bool = False


class EngineReading(_Recorded, frozen=True, kw_only=True):
    """What one inference engine said.

    Attributes:
        engine: The name of the source, as configured or found.
        kind: `vllm`, `llamacpp`, ...
        listener_pid: The local process that listens on the engine's port, or the launcher above it, where it
            can be found: what computes for the engine is below it.
        body: The container or systemd unit of that process, as its cgroup says; None where in none.
        visible_gpus: What that process was started with; None where its environment does not say.
        models: Empty when the engine is up but publishes no token counters yet.
        clients: The same tokens by client; None where the engine does not tell clients apart.
        parts: All of its processes that count on their own and live, and those that ended since the last
            reading; None: it has no such processes.
        is_gateway: It passes requests on to engines that count the same tokens.
        front_kind: Of the frontends that it works for, which count the same tokens; None: it says of none.
        is_unloaded: It says that no model is in memory: all of them sleep, or none is loaded. False: one is,
            or it does not say.
        requests_running: At the moment of reading; None where not told.
    """

    engine: str
    kind: str
    moment: Moment
    epoch: Epoch
    models: tuple[ModelCounters, ...]
    clients: tuple[ClientCounters, ...] | None = None
    parts: tuple[EnginePart, ...] | None = None
    is_gateway: bool = False
    front_kind: str | None = None
    is_unloaded: bool = False
    requests_running: int | None = None
    requests_waiting: int | None = None
    listener_pid: int | None = None
    body: str | None = None
    visible_gpus: VisibleGpus | None = None

    @property
    def step_tokens(self) -> int:
        """The largest step in which any of its counters is told."""
        return max((model.step_tokens for model in self.all_models), default=1)

    @property
    def all_models(self) -> tuple[ModelCounters, ...]:
        """The counters of its own page and of all its processes; one name may be there more than once."""
        return (*self.models, *(counters for part in self.parts or () for counters in part.models or ()))


class Coverage(StrEnum):
    """What a source of host power measures, and so what has to be done to it to get what is not GPU."""

    WALL = "wall"
    """The whole machine at the plug: GPUs and the losses of the power supply are in it."""
    BOARD = "board"
    """The whole machine as its board or controller tells: GPUs are in it."""
    CPU = "cpu"
    """Processors and memory; no GPU, no board, no fan, no loss of the power supply."""
    REST = "rest"
    """Everything but the GPUs."""

    @property
    def contains_gpus(self) -> bool:
        """Whether the energy of the GPUs is in it and has to be taken out."""
        return self in {Coverage.WALL, Coverage.BOARD}


class EnergyCounter(_Recorded, frozen=True, kw_only=True):
    """A cumulative counter of energy.

    Attributes:
        name: Of the part that it counts; one source may have several, which add up.
        range_joules: Where it goes round to zero; None where it does not.
        most_watts: More than this the part cannot draw: how soon it can have gone round, and which jump is
            no measurement.
    """

    name: str
    energy_joules: float
    range_joules: float | None = None
    most_watts: float


class HostReading(_Recorded, frozen=True, kw_only=True):
    """What the machine draws beside its GPUs, or with them, as one source tells.

    Attributes:
        source: `rapl`, `hwmon`, `ipmi`, `http`, `prometheus` or `fixed`: its label in the history.
        meter: Which one of that kind: a path, an address. Another one begins with a baseline.
        epoch: Who counts. With the signal `boot` the counters began with that boot; without any, only a
            falling value tells that a meter began anew.
        counters: Used wherever there are some; power is shown only.
        power_samples: Since the previous reading, oldest first; joined where there is no counter.
        power_watts: As the source itself tells it.
        reason: Why it was picked, and why better ones were not.
    """

    source: str
    meter: str
    moment: Moment
    covers: Coverage
    epoch: Epoch = field(default_factory=Epoch)
    counters: tuple[EnergyCounter, ...] = ()
    power_samples: tuple[PowerSample, ...] = ()
    power_watts: float | None = None
    reason: str = ""


Reading = GpusReading | EngineReading | HostReading


class SourceHealth(Struct, frozen=True, kw_only=True):
    """How a source fares; beside the data, never inside it.

    Attributes:
        source: Its name: `nvml`, or the engine's name.
        kind: `nvml`, `vllm`, `llamacpp`, `simulated`, ...
        address: What a person would look at: a URL, a library.
        up: Whether the last attempt gave a reading.
        error: Why not, in words.
        last_success_utc_seconds: None before the first success.
        read_duration_seconds: Of the last attempt that ended.
    """

    source: str
    kind: str
    address: str
    up: bool
    error: str | None = None
    last_success_utc_seconds: float | None = None
    read_duration_seconds: float | None = None


class Event(Struct, frozen=True, kw_only=True):
    """Something that a person should be able to look up later.

    Attributes:
        kind: `engine_restart`, `gap`, `gpu_lost`, `energy_disagreement`, `price_change`, ...
        subject: The engine, GPU, source or setting it is about.
        text: A sentence with the numbers.
    """

    utc_seconds: float
    kind: str
    subject: str
    text: str


class Note(Struct, frozen=True, kw_only=True):
    """Something that decides a number and that a reader of it has to know.

    Attributes:
        subject: What it is about: a section of the configuration.
    """

    subject: str
    text: str


class Assumption(Struct, frozen=True, kw_only=True):
    """A setting that nobody wrote: what is taken for it, and the line that makes it true.

    Attributes:
        setting: Its key: `electricity.price_per_kwh`.
    """

    setting: str
    text: str
    line_to_write: str
