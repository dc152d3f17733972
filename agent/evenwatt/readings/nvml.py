"""GPUs through NVIDIA's management library; who uses them is asked in `evenwatt.readings.nvml_processes`.

It asks each GPU one call at a time, so that a call which a GPU, a driver or a virtual machine lacks costs
that value and nothing else. mW, mJ and % end here. A GPU is known by its UUID; its index is only a label.

It estimates nothing: where a GPU has no energy counter it hands on power samples, and whoever adds up joules
integrates them. It sets no deadline either: a call that blocks in the driver cannot be interrupted from here.
"""

import contextlib
import ctypes
from collections import deque
from collections.abc import Callable
from typing import Any, NoReturn, TypeVar

import pynvml
from msgspec import Struct, field
from msgspec.structs import replace

from evenwatt import clock
from evenwatt.errors import SourceUnavailable
from evenwatt.model import GpuInstance, GpuReading, GpusReading, PowerSample
from evenwatt.readings.nvml_processes import ProcessWatch, compute_slices, mig_instances, running_processes
from evenwatt.units import JOULES_PER_MILLIJOULE, WATTS_PER_MILLIWATT

__all__ = ["SAMPLES_KEPT", "NvmlSource", "nvml_available", "nvml_installed"]

SAMPLES_KEPT = 600
"""Samples kept for each GPU between readings; ten minutes at one a second. The oldest go first."""

_Answer = TypeVar("_Answer")

_LIBRARY = "libnvidia-ml.so.1"
_PERCENT = 100

_ABSENT = {pynvml.NVML_ERROR_NOT_SUPPORTED, pynvml.NVML_ERROR_FUNCTION_NOT_FOUND}
"""This GPU or driver does not have the call, and will not have it later."""

_GPU_FAULTS = {
    pynvml.NVML_ERROR_GPU_IS_LOST,
    pynvml.NVML_ERROR_GPU_NOT_FOUND,
    pynvml.NVML_ERROR_INSUFFICIENT_POWER,
    pynvml.NVML_ERROR_IRQ_ISSUE,
    pynvml.NVML_ERROR_RESET_REQUIRED,
}
"""Nothing of this GPU can be read; the others are well."""

_LIBRARY_FAULTS = {
    pynvml.NVML_ERROR_DRIVER_NOT_LOADED,
    pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH,
    pynvml.NVML_ERROR_UNINITIALIZED,
}
"""No GPU can be read until the library was initialised anew."""

_GPU_ADVICE = {
    pynvml.NVML_ERROR_GPU_IS_LOST: "it fell off the bus; reset it or restart the machine",
    pynvml.NVML_ERROR_RESET_REQUIRED: "reset it with `nvidia-smi --gpu-reset` after `evenwatt gpu release`",
    pynvml.NVML_ERROR_INSUFFICIENT_POWER: "check its power cables",
    pynvml.NVML_ERROR_NOT_FOUND: "the driver no longer lists it",
}

_LIBRARY_ADVICE = {
    pynvml.NVML_ERROR_LIBRARY_NOT_FOUND: "install the NVIDIA driver, or give the container its GPUs",
    pynvml.NVML_ERROR_DRIVER_NOT_LOADED: "load the driver with `modprobe nvidia`",
    pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH: (
        "the driver was upgraded: reload its kernel module or restart the machine, then restart evenwatt"
    ),
    pynvml.NVML_ERROR_NO_PERMISSION: "let the user of evenwatt open /dev/nvidia*",
}

_RELEASED = f"{_LIBRARY}: the GPUs were released on request; take them up again with `evenwatt gpu resume`"


def _sentence(error: pynvml.NVMLError) -> str:
    return str(error).rstrip(".")


def _library_failure(error: pynvml.NVMLError) -> str:
    advice = _LIBRARY_ADVICE.get(error.value, "see whether nvidia-smi works on this machine")
    return f"{_LIBRARY}: NVML cannot be used: {_sentence(error)}; {advice}"


def nvml_installed() -> bool:
    """Return whether NVIDIA's library is on this machine, whatever state its driver is in."""
    try:
        ctypes.CDLL(_LIBRARY)
    except OSError:
        return False
    return True


