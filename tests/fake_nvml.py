"""GPUs that are a text file: the library of tests/fakes/nvml, its scenarios, and the true energy."""

import ctypes
import math
import os
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

SONAME = "libnvidia-ml.so.1"

_SOURCE = Path(__file__).parent / "fakes" / "nvml" / "fake_nvml.c"
_VARIABLE = "EVENWATT_FAKE_NVML"

_POWER_LEAD_SECONDS = 0.1
"""A change of power begins a little after the file is written: were it in the past, a counter that was just
read with the old power would fall, which reads as a driver reload."""


def boot_seconds():
    """Return CLOCK_BOOTTIME, the clock of the fake's power and energy."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def build_library(folder):
    """Compile the library into the folder, unless it is there, and return its path.

    Give every caller of a test session the same folder, such as `tmp_path_factory.getbasetemp() / "nvml"`.
    """
    library = Path(folder) / SONAME
    if not library.exists():
        library.parent.mkdir(parents=True, exist_ok=True)
        flags = [
            "-std=gnu11",
            "-O2",
            "-Wall",
            "-Wextra",
            "-Werror",
            "-fPIC",
            "-shared",
            "-fvisibility=hidden",
        ]
        command = [
            "gcc",
            *flags,
            f"-Wl,-soname,{SONAME}",
            "-o",
            str(library),
            str(_SOURCE),
            "-lm",
            "-lpthread",
        ]
        subprocess.run(command, check=True)
    return library


def load_library(library):
    """Load the library into this process, where nvidia-ml-py then finds it by its name; return it.

    The dynamic loader gives a library that is already loaded to whoever asks for its SONAME. From then on
    this process has no other NVML.
    """
    loaded = ctypes.CDLL(str(library), mode=ctypes.RTLD_GLOBAL)
    loaded.fake_nvml_calls.restype = ctypes.c_ulong
    return loaded


@dataclass
class PowerSegment:
    """Power from a moment on: constant, or a sine around a mean; `begins` None until it is first written."""

    watts: float
    swing_watts: float = 0.0
    period_seconds: float = 0.0
    begins: float | None = None

    def joules(self, begin, end):
        """Return the integral of the power between two boot-clock moments inside the segment."""
        constant = self.watts * (end - begin)
        if not self.period_seconds:
            return constant
        turn = 2 * math.pi / self.period_seconds
        wave = math.cos(turn * (begin - self.begins)) - math.cos(turn * (end - self.begins))
        return constant + self.swing_watts / turn * wave


@dataclass
class FakeInstance:
    """An instance of a GPU in MIG mode; `processes` as in `FakeGpu`."""

    uuid: str
    compute_slices: int
    processes: list[tuple[int, ...]] | None = field(default_factory=list)


@dataclass
class FakeGpu:
    """One GPU of a scenario; None makes the driver say NOT_SUPPORTED.

    Attributes:
        watts: What it draws from `energy_since` on; `draw` changes it.
        energy_since: The boot-clock moment at which the counter was 0; None: no energy counter.
        processes: PID, memory in bytes (None: not available), and, where given, percent of SM time.
        drawing: PID and percent of SM time of processes without a compute context.
        has_process_utilization: Whether the driver tells the percents.
        compute_slices: Of a GPU in MIG mode; None: MIG is not supported.
        instances: Of a GPU in MIG mode.
        rules: Lines of faults and waits, written by the methods below.
    """

    uuid: str
    watts: float | None = 100.0
    name: str = "NVIDIA H100 80GB HBM3"
    energy_since: float | None = field(default_factory=lambda: boot_seconds() - 1000)
    limit_watts: float | None = 700.0
    utilization_percent: int | None = 50
    memory_bytes: tuple[int, int] | None = (20_000_000_000, 80_000_000_000)
    temperature_celsius: int | None = 60
    processes: list[tuple[int | None, ...]] | None = field(default_factory=list)
    drawing: list[tuple[int, int]] = field(default_factory=list)
    has_process_utilization: bool = False
    compute_slices: int | None = None
    instances: list[FakeInstance] = field(default_factory=list)
    rules: list[str] = field(default_factory=list)

    def __post_init__(self):
        begins = boot_seconds() - 1000 if self.energy_since is None else self.energy_since
        self.power = [] if self.watts is None else [PowerSegment(self.watts, begins=begins)]

    def draw(self, watts, *, swing_watts=0.0, period_seconds=0.0):
        """Change the power from the next `Scenario.write` on, to a constant or to a sine around it."""
        self.power.append(PowerSegment(watts, swing_watts, period_seconds))

    def fault(self, symbol, code):
        """Make a call (`*`: all on this GPU) return an NVML code."""
        self.rules.append(f"fault {symbol} {code}")

    def delay(self, symbol, seconds):
        """Make a call answer later."""
        self.rules.append(f"delay {symbol} {seconds!r}")

    def hang(self, symbol):
        """Make a call not answer until `heal`."""
        self.rules.append(f"hang {symbol}")

    def stick(self, symbol):
        """Make a call never answer again; only the end of the process ends it."""
        self.rules.append(f"stuck {symbol}")

    def heal(self):
        """Take back every fault and wait."""
        self.rules.clear()

    def reload_driver(self):
        """Let the energy counter begin again at 0 now."""
        self.energy_since = boot_seconds()

    def energy_joules(self, at, since=None):
        """Return the exact energy from a boot-clock moment to another.

        Without `since` it counts from `energy_since`, and is what the counter is to show at that moment.
        """
        since = self.energy_since if since is None else since
        begun = [segment for segment in self.power if segment.begins is not None]
        ends = [segment.begins for segment in begun[1:]] + [at]
        spans = [
            (segment, max(segment.begins, since), min(end, at))
            for segment, end in zip(begun, ends, strict=True)
        ]
        return sum(segment.joules(begin, end) for segment, begin, end in spans if begin < end)

    def lines(self):
        """Return this GPU's part of the scenario file."""
        values = {
            "energy_since": self.energy_since,
            "limit": self.limit_watts,
            "utilization": self.utilization_percent,
            "temperature": self.temperature_celsius,
        }
        lines = [f"gpu {self.uuid} {self.name}"]
        lines += [f"power {p.begins!r} {p.watts} {p.swing_watts} {p.period_seconds}" for p in self.power]
        lines += [f"{word} {value!r}" for word, value in values.items() if value is not None]
        if self.memory_bytes is not None:
            lines.append("memory {} {}".format(*self.memory_bytes))
        lines += _process_lines(self.processes)
        lines += [f"drawing {pid} - {percent}" for pid, percent in self.drawing]
        if self.has_process_utilization:
            lines.append("process_utilization")
        if self.compute_slices is not None:
            lines.append(f"mig {self.compute_slices}")
        for instance in self.instances:
            lines.append(f"instance {instance.uuid} {instance.compute_slices}")
            lines += _process_lines(instance.processes)
        return lines + self.rules


