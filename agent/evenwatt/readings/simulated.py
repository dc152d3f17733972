"""A small made-up server for `evenwatt demo`: two GPUs, two engines, a plug, and people who have lunch.

Everything follows one number per engine and second, what is asked of it, a pure function of the seconds since
the server started. A source adds its part up in steps of one second from the start, so that any pattern of
calls gives the same totals to the last bit. Sources share no state: each may be read by a thread of its own.

The first GPU has an energy counter and the second has none; the first engine tells its prefix-cache hits and
its requests and the second, like an older llama.cpp, does not: a demo then takes every path of the ledger.
Nothing here claims to be real: the kind is `simulated`, all names say so, and no process of Linux can have
these PIDs.
"""

import math
import random
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime, tzinfo
from statistics import fmean

from msgspec import Struct

from evenwatt.clock import now
from evenwatt.economics.capacity import Capacity, CapacitySource
from evenwatt.model import (
    Coverage,
    EnergyCounter,
    EngineReading,
    Epoch,
    GpuProcess,
    GpuReading,
    GpusReading,
    HostReading,
    ModelCounters,
    Moment,
    PowerSample,
)
from evenwatt.readings.host.meter import MOST_WATTS
from evenwatt.readings.host.source import HOST_SOURCE
from evenwatt.readings.source import Source
from evenwatt.units import SECONDS_PER_DAY, SECONDS_PER_HOUR

__all__ = ["Demand", "EngineProfile", "GpuProfile", "SimulatedEngine", "SimulatedGpus", "simulated_server"]

_ADDRESS = "simulated: no hardware and no engine is asked"

_DAYTIME_PEAKS = ((10.0, 4.0, 1.0), (15.5, 3.5, 1.0), (20.5, 6.0, 0.3))
"""Hour, narrowness and height of the morning, the afternoon and the evening; lunch is what lies between."""

_NIGHT_DEMAND = -0.15
"""Below zero: only the crest of a wave brings somebody at night, and the engine idles in between."""

_WAVE_SECONDS = (41, 173, 607, 2_411)
"""Periods of the noise; prime, so that their sum does not repeat within anybody's demo."""

_WAVE_HEIGHT = 0.12

_WEEKDAY_OF_1970 = 3
"""1970-01-01 was a Thursday; Monday is 0."""

_WORKDAYS = 5

_ABORTED_RATIO = 0.02

_KEPT_SAMPLES = 3_600
"""An hour at one a second: what is sampled and never read must not grow memory."""

_DRIVER_BYTES = 2**29
_COOL_CELSIUS = 34.0
_HOT_CELSIUS = 72.0

_HIGHEST_LINUX_PID = 2**22
"""PID_MAX_LIMIT of 64-bit kernels."""


