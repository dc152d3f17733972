"""Recordings as sources: what was read once is read again, at the pace of then or at a multiple of it.

The first reading of a recording happens now. Lengths stay true to the record on both clocks, whatever the
speed: at speed 10 the moments of ten recorded seconds go by in one second, and so run ahead of the clock;
they never decrease. Who books them beside a present of its own takes that from `accelerated`, and both agree.

A later boot of the recorded machine follows on the present boot's clock at the distance that UTC tells. The
evidence in the epochs stays as it was, so that restarts are seen as they were then.
"""

import math
from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

from evenwatt.clock import now
from evenwatt.errors import ConfigError, SourceContractError, SourceUnavailable
from evenwatt.model import EngineReading, GpuReading, GpusReading, ModelCounters, Moment, Reading
from evenwatt.readings.recording import readings_in
from evenwatt.readings.source import Source

__all__ = ["ReplayedSource", "accelerated", "readings_in", "replay_sources"]

_GPUS_SOURCE = "nvml"

_Counters = Mapping[tuple[str, ...], float]
"""By GPU UUID, or by engine, model and what is counted."""

_HOLE_SECONDS = 90.0
"""A tick is a minute at most: in a longer silence the recorded source was down."""

_LAP_PAUSE_SECONDS = 60.0
"""From the end of a loop to its next beginning: time to see the last reading."""


def replay_sources(
    path: Path, *, speed: float = 1.0, clock: Callable[[], Moment] = now, loop: bool = False
) -> tuple[Source, ...]:
    """Return one source for each that a recording holds; it begins now.

    Args:
        path: A file written by `Recorder`.
        speed: Recorded seconds that go by in one second.
        clock: The present; must not run backwards on the boot clock.
        loop: Begin again at the end, for ever. Counters go on from where they stood, as if the same work was
            done once more; that takes a record in which nothing restarted.

    Raises:
        ConfigError: The speed is not a finite number above 0.
        SourceUnavailable: The file cannot be read, or holds no reading.
        SourceContractError: It is not a recording, or cannot be looped.
    """
    present = accelerated(clock, speed)
    record = _survey(path)
    growth = _growth(path) if loop else {}
    start = present()

    def staged(source: str) -> Generator[Reading, None, None]:
        return _staged(record, source, start=start, laps=count() if loop else range(1), growth=growth)

    return tuple(ReplayedSource(name, path, staged(name), clock=present) for name in record.sources)


def accelerated(clock: Callable[[], Moment], speed: float) -> Callable[[], Moment]:
    """Return a clock that runs faster than another, beginning with the same moment.

    Raises:
        ConfigError: The speed is not a finite number above 0.
    """
    if not (math.isfinite(speed) and speed > 0.0):
        raise ConfigError((f"speed: got {speed}, expected a finite number above 0",))
    start = clock()

    def present() -> Moment:
        moment = clock()
        ahead_seconds = (moment.boot_seconds - start.boot_seconds) * (speed - 1.0)
        return replace(
            moment,
            utc_seconds=moment.utc_seconds + ahead_seconds,
            boot_seconds=moment.boot_seconds + ahead_seconds,
        )

    return present


class ReplayedSource:
    """One source of a recording.

    What came due since the last call is handed out as one reading, as if the source had been read that
    seldom: the newest, with the power samples of all. Where nothing did, the last one is handed out again,
    at its old moment and without samples, so that ticks need not fall together with those of the record.

    Args:
        name: Of the recorded source.
        path: Of the recording.
        readings: Of this source, at their moments on the present clocks; holds the file open.
        clock: The present.
    """

    kind = "replayed"
    sample_seconds: float | None = None

    def __init__(
        self,
        name: str,
        path: Path,
        readings: Generator[Reading, None, None],
        *,
        clock: Callable[[], Moment],
    ) -> None:
        self.name = name
        self.address = str(path)
        self._readings = readings
        self._clock = clock
        self._last: Reading | None = None
        self._next = next(readings, None)

    def sample(self) -> None:
        """Do nothing: samples are in the record."""

    def read(self) -> Reading:
        """Return what the source said last, by now.

        Raises:
            SourceUnavailable: It had not begun, was down for longer than a tick, or the record has ended.
            SourceContractError: The file was changed under way.
        """
        present = self._clock().boot_seconds
        due = None
        while self._next is not None and self._next.moment.boot_seconds <= present:
            due = _joined(due, self._next)
            self._next = next(self._readings, None)
        if due is None:
            return self._again(present)
        self._last = _without_samples(due)
        return due

    def close(self) -> None:
        """Close the file."""
        self._readings.close()

    def _again(self, present: float) -> Reading:
        if self._next is None:
            raise SourceUnavailable(f"{self.address}: the recording of {self.name} has ended; replay it anew")
        wait = self._next.moment.boot_seconds - present
        if self._last is None:
            raise SourceUnavailable(
                f"{self.address}: the recording of {self.name} begins in {wait:.0f} s; wait for it"
            )
        silence = self._next.moment.boot_seconds - self._last.moment.boot_seconds
        if silence > _HOLE_SECONDS:
            raise SourceUnavailable(
                f"{self.address}: {self.name} was silent for {silence:.0f} s when this was recorded; "
                f"it goes on in {wait:.0f} s"
            )
        return self._last