def nvml_available() -> str | None:
    """Return None when NVML lists a GPU, else the reason in words; hold nothing open afterwards."""
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        return _library_failure(error)
    try:
        count = pynvml.nvmlDeviceGetCount()
    except pynvml.NVMLError as error:
        return _library_failure(error)
    finally:
        _shut_down()
    return None if count else f"{_LIBRARY}: the NVIDIA driver works but lists no GPU"


def _shut_down() -> None:
    # A library that has failed may refuse this too; it is then closed all the same.
    with contextlib.suppress(pynvml.NVMLError):
        pynvml.nvmlShutdown()


class _Gpu(Struct):
    """What is remembered of one GPU.

    Attributes:
        uuid: None as long as the driver listed a GPU here without letting anyone open it.
        handle: Valid until NVML is shut down.
        has_call: By name, whether the GPU has a call. The first answer that tells decides, until NVML is
            initialised anew: a counter that was once read does not vanish, it fails.
        complaint: What the call that failed last said.
        fault: Why it cannot be read; None when it can.
        retry_boot_seconds: When a GPU with a fault is tried again.
        compute_slices: Of the whole card; None until it was seen in MIG mode.
    """

    index: int
    uuid: str | None = None
    name: str = ""
    handle: Any = None
    has_call: dict[str, bool] = field(default_factory=dict)
    complaint: str = ""
    fault: str | None = None
    retry_boot_seconds: float = 0.0
    compute_slices: int | None = None
    power_samples: deque[PowerSample] = field(default_factory=lambda: deque(maxlen=SAMPLES_KEPT))
    utilization_percents: deque[int] = field(default_factory=lambda: deque(maxlen=SAMPLES_KEPT))
    watch: ProcessWatch = field(default_factory=ProcessWatch)

    def open(self) -> None:
        """Ask the driver for the GPU: by UUID once that is known, because indexes shift.

        Raises:
            pynvml.NVMLError: The driver does not give it.
        """
        if self.uuid is None:
            self.handle = pynvml.nvmlDeviceGetHandleByIndex(self.index)
        else:
            self.handle = pynvml.nvmlDeviceGetHandleByUUID(self.uuid)
        self.name = pynvml.nvmlDeviceGetName(self.handle)
        self.uuid = pynvml.nvmlDeviceGetUUID(self.handle)
        self.fault = None

    def utilization_ratio(self) -> float | None:
        """Return the mean of the samples taken since the last reading."""
        if not self.utilization_percents:
            return None
        return sum(self.utilization_percents) / len(self.utilization_percents) / _PERCENT

    def forget_samples(self) -> None:
        """Begin anew: the samples are in a reading."""
        self.power_samples.clear()
        self.utilization_percents.clear()
        self.watch.forget_samples()


