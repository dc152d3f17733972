"""The GPUs as they were last read, and letting go of them on request."""

from collections.abc import Mapping, Sequence

from evenwatt.model import GpuReading, GpusReading, Reading
from evenwatt.readings.nvml import NvmlSource
from evenwatt.readings.source import Source
from evenwatt.service.control import RELEASE_SIGNAL, RESUME_SIGNAL, Control
from evenwatt.service.events import Tell
from evenwatt.service.workers import Crew, is_silence

__all__ = ["GpuKeeper"]


class GpuKeeper:
    """Has the crew read the GPUs, where there are some; real ones can be let go and taken up again.

    Attributes:
        readings: Of the last tick; empty where they were not read in it.
    """

    def __init__(self, source: Source | None, crew: Crew) -> None:
        """Have a source read; None: there are no GPUs."""
        self._crew = crew
        self._nvml = source if isinstance(source, NvmlSource) else None
        self._indexes: dict[str, int] = {}
        self.readings: tuple[GpuReading, ...] = ()
        if source is not None:
            crew.add(source)

    @property
    def indexes(self) -> Mapping[str, int]:
        """The index of each GPU that was ever read, by UUID."""
        return dict(self._indexes)

    @property
    def are_released(self) -> bool:
        """Whether they were let go on request."""
        return self._nvml is not None and self._nvml.released

    @property
    def needs_new_process(self) -> bool:
        """Whether the library in this process no longer fits the driver."""
        return self._nvml is not None and self._nvml.needs_restart

    def note(self, readings: Sequence[Reading]) -> None:
        """Keep what was said in this tick; what was not said is not shown as live."""
        self.readings = ()
        for reading in readings:
            if isinstance(reading, GpusReading):
                self.readings = reading.gpus
        self._indexes |= {gpu.uuid: gpu.index for gpu in self.readings}

    def obey(self, control: Control, tell: Tell) -> bool:
        """Let go or take up as signals asked for; return whether one did."""
        if self._nvml is None:
            return False
        if control.take(RELEASE_SIGNAL):
            self._release(self._nvml, tell)
            return True
        if control.take(RESUME_SIGNAL):
            self._nvml.request_resume()
            tell("gpus_resumed", self._nvml.name, "the GPUs are taken up again")
            return True
        return False

    def _release(self, nvml: NvmlSource, tell: Tell) -> None:
        """Let the GPUs go with the next reading; where the driver hangs, only once it answers."""
        nvml.request_release()
        health = next(health for health in self._crew.health if health.source == nvml.name)
        if is_silence(health.error):
            text = f"asked to let go of the GPUs, which is done as soon as the driver answers: {health.error}"
            tell("gpus_release_waits", nvml.name, text)
        else:
            text = "the GPUs are let go on request; they are not metered until resumed"
            tell("gpus_released", nvml.name, text)