def _joined(earlier: Reading | None, later: Reading) -> Reading:
    """Return the later reading, with the power samples that the earlier one would have brought."""
    if not (isinstance(earlier, GpusReading) and isinstance(later, GpusReading)):
        return later
    samples = {gpu.uuid: gpu.power_samples for gpu in earlier.gpus}
    return replace(
        later,
        gpus=tuple(
            replace(gpu, power_samples=samples.get(gpu.uuid, ()) + gpu.power_samples) for gpu in later.gpus
        ),
    )


def _without_samples(reading: Reading) -> Reading:
    if isinstance(reading, EngineReading):
        return reading
    return replace(reading, gpus=tuple(replace(gpu, power_samples=()) for gpu in reading.gpus))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Record:
    """What has to be known of a recording before its first reading is handed out.

    Attributes:
        first: The moment of its first reading, from which time is counted.
        boot_offsets: By boot: what turns its clock into seconds since `first`.
        lap_seconds: From one beginning to the next in a loop.
    """

    path: Path
    sources: tuple[str, ...]
    first: Moment
    boot_offsets: Mapping[str, float]
    lap_seconds: float


def _survey(path: Path) -> _Record:
    sources: dict[str, None] = {}
    first: Moment | None = None
    offsets: dict[str, float] = {}
    elapsed = 0.0
    for reading in readings_in(path):
        moment = reading.moment
        first = first or moment
        if moment.boot_id not in offsets:
            # Only UTC tells how long the machine was off, and it may have been set back meanwhile.
            began = max(moment.utc_seconds - first.utc_seconds, elapsed)
            offsets[moment.boot_id] = began - moment.boot_seconds
        elapsed = max(elapsed, moment.boot_seconds + offsets[moment.boot_id])
        sources[_source(reading)] = None
    if first is None:
        raise SourceUnavailable(f"{path}: the recording holds no reading; record for longer than a tick")
    return _Record(
        path=path,
        sources=tuple(sources),
        first=first,
        boot_offsets=offsets,
        lap_seconds=elapsed + _LAP_PAUSE_SECONDS,
    )


def _source(reading: Reading) -> str:
    return reading.engine if isinstance(reading, EngineReading) else _GPUS_SOURCE


def _staged(
    record: _Record, source: str, *, start: Moment, laps: Iterable[int], growth: _Counters
) -> Generator[Reading, None, None]:
    """Yield one source's readings at their moments on the present clocks, lap after lap."""
    for lap in laps:
        for reading in readings_in(record.path):
            if _source(reading) == source:
                shift = _shift(record, reading.moment.boot_id, start, lap)
                yield _grown(_shifted(reading, shift), growth, lap)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shift:
    """The way from the clocks of a recorded boot to those of the present one."""

    utc_seconds: float
    boot_seconds: float
    epoch_boot_seconds: float
    boot_id: str

    def moment(self, recorded: Moment) -> Moment:
        return Moment(
            utc_seconds=recorded.utc_seconds + self.utc_seconds,
            boot_seconds=recorded.boot_seconds + self.boot_seconds,
            boot_id=self.boot_id,
        )


def _shift(record: _Record, boot_id: str, start: Moment, lap: int) -> _Shift:
    if boot_id not in record.boot_offsets:
        raise SourceContractError(
            f"{record.path}: found readings of a boot that was not in it before, expected a recording "
            "that is finished; replay it anew"
        )
    since_boot = start.boot_seconds + record.boot_offsets[boot_id]
    since_lap = lap * record.lap_seconds
    return _Shift(
        utc_seconds=start.utc_seconds - record.first.utc_seconds + since_lap,
        boot_seconds=since_boot + since_lap,
        # Counters go on from lap to lap, so their process is as old as it was in the first.
        epoch_boot_seconds=since_boot,
        boot_id=start.boot_id,
    )