class Demand:
    """What is asked of one engine, second by second.

    Args:
        start: When the simulated server began to count; second 0.
        zone: The time zone that its users live in, taken as it stands at the start.
        peak: Demand in a weekday's busiest hours, before noise; 1 is all that the engine can serve.
        weekend_ratio: Daytime demand on a Saturday or Sunday over that of a weekday.
        seed: Of the noise.
    """

    def __init__(self, *, start: Moment, zone: tzinfo, peak: float, weekend_ratio: float, seed: str) -> None:
        self.start = start
        self._peak = peak
        self._weekend_ratio = weekend_ratio
        local_start = datetime.fromtimestamp(start.utc_seconds, zone)
        self._local_start_seconds = local_start.replace(tzinfo=UTC).timestamp()
        draw = random.Random(seed)  # noqa: S311 - noise has to be repeatable, not secret
        self._waves = tuple((math.tau / period, draw.uniform(0.0, math.tau)) for period in _WAVE_SECONDS)

    def at(self, second: int) -> float:
        """Return the demand throughout one second: above 1 requests wait, at 0 or below there are none."""
        local_seconds = self._local_start_seconds + second
        weekday = (local_seconds // SECONDS_PER_DAY + _WEEKDAY_OF_1970) % 7
        day_ratio = 1.0 if weekday < _WORKDAYS else self._weekend_ratio
        day = (self._peak - _NIGHT_DEMAND) * day_ratio * _daytime(local_seconds / SECONDS_PER_HOUR)
        noise = sum(math.sin(speed * second + phase) for speed, phase in self._waves)
        return _NIGHT_DEMAND + day + _WAVE_HEIGHT * noise

    def load(self, second: int) -> float:
        """Return the part of the demand that is served: 0 is idle, 1 is all that the engine can do."""
        return min(max(self.at(second), 0.0), 1.0)

    def elapsed_seconds(self, moment: Moment) -> float:
        """Return how long the simulated server has been counting."""
        return moment.boot_seconds - self.start.boot_seconds


def _daytime(hours: float) -> float:
    """Return how awake people are, about 0 to 1: a von Mises bump for each peak, smooth over midnight."""
    return sum(
        height * math.exp(narrowness * (math.cos(math.tau * (hours - peak) / 24) - 1.0))
        for peak, narrowness, height in _DAYTIME_PEAKS
    )


class _Work:
    """Adds load up over time; the unit is one second at full load.

    Asked for ever later moments only, as a clock that is never stepped does.
    """

    def __init__(self, demand: Demand) -> None:
        self._demand = demand
        self._whole_seconds = 0
        self._sum = 0.0

    def full_load_seconds(self, elapsed_seconds: float) -> float:
        whole = int(elapsed_seconds)
        for second in range(self._whole_seconds, whole):
            self._sum += self._demand.load(second)
        self._whole_seconds = whole
        return self._sum + (elapsed_seconds - whole) * self._demand.load(whole)


class EngineProfile(Struct, frozen=True, kw_only=True):
    """A simulated engine; rates are those at full load.

    Attributes:
        listener_pid: The process that a real engine's port would belong to.
        slots: Requests served at once.
        cached_input_tokens_per_second: None for an engine that does not tell.
        requests_per_second: None for an engine that does not count them.
        prefill_ratio: The share of a request's time that is prefill.
    """

    name: str
    model: str
    demand: Demand
    listener_pid: int
    slots: int
    input_tokens_per_second: float
    output_tokens_per_second: float
    cached_input_tokens_per_second: float | None = None
    requests_per_second: float | None = None
    prefill_ratio: float


class SimulatedEngine:
    """An engine whose counters follow its demand."""

    kind = "simulated"
    address = _ADDRESS
    sample_seconds: float | None = None

    def __init__(self, profile: EngineProfile, *, clock: Callable[[], Moment] = now) -> None:
        self.name = profile.name
        self._profile = profile
        self._clock = clock
        self._work = _Work(profile.demand)
        start = profile.demand.start
        self._epoch = Epoch(
            signals={"process": f"{start.boot_id} {profile.listener_pid} {start.boot_seconds}"},
            started_boot_seconds=start.boot_seconds,
        )

    @property
    def capacity(self) -> Capacity:
        """What it does at full load, and what each phase could do with all of the time."""
        profile = self._profile
        return Capacity(
            tokens_per_second=profile.input_tokens_per_second + profile.output_tokens_per_second,
            prefill_tokens_per_second=profile.input_tokens_per_second / profile.prefill_ratio,
            decode_tokens_per_second=profile.output_tokens_per_second / (1 - profile.prefill_ratio),
            source=CapacitySource.SIMULATED,
        )

    def sample(self) -> None:
        """Do nothing: counters miss nothing between readings."""

    def read(self) -> EngineReading:
        """Return the counters as they stand now."""
        profile = self._profile
        moment = self._clock()
        elapsed = profile.demand.elapsed_seconds(moment)
        demand = profile.demand.at(int(elapsed))
        return EngineReading(
            engine=profile.name,
            kind=self.kind,
            moment=moment,
            epoch=self._epoch,
            models=(self._counters(self._work.full_load_seconds(elapsed)),),
            requests_running=math.ceil(min(max(demand, 0.0), 1.0) * profile.slots),
            requests_waiting=math.ceil(max(demand - 1.0, 0.0) * profile.slots),
            listener_pid=profile.listener_pid,
        )

    def close(self) -> None:
        """Do nothing: nothing is held."""

    def _counters(self, full_load_seconds: float) -> ModelCounters:
        profile = self._profile
        cached_rate, request_rate = profile.cached_input_tokens_per_second, profile.requests_per_second
        requests = {}
        if request_rate is not None:
            ended = int(request_rate * full_load_seconds)
            aborted = int(_ABORTED_RATIO * ended)
            requests = {"completed": ended - aborted, "aborted": aborted}
        return ModelCounters(
            model=profile.model,
            input_tokens=int(profile.input_tokens_per_second * full_load_seconds),
            cached_input_tokens=None if cached_rate is None else int(cached_rate * full_load_seconds),
            output_tokens=int(profile.output_tokens_per_second * full_load_seconds),
            requests=requests,
            prefill_seconds=profile.slots * profile.prefill_ratio * full_load_seconds,
            decode_seconds=profile.slots * (1 - profile.prefill_ratio) * full_load_seconds,
        )


class GpuProfile(Struct, frozen=True, kw_only=True):
    """A simulated GPU; its power goes in a straight line from idle to full with the load of its engine."""

    uuid: str
    index: int
    demand: Demand
    has_energy_counter: bool
    idle_watts: float
    full_watts: float
    process: GpuProcess
    name: str = "Simulated GPU 24GB"
    memory_bytes: int = 24 * 2**30


class _Gpu:
    def __init__(self, profile: GpuProfile) -> None:
        self._profile = profile
        self._work = _Work(profile.demand)
        self._samples: deque[PowerSample] = deque(maxlen=_KEPT_SAMPLES)
        self._was_busy: deque[bool] = deque(maxlen=_KEPT_SAMPLES)

    def sample(self, moment: Moment) -> None:
        load = self._load(moment)
        self._samples.append(
            PowerSample(boot_seconds=moment.boot_seconds, power_watts=self._power_watts(load))
        )
        self._was_busy.append(load > 0.0)

    def reading(self, moment: Moment) -> GpuReading:
        self.sample(moment)
        profile, load = self._profile, self._load(moment)
        reading = GpuReading(
            uuid=profile.uuid,
            index=profile.index,
            name=profile.name,
            moment=moment,
            has_energy_counter=profile.has_energy_counter,
            energy_joules=self.energy_joules(moment) if profile.has_energy_counter else None,
            power_samples=tuple(self._samples),
            power_watts=self._power_watts(load),
            power_limit_watts=profile.full_watts,
            utilization_ratio=fmean(self._was_busy),
            memory_used_bytes=_DRIVER_BYTES + (profile.process.memory_bytes or 0),
            memory_bytes=profile.memory_bytes,
            temperature_celsius=_COOL_CELSIUS + (_HOT_CELSIUS - _COOL_CELSIUS) * load,
            processes=(profile.process,),
        )
        self._samples.clear()
        self._was_busy.clear()
        return reading

    def _load(self, moment: Moment) -> float:
        demand = self._profile.demand
        return demand.load(int(demand.elapsed_seconds(moment)))

    def _power_watts(self, load: float) -> float:
        return self._profile.idle_watts + self._span_watts * load

    def energy_joules(self, moment: Moment) -> float:
        elapsed = self._profile.demand.elapsed_seconds(moment)
        return self._profile.idle_watts * elapsed + self._span_watts * self._work.full_load_seconds(elapsed)

    @property
    def _span_watts(self) -> float:
        return self._profile.full_watts - self._profile.idle_watts


class SimulatedGpus:
    """The GPUs of a simulated server."""

    name = "nvml"
    kind = "simulated"
    address = _ADDRESS
    sample_seconds: float | None = 1.0

    def __init__(self, profiles: tuple[GpuProfile, ...], *, clock: Callable[[], Moment] = now) -> None:
        self._gpus = tuple(_Gpu(profile) for profile in profiles)
        self._clock = clock

    def sample(self) -> None:
        """Note each GPU's power and whether it is at work."""
        moment = self._clock()
        for gpu in self._gpus:
            gpu.sample(moment)

    def read(self) -> GpusReading:
        """Return all GPUs as they stand now."""
        moment = self._clock()
        return GpusReading(
            moment=moment, gpus=tuple(gpu.reading(moment) for gpu in self._gpus), driver_version="simulated"
        )

    def close(self) -> None:
        """Do nothing: nothing is held."""


class HostProfile(Struct, frozen=True, kw_only=True):
    """The simulated machine beside its GPUs, whose power goes with the mean load of its engines."""

    demands: tuple[Demand, ...]
    gpus: tuple[GpuProfile, ...]
    idle_watts: float
    full_watts: float


class SimulatedPlug:
    """The smart plug of a simulated server: it counts all that the machine draws, GPUs included."""

    name = HOST_SOURCE
    kind = "simulated"
    address = _ADDRESS
    sample_seconds: float | None = None

    def __init__(self, profile: HostProfile, *, clock: Callable[[], Moment] = now) -> None:
        self._profile = profile
        self._clock = clock
        self._works = tuple(_Work(demand) for demand in profile.demands)
        self._gpus = tuple(_Gpu(gpu) for gpu in profile.gpus)

    def sample(self) -> None:
        """Do nothing: a counter misses nothing between readings."""

    def read(self) -> HostReading:
        """Return the counter as it stands now."""
        moment = self._clock()
        profile = self._profile
        elapsed = profile.demands[0].elapsed_seconds(moment)
        busy = fmean(work.full_load_seconds(elapsed) for work in self._works)
        own = profile.idle_watts * elapsed + (profile.full_watts - profile.idle_watts) * busy
        joules = own + sum(gpu.energy_joules(moment) for gpu in self._gpus)
        return HostReading(
            source="simulated",
            meter=self.address,
            moment=moment,
            covers=Coverage.WALL,
            counters=(EnergyCounter(name="total", energy_joules=joules, most_watts=MOST_WATTS),),
        )

    def close(self) -> None:
        """Do nothing: nothing is held."""


def simulated_server(
    clock: Callable[[], Moment] = now, *, zone: tzinfo = UTC, seed: int = 0
) -> tuple[Source, ...]:
    """Return the sources of a server that starts to count now.

    `sim-chat` serves a small model to many people at once on the first GPU, `sim-code` a larger one to two at
    a time on the second.

    Args:
        clock: Asked at every call of a source; must not run backwards on the boot clock.
        zone: The time zone in which it is night and lunch time.
        seed: Equal seeds and equal starts give equal readings.
    """
    start = clock()
    chat = Demand(start=start, zone=zone, peak=0.85, weekend_ratio=0.5, seed=f"{seed} chat")
    code = Demand(start=start, zone=zone, peak=0.7, weekend_ratio=0.2, seed=f"{seed} code")
    chat_pid, worker_pid, code_pid = (_HIGHEST_LINUX_PID + number for number in (1, 2, 3))
    gpus = (
        GpuProfile(
            uuid="GPU-simulated-0",
            index=0,
            demand=chat,
            has_energy_counter=True,
            idle_watts=32.0,
            full_watts=340.0,
            process=GpuProcess(pid=worker_pid, ancestors=(chat_pid,), memory_bytes=21 * 2**30),
        ),
        GpuProfile(
            uuid="GPU-simulated-1",
            index=1,
            demand=code,
            has_energy_counter=False,
            idle_watts=24.0,
            full_watts=285.0,
            process=GpuProcess(pid=code_pid, memory_bytes=14 * 2**30),
        ),
    )
    engines = (
        EngineProfile(
            name="sim-chat",
            model="simulated-chat-8b",
            demand=chat,
            listener_pid=chat_pid,
            slots=24,
            requests_per_second=4.8,
            input_tokens_per_second=2_300.0,
            cached_input_tokens_per_second=3_500.0,
            output_tokens_per_second=1_200.0,
            prefill_ratio=0.2,
        ),
        EngineProfile(
            name="sim-code",
            model="simulated-code-14b",
            demand=code,
            listener_pid=code_pid,
            slots=2,
            input_tokens_per_second=600.0,
            output_tokens_per_second=70.0,
            prefill_ratio=0.25,
        ),
    )
    return (
        SimulatedGpus(gpus, clock=clock),
        *(SimulatedEngine(engine, clock=clock) for engine in engines),
        SimulatedPlug(
            HostProfile(demands=(chat, code), gpus=gpus, idle_watts=58.0, full_watts=145.0), clock=clock
        ),
    )
