"""Who uses a GPU, as NVIDIA's library tells it: processes, what each makes the GPU do, and MIG instances.

Beside `evenwatt.readings.nvml` the only importer of pynvml. Its functions take a handle and raise pynvml's
errors, for the source to judge.
"""

from collections.abc import Iterator
from typing import Any

import pynvml
from msgspec import Struct, field
from msgspec.structs import replace

from evenwatt.model import GpuInstance, GpuProcess
from evenwatt.readings import processes

__all__ = ["ProcessWatch", "compute_slices", "mig_instances", "running_processes"]

_PERCENT = 100
_MIG_ON = 1
_NOBODY_BUSY = {pynvml.NVML_SUCCESS, pynvml.NVML_ERROR_NOT_FOUND}
"""What the driver answers where there is no sample: every process was idle."""


class ProcessWatch(Struct):
    """Adds up what each process on one GPU makes its multiprocessors do, between two readings.

    A sample says for each process that was not idle how much of the last moment its kernels took, so they are
    taken as often as power; while there is but one process there is nothing to share, and nothing is asked.

    Attributes:
        is_shared: Whether several processes were there at the last reading.
    """

    is_shared: bool = False
    _percents: dict[int, float] = field(default_factory=dict)
    _samples: int = 0
    _last_seen_microseconds: int | None = None
    _known: dict[int, GpuProcess] = field(default_factory=dict)

    def sample(self, handle: Any) -> None:
        """Take one sample of all processes on a GPU."""
        seen = self._last_seen_microseconds
        entries = _utilization_since(handle, seen or 0)
        self._last_seen_microseconds = max((entry.timeStamp for entry in entries), default=seen or 0)
        if seen is None:
            return  # what the driver held from before is of no known time
        taken: dict[int, list[int]] = {}
        for entry in entries:
            if entry.timeStamp > seen and entry.smUtil <= _PERCENT:
                taken.setdefault(entry.pid, []).append(entry.smUtil)
        for pid, percents in taken.items():
            self._percents[pid] = self._percents.get(pid, 0.0) + sum(percents) / len(percents)
        self._samples += 1

    def told(self, listed: tuple[GpuProcess, ...]) -> tuple[GpuProcess, ...]:
        """Return the processes with what was seen of them since the last reading.

        Who is not in the list and was at work has ended since, or draws on a screen: it holds no memory for
        computing. Where none that was at work is known from a list, the driver gives the two of different PID
        namespaces, and they are not joined.
        """
        known = self._known | {process.pid: process for process in listed}
        ratios = {pid: total / self._samples / _PERCENT for pid, total in self._percents.items()}
        self._known = {process.pid: process for process in listed}
        self.is_shared = len(listed) > 1
        if not self._samples or (ratios and known and ratios.keys().isdisjoint(known)):
            return listed
        unlisted = ratios.keys() - self._known.keys()
        self.is_shared = len(listed) + len(unlisted) > 1
        others = (replace(known.get(pid) or _process(pid), memory_bytes=0) for pid in sorted(unlisted))
        return tuple(
            replace(process, sm_utilization_ratio=ratios.get(process.pid, 0.0))
            for process in (*listed, *others)
        )

    def forget_samples(self) -> None:
        """Begin anew: the samples are in a reading."""
        self._percents.clear()
        self._samples = 0


def running_processes(handle: Any) -> tuple[GpuProcess, ...]:
    """Return the processes that compute on a GPU or a MIG instance, clients of MPS among them."""
    found = {process.pid: process for process in (*_computing(handle), *_mps_clients(handle))}
    return tuple(_process(pid, process.usedGpuMemory) for pid, process in found.items())


def mig_instances(handle: Any) -> tuple[GpuInstance, ...] | None:
    """Return the instances of a GPU; None where it is not in MIG mode.

    They are listed anew each time: a handle of an instance dies when the card is divided anew.
    """
    mode, _ = pynvml.nvmlDeviceGetMigMode(handle)
    return tuple(_instances(handle)) if mode == _MIG_ON else None


def compute_slices(handle: Any) -> int | None:
    """Return how many compute slices a whole card has; None where no profile tells."""
    slices = []
    for profile in range(pynvml.NVML_GPU_INSTANCE_PROFILE_COUNT):
        try:
            slices.append(pynvml.nvmlDeviceGetGpuInstanceProfileInfo(handle, profile, version=1).sliceCount)
        except (pynvml.NVMLError_NotSupported, pynvml.NVMLError_InvalidArgument):
            continue  # a profile of other cards
    return max(slices, default=None)


def _instances(handle: Any) -> Iterator[GpuInstance]:
    for index in range(pynvml.nvmlDeviceGetMaxMigDeviceCount(handle)):
        try:
            instance = pynvml.nvmlDeviceGetMigDeviceHandleByIndex(handle, index)
        except pynvml.NVMLError_NotFound:
            continue
        try:
            listed = running_processes(instance)
        except (pynvml.NVMLError_NotSupported, pynvml.NVMLError_NoPermission):
            listed = None
        yield GpuInstance(
            uuid=pynvml.nvmlDeviceGetUUID(instance),
            compute_slices=pynvml.nvmlDeviceGetAttributes_v2(instance).computeInstanceSliceCount,
            processes=listed,
        )


def _utilization_since(handle: Any, microseconds: int) -> list[Any]:
    try:
        return list(pynvml.nvmlDeviceGetProcessUtilization(handle, microseconds))
    except pynvml.NVMLError as error:
        if error.value in _NOBODY_BUSY:
            return []
        raise


def _computing(handle: Any) -> list[Any]:
    try:
        return list(pynvml.nvmlDeviceGetComputeRunningProcesses_v3(handle))
    except pynvml.NVMLError_FunctionNotFound:  # drivers before it
        return list(pynvml.nvmlDeviceGetComputeRunningProcesses_v2(handle))


def _mps_clients(handle: Any) -> list[Any]:
    try:
        return list(pynvml.nvmlDeviceGetMPSComputeRunningProcesses_v3(handle))
    except pynvml.NVMLError:  # older drivers, and cards without it
        return []


def _process(pid: int, memory_bytes: int | None = None) -> GpuProcess:
    return GpuProcess(
        pid=pid,
        ancestors=processes.ancestors(pid),
        memory_bytes=memory_bytes,
        body=processes.body(pid),
    )