def _process_lines(processes):
    """Return the lines of a list of processes; none where it cannot be read."""
    if processes is None:
        return []
    words = ((pid, *("-" if value is None else value for value in values)) for pid, *values in processes)
    return ["processes", *(f"process {' '.join(map(str, line))}" for line in words)]


class Scenario:
    """The scenario file. Change its GPUs or its own attributes, then `write`.

    Attributes:
        gpus: In the order of their indexes.
        init_code: What initialising NVML returns; 0 is success.
        rules: Lines for the library itself and for every GPU, as in tests/fakes/nvml/README.md.
    """

    def __init__(self, path, *gpus):
        self.path = Path(path)
        self.gpus = list(gpus)
        self.init_code = 0
        self.driver_version = "570.86.10"
        self.rules = []
        self.write()

    def write(self):
        """Put what was changed into force, all of it at once."""
        begins = boot_seconds() + _POWER_LEAD_SECONDS
        for segment in (segment for gpu in self.gpus for segment in gpu.power if segment.begins is None):
            segment.begins = begins
        lines = [f"init {self.init_code}", f"driver {self.driver_version}", *self.rules]
        lines += [line for gpu in self.gpus for line in gpu.lines()]
        partial = self.path.with_suffix(".partial")
        partial.write_text("\n".join(lines) + "\n", encoding="ascii")
        partial.replace(self.path)

    def environment(self, library):
        """Return what a program needs in its environment to see these GPUs through the library at a path."""
        search = [str(Path(library).parent), os.environ.get("LD_LIBRARY_PATH", "")]
        return {"LD_LIBRARY_PATH": ":".join(filter(None, search)), _VARIABLE: str(self.path)}

    def clients(self):
        """Return the PIDs of the living processes that hold NVML open."""
        folder = self.path.with_name(f"{self.path.name}.clients")
        pids = {int(file.name) for file in folder.iterdir()} if folder.exists() else set()
        return {pid for pid in pids if Path(f"/proc/{pid}").exists()}