class NvmlSource:
    """All NVIDIA GPUs of this machine.

    NVML is initialised by the first `read` and then stays so, because opening a GPU can take seconds. A
    process that holds it open blocks GPU resets, driver reloads and MIG changes: `request_release` lets go.

    A listed GPU that never let itself be opened has no UUID to show; its reading says `unknown-<index>`.

    Args:
        sample_seconds: How often `sample` wants to be called.
        retry_seconds: How long a lost GPU is left alone before it is tried again.
    """

    name = "nvml"
    kind = "nvml"
    address = _LIBRARY

    def __init__(self, *, sample_seconds: float = 1.0, retry_seconds: float = 30.0) -> None:
        self.sample_seconds: float | None = sample_seconds
        self._retry_seconds = retry_seconds
        self._gpus: list[_Gpu] = []
        self._driver_version: str | None = None
        self._is_open = False
        self._has_worked = False
        self._needs_restart = False
        self._release_requested = False
        self._released = False

    @property
    def released(self) -> bool:
        """Whether NVML was let go of on request and not yet taken up again."""
        return self._released

    @property
    def needs_restart(self) -> bool:
        """Whether only a new process can read the GPUs: the driver was replaced by another version.

        A loaded library cannot be exchanged in a running process. One that never worked here may yet fit:
        then the kernel module is the older part.
        """
        return self._needs_restart

    def request_release(self) -> None:
        """Let the next `read` be the last one and shut NVML down; safe in a signal handler."""
        self._release_requested = True

    def request_resume(self) -> None:
        """Let the next `read` take the GPUs up again; safe in a signal handler."""
        self._release_requested = False

    def sample(self) -> None:
        """Take power and utilization of every GPU."""
        if self._is_open:
            # The library fails the next reading too, and that one says why.
            with contextlib.suppress(SourceUnavailable):
                for gpu in self._gpus:
                    self._sample(gpu)
                    if gpu.watch.is_shared:
                        self._ask(gpu, gpu.watch.sample)

    def read(self) -> GpusReading:
        """Return a reading of every GPU.

        Raises:
            SourceUnavailable: NVML cannot be used, or was let go of on request.
        """
        release = self._release_requested
        if release and not self._is_open:
            self._released = True
            raise SourceUnavailable(_RELEASED)
        self._released = False
        try:
            return self._read()
        finally:
            if release:
                self.close()
                self._released = True

    def close(self) -> None:
        """Shut NVML down; samples that no reading holds yet are kept."""
        if self._is_open:
            self._is_open = False
            _shut_down()

    def _read(self) -> GpusReading:
        if not self._is_open:
            self._open()
        readings = tuple(self._gpu_reading(gpu) for gpu in self._gpus)
        # Not before all were read: the library may fail half-way, and then this reading never was.
        for gpu, reading in zip(self._gpus, readings, strict=True):
            if reading.fault is None:
                gpu.forget_samples()
        return GpusReading(moment=clock.now(), gpus=readings, driver_version=self._driver_version)

    def _open(self) -> None:
        try:
            pynvml.nvmlInit()
        except pynvml.NVMLError as error:
            is_mismatch = error.value == pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH
            self._needs_restart = self._has_worked and is_mismatch
            raise SourceUnavailable(_library_failure(error)) from error
        self._is_open = True
        self._needs_restart = False
        self._driver_version = _driver_version()
        try:
            count = pynvml.nvmlDeviceGetCount()
        except pynvml.NVMLError as error:
            self._fail(error)
        self._gpus = self._listed(count)
        self._has_worked = True

    def _listed(self, count: int) -> list[_Gpu]:
        """Open every GPU that the driver lists, and go on showing those of before that it lists no more."""
        listed = [_Gpu(index=index) for index in range(count)]
        for gpu in listed:
            self._try_to_open(gpu)
        before = {gpu.uuid: gpu for gpu in self._gpus if gpu.uuid is not None}
        for gpu in listed:
            if gpu.uuid in before:
                known = before.pop(gpu.uuid)
                gpu.power_samples, gpu.utilization_percents = known.power_samples, known.utilization_percents
                gpu.watch = known.watch
        for gpu in before.values():
            gpu.has_call.clear()
            self._try_to_open(gpu)
        # A GPU that is listed but cannot be opened is most likely one that was known, not one more.
        nameless = [gpu for gpu in listed if gpu.uuid is None]
        named = [gpu for gpu in listed if gpu.uuid is not None]
        return sorted([*named, *before.values(), *nameless[len(before) :]], key=lambda gpu: gpu.index)

    def _try_to_open(self, gpu: _Gpu) -> None:
        try:
            gpu.open()
        except pynvml.NVMLError as error:
            if error.value in _LIBRARY_FAULTS:
                self._fail(error)
            self._lose(gpu, error)

    def _gpu_reading(self, gpu: _Gpu) -> GpuReading:
        if gpu.fault is not None and clock.boot_seconds() >= gpu.retry_boot_seconds:
            self._try_to_open(gpu)
        energy_mj = self._ask(gpu, pynvml.nvmlDeviceGetTotalEnergyConsumption)
        silent = GpuReading(
            uuid=gpu.uuid or f"unknown-{gpu.index}",
            index=gpu.index,
            name=gpu.name,
            moment=clock.now(),
            # Only the driver's word makes a GPU one without: integrating power while the counter merely
            # fails would count the same energy twice once it is back.
            has_energy_counter=gpu.has_call.get(pynvml.nvmlDeviceGetTotalEnergyConsumption.__name__, True),
        )
        power_watts = self._sample(gpu)
        memory_used_bytes, memory_bytes = self._ask(gpu, _memory) or (None, None)
        limit_mw = self._ask(gpu, pynvml.nvmlDeviceGetEnforcedPowerLimit)
        instances = self._ask(gpu, mig_instances)
        self._ask(gpu, gpu.watch.sample)
        listed = self._ask(gpu, running_processes) if instances is None else None
        reading = replace(
            silent,
            energy_joules=_scaled(energy_mj, JOULES_PER_MILLIJOULE),
            power_samples=tuple(gpu.power_samples),
            power_watts=power_watts,
            power_limit_watts=_scaled(limit_mw, WATTS_PER_MILLIWATT),
            utilization_ratio=gpu.utilization_ratio(),
            memory_used_bytes=memory_used_bytes,
            memory_bytes=memory_bytes,
            temperature_celsius=self._ask(gpu, _temperature_celsius),
            processes=None if listed is None else gpu.watch.told(listed),
            instances=instances,
            compute_slices=None if instances is None else self._compute_slices(gpu, instances),
        )
        if gpu.fault is not None:
            return replace(silent, fault=gpu.fault)
        if reading == silent:
            return replace(silent, fault=f"none of its calls gives a value: {gpu.complaint}")
        return reading

    def _compute_slices(self, gpu: _Gpu, instances: tuple[GpuInstance, ...]) -> int | None:
        """Return the slices of a card, asked anew only where it shows more than it was taken to have."""
        if gpu.compute_slices is None or gpu.compute_slices < sum(part.compute_slices for part in instances):
            gpu.compute_slices = self._ask(gpu, compute_slices)
        return gpu.compute_slices

    def _sample(self, gpu: _Gpu) -> float | None:
        """Keep a sample of one GPU and return its power."""
        power_watts = _scaled(self._ask(gpu, pynvml.nvmlDeviceGetPowerUsage), WATTS_PER_MILLIWATT)
        if power_watts is not None:
            sample = PowerSample(boot_seconds=clock.boot_seconds(), power_watts=power_watts)
            gpu.power_samples.append(sample)
        rates = self._ask(gpu, pynvml.nvmlDeviceGetUtilizationRates)
        if rates is not None:
            gpu.utilization_percents.append(rates.gpu)
        return power_watts

    def _ask(self, gpu: _Gpu, call: Callable[[Any], _Answer]) -> _Answer | None:
        """Return the answer of one call, or None; a call that the GPU lacks is not made again.

        Raises:
            SourceUnavailable: The library as a whole has failed.
        """
        if gpu.fault is not None or not gpu.has_call.get(call.__name__, True):
            return None
        try:
            answer = call(gpu.handle)
        except pynvml.NVMLError as error:
            self._note_failure(gpu, call.__name__, error)
            return None
        gpu.has_call[call.__name__] = True
        return answer

    def _note_failure(self, gpu: _Gpu, call: str, error: pynvml.NVMLError) -> None:
        gpu.complaint = _sentence(error)
        if error.value in _LIBRARY_FAULTS:
            self._fail(error)
        elif error.value in _GPU_FAULTS:
            self._lose(gpu, error)
        elif error.value in _ABSENT:
            gpu.has_call.setdefault(call, False)

    def _lose(self, gpu: _Gpu, error: pynvml.NVMLError) -> None:
        advice = _GPU_ADVICE.get(error.value)
        gpu.fault = _sentence(error) if advice is None else f"{_sentence(error)}: {advice}"
        gpu.retry_boot_seconds = clock.boot_seconds() + self._retry_seconds

    def _fail(self, error: pynvml.NVMLError) -> NoReturn:
        self.close()
        raise SourceUnavailable(_library_failure(error)) from error


def _scaled(value: int | None, factor: float) -> float | None:
    return None if value is None else value * factor


def _driver_version() -> str | None:
    try:
        return str(pynvml.nvmlSystemGetDriverVersion())
    except pynvml.NVMLError:
        return None


def _memory(handle: Any) -> tuple[int, int]:
    memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
    return memory.used, memory.total


def _temperature_celsius(handle: Any) -> float:
    try:
        return float(pynvml.nvmlDeviceGetTemperatureV(handle, pynvml.NVML_TEMPERATURE_GPU))
    except pynvml.NVMLError_FunctionNotFound:  # drivers before it
        return float(pynvml.nvmlDeviceGetTemperature(handle, pynvml.NVML_TEMPERATURE_GPU))
