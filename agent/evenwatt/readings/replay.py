"""Recordings as sources: what was read once is read again, at the pace of then.

The first reading of a recording happens now; lengths stay true to the record on both clocks. A later boot of
the recorded machine follows on the present boot's clock at the distance that UTC tells. The evidence in the
epochs stays as it was, so that restarts are seen as they were then.
"""

from collections.abc import Callable, Generator, Mapping
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from evenwatt.clock import now
from evenwatt.errors import SourceContractError, SourceUnavailable
from evenwatt.model import (
    EnginePart,
    EngineReading,
    Epoch,
    GpuReading,
    GpusReading,
    HostReading,
    Moment,
    PowerSample,
    Reading,
)
from evenwatt.readings.recording import readings_in
from evenwatt.readings.source import Source

__all__ = ["ReplayedSource", "readings_in", "replay_sources"]

_GPUS_SOURCE = "nvml"
_HOST_SOURCE = "host_power"

_HOLE_SECONDS = 90.0
"""A tick is a minute at most: in a longer silence the recorded source was down."""


def replay_sources(path: Path, *, clock: Callable[[], Moment] = now) -> tuple[Source, ...]:
    """Return one source for each that a recording holds; it begins now.

    Args:
        path: A file written by `Recorder`.
        clock: The present; must not run backwards on the boot clock.

    Raises:
        SourceUnavailable: The file cannot be read, or holds no reading.
        SourceContractError: It is not a recording.
    """
    record = _survey(path)
    start = clock()
    return tuple(
        ReplayedSource(name, path, _staged(record, name, start), clock=clock) for name in record.sources
    )


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
    if isinstance(earlier, EngineReading) and isinstance(later, EngineReading):
        ended = tuple(part for part in earlier.parts or () if part.has_ended)
        return replace(later, parts=(*ended, *later.parts)) if later.parts is not None else later
    if isinstance(earlier, HostReading) and isinstance(later, HostReading):
        return replace(later, power_samples=earlier.power_samples + later.power_samples)
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
        if reading.parts is None:
            return reading
        return replace(reading, parts=tuple(part for part in reading.parts if not part.has_ended))
    if isinstance(reading, HostReading):
        return replace(reading, power_samples=())
    return replace(reading, gpus=tuple(replace(gpu, power_samples=()) for gpu in reading.gpus))


class _Record(Struct, frozen=True, kw_only=True):
    """What has to be known of a recording before its first reading is handed out.

    Attributes:
        first: The moment of its first reading, from which time is counted.
        boot_offsets: By boot: what turns its clock into seconds since `first`.
    """

    path: Path
    sources: tuple[str, ...]
    first: Moment
    boot_offsets: Mapping[str, float]


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
    return _Record(path=path, sources=tuple(sources), first=first, boot_offsets=offsets)


def _source(reading: Reading) -> str:
    if isinstance(reading, EngineReading):
        return reading.engine
    return _HOST_SOURCE if isinstance(reading, HostReading) else _GPUS_SOURCE


def _staged(record: _Record, source: str, start: Moment) -> Generator[Reading, None, None]:
    """Yield one source's readings at their moments on the present clocks."""
    for reading in readings_in(record.path):
        if _source(reading) == source:
            yield _shifted(reading, _shift(record, reading.moment.boot_id, start))


class _Shift(Struct, frozen=True, kw_only=True):
    """The way from the clocks of a recorded boot to those of the present one."""

    utc_seconds: float
    boot_seconds: float
    boot_id: str

    def moment(self, recorded: Moment) -> Moment:
        return Moment(
            utc_seconds=recorded.utc_seconds + self.utc_seconds,
            boot_seconds=recorded.boot_seconds + self.boot_seconds,
            boot_id=self.boot_id,
        )


def _shift(record: _Record, boot_id: str, start: Moment) -> _Shift:
    if boot_id not in record.boot_offsets:
        raise SourceContractError(
            f"{record.path}: found readings of a boot that was not in it before, expected a recording "
            "that is finished; replay it anew"
        )
    return _Shift(
        utc_seconds=start.utc_seconds - record.first.utc_seconds,
        boot_seconds=start.boot_seconds + record.boot_offsets[boot_id],
        boot_id=start.boot_id,
    )


def _shifted(reading: Reading, shift: _Shift) -> Reading:
    moment = shift.moment(reading.moment)
    if isinstance(reading, GpusReading):
        return replace(reading, moment=moment, gpus=tuple(_shifted_gpu(gpu, shift) for gpu in reading.gpus))
    epoch = _shifted_epoch(reading.epoch, shift)
    if isinstance(reading, HostReading):
        samples = _shifted_samples(reading.power_samples, shift)
        return replace(reading, moment=moment, epoch=epoch, power_samples=samples)
    parts = None if reading.parts is None else tuple(_shifted_part(part, shift) for part in reading.parts)
    return replace(reading, moment=moment, epoch=epoch, parts=parts)


def _shifted_part(part: EnginePart, shift: _Shift) -> EnginePart:
    return replace(part, moment=shift.moment(part.moment), epoch=_shifted_epoch(part.epoch, shift))


def _shifted_epoch(epoch: Epoch, shift: _Shift) -> Epoch:
    started = epoch.started_boot_seconds
    if started is None:
        return epoch
    return replace(epoch, started_boot_seconds=started + shift.boot_seconds)


def _shifted_gpu(gpu: GpuReading, shift: _Shift) -> GpuReading:
    samples = _shifted_samples(gpu.power_samples, shift)
    return replace(gpu, moment=shift.moment(gpu.moment), power_samples=samples)


def _shifted_samples(samples: tuple[PowerSample, ...], shift: _Shift) -> tuple[PowerSample, ...]:
    return tuple(replace(sample, boot_seconds=sample.boot_seconds + shift.boot_seconds) for sample in samples)
