"""A machine to meter: a counting engine, two fake GPUs and the real agent, each started and ended at will."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from agent_process import AgentProcess
from counting_engine import Counts
from engine_process import EngineProcess
from fake_nvml import FakeGpu, Scenario, boot_seconds
from recorded_history import RecordedHistory

__all__ = ["ENGINE", "PRICE_PER_KWH", "EngineLife", "MeteredSite"]

ENGINE = "chat"
PRICE_PER_KWH = 0.36
"""One ten-millionth for a joule."""

_GPU_MEMORY_BYTES = 20_000_000_000
_TICKS_SECONDS = 20.0
_GPU_IS_LOST = 15
"""NVML_ERROR_GPU_IS_LOST"""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineLife:
    """One process of the engine, as the history knows it.

    Attributes:
        pid: Of the process.
        read: What it had counted on the last page that was booked, by model.
    """

    pid: int
    read: dict[str, Counts]


class MeteredSite:
    """The machine; use it as a context manager, which ends whatever still runs.

    Nothing draws power and no engine runs at first, so that all that is counted later is there to be metered.

    Args:
        folder: Empty, for everything that is written.
        library: Of the fake GPUs.
        tick_seconds: Of the agent.

    Attributes:
        counter_gpu: Has an energy counter, and the engine's process.
        sampled_gpu: Has none, and no process: its power is integrated, and nobody's.
    """

    def __init__(self, folder: Path, library: Path, *, tick_seconds: float) -> None:
        self.began_boot_seconds = boot_seconds()
        self.tick_seconds = tick_seconds
        self.engine = EngineProcess(folder, "--models", "2")
        self.counter_gpu = FakeGpu("GPU-counter", watts=0.0)
        self.sampled_gpu = FakeGpu("GPU-sampled", watts=0.0, energy_since=None)
        self._scenario = Scenario(folder / "gpus", self.counter_gpu, self.sampled_gpu)
        settings = {
            "engines": [{"name": ENGINE, "kind": "vllm", "url": self.engine.url}],
            "electricity": {"price_per_kwh": PRICE_PER_KWH},
            "hardware": {"purchase_price": 100_000},
            "sampling": {"tick_seconds": tick_seconds, "gpu_seconds": 0.1},
        }
        self.agent = AgentProcess(folder, settings, environment=self._scenario.environment(library))
        self.history = RecordedHistory(self.agent.history)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.agent.kill()
        self.engine.kill()

    def start_engine(self) -> None:
        """Start the engine, which counts from zero and has a process on its GPU.

        Where the agent watches for at least a tick by then, all that it counts is there to be booked.
        """
        self.engine.start()
        self.counter_gpu.processes = [(self.engine.pid, _GPU_MEMORY_BYTES)]
        self._scenario.write()

    def draw_power(self) -> None:
        """Let both GPUs draw power from now on."""
        self.counter_gpu.draw(400.0, swing_watts=200.0, period_seconds=0.7)
        self.sampled_gpu.draw(200.0)
        self._scenario.write()

    def lose_sampled_gpu(self) -> None:
        """Let the driver answer to everything about that GPU that it is lost."""
        self.sampled_gpu.fault("*", _GPU_IS_LOST)
        self._scenario.write()

    def come_to_rest(self) -> None:
        """Let nothing count and nothing draw power any more, and wait until the agent has read all of it."""
        self.engine.set_rates(Counts())
        self.counter_gpu.draw(0.0)
        self.sampled_gpu.draw(0.0)
        self._scenario.write()
        rests = [gpu.power[-1].begins for gpu in (self.counter_gpu, self.sampled_gpu)]
        self.agent.wait_for(lambda: boot_seconds() > max(rests))
        self.agent.wait_until_read_anew(ENGINE)
        self.agent.wait_until_read_anew("nvml")

    def true_joules(self, gpu: FakeGpu) -> float:
        """Return all that a GPU has drawn since the site is there."""
        return float(gpu.energy_joules(boot_seconds(), since=self.began_boot_seconds))

    def last_tick(self) -> float | None:
        """Return the boot-clock moment of the last committed tick; None before the first."""
        machine = self.history.cursor("machine")
        return None if machine is None else machine["last"][1]

    def wait_for_a_whole_tick(self) -> None:
        """Wait until a tick is committed that began after this call.

        The first one to be committed may have begun before; the one after it has not.
        """
        now = boot_seconds()
        ticks: set[float] = set()
        until = time.monotonic() + _TICKS_SECONDS
        while len(ticks) < 2:
            assert time.monotonic() < until, self.agent.log.read_text()[-3000:]
            tick = self.last_tick()
            ticks |= {tick} if tick is not None and tick > now else set()
            time.sleep(self.tick_seconds / 4)

    def engine_life(self) -> EngineLife | None:
        """Return the engine's process that was booked last; None before the first."""
        cursor: dict[str, Any] | None = self.history.cursor(f"engine:{ENGINE}")
        if cursor is None:
            return None
        _, pid, _ = cursor["signals"]["process"].split(":")
        read = {
            model: Counts(
                input_tokens=state["input"],
                cached_input_tokens=state["cached"],
                output_tokens=state["output"],
                completed_requests=state["requests"]["completed"],
            )
            for model, state in cursor["models"].items()
        }
        return EngineLife(pid=int(pid), read=read)