def _shifted(reading: Reading, shift: _Shift) -> Reading:
    moment = shift.moment(reading.moment)
    if isinstance(reading, GpusReading):
        return replace(reading, moment=moment, gpus=tuple(_shifted_gpu(gpu, shift) for gpu in reading.gpus))
    epoch, started = reading.epoch, reading.epoch.started_boot_seconds
    if started is not None:
        epoch = replace(epoch, started_boot_seconds=started + shift.epoch_boot_seconds)
    return replace(reading, moment=moment, epoch=epoch)


def _shifted_gpu(gpu: GpuReading, shift: _Shift) -> GpuReading:
    samples = tuple(
        replace(sample, boot_seconds=sample.boot_seconds + shift.boot_seconds) for sample in gpu.power_samples
    )
    return replace(gpu, moment=shift.moment(gpu.moment), power_samples=samples)


def _growth(path: Path) -> _Counters:
    """Return by how much each counter grows from the beginning to the end of a recording."""
    first: dict[tuple[str, ...], float] = {}
    last: dict[tuple[str, ...], float] = {}
    signals: dict[str, Mapping[str, str]] = {}
    for reading in readings_in(path):
        source, counters, evidence = _source(reading), _counters(reading), _evidence(reading)
        before = signals.get(source, {})
        if _parted(before, evidence) or _fell(last, counters):
            raise SourceContractError(
                f"{path}: found that what {source} counts began anew, expected counters that only grow; "
                "replay this recording without a loop"
            )
        # What an engine did not tell at first stood at zero then; a GPU that is added has a past.
        from_zero = bool(before) and isinstance(reading, EngineReading)
        first = (dict.fromkeys(counters, 0) if from_zero else counters) | first
        last |= counters
        signals[source] = evidence
    return {key: value - first[key] for key, value in last.items()}


def _counters(reading: Reading) -> dict[tuple[str, ...], float]:
    if isinstance(reading, GpusReading):
        return {(gpu.uuid,): gpu.energy_joules for gpu in reading.gpus if gpu.energy_joules is not None}
    counters: dict[tuple[str, ...], float] = {}
    for model in reading.models:
        key = (reading.engine, model.model)
        counters[*key, "input"] = model.input_tokens
        counters[*key, "output"] = model.output_tokens
        if model.cached_input_tokens is not None:
            counters[*key, "cached_input"] = model.cached_input_tokens
        counters |= {(*key, "requests", outcome): number for outcome, number in model.requests.items()}
    return counters


def _evidence(reading: Reading) -> Mapping[str, str]:
    signals = reading.epoch.signals if isinstance(reading, EngineReading) else {}
    return {**signals, "moment": reading.moment.boot_id}


def _parted(before: Mapping[str, str], after: Mapping[str, str]) -> bool:
    return any(before[name] != after[name] for name in before.keys() & after.keys())


def _fell(before: _Counters, after: _Counters) -> bool:
    # Input is left out: where it is a difference of two counters it dips without a restart.
    return any(value < before.get(key, 0) for key, value in after.items() if key[-1] != "input")


def _grown(reading: Reading, growth: _Counters, laps: int) -> Reading:
    """Return a reading with the growth of all earlier laps in its counters."""
    if isinstance(reading, GpusReading):
        return replace(reading, gpus=tuple(_grown_gpu(gpu, growth, laps) for gpu in reading.gpus))
    engine = reading.engine
    return replace(reading, models=tuple(_grown_model(engine, m, growth, laps) for m in reading.models))


def _grown_gpu(gpu: GpuReading, growth: _Counters, laps: int) -> GpuReading:
    if gpu.energy_joules is None:
        return gpu
    return replace(gpu, energy_joules=gpu.energy_joules + laps * growth.get((gpu.uuid,), 0.0))


def _grown_model(engine: str, model: ModelCounters, growth: _Counters, laps: int) -> ModelCounters:
    def earlier(*kind: str) -> int:
        return laps * int(growth.get((engine, model.model, *kind), 0))

    cached = model.cached_input_tokens
    return replace(
        model,
        input_tokens=model.input_tokens + earlier("input"),
        output_tokens=model.output_tokens + earlier("output"),
        cached_input_tokens=None if cached is None else cached + earlier("cached_input"),
        requests={name: number + earlier("requests", name) for name, number in model.requests.items()},
    )
