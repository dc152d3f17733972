"""An inference server to be metered: GPUs whose driver takes its time, engines with long pages, the agent."""

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

from agent_process import AgentProcess
from engine_process import EngineProcess
from fake_nvml import FakeGpu, Scenario, build_library

GPUS = 8
ENGINES = 4
PAGE_LINES = 1_500
LIFE_SECONDS = 7_200
"""Engines end by themselves, should this program be killed."""

CALL_SECONDS = 0.001
"""What a driver takes for power and energy; the other calls are answered from its memory."""


@contextlib.contextmanager
def metered_server(sampling, *, models_per_engine: int = 1) -> Iterator[AgentProcess]:
    """Start engines and agent, and wait for its first tick.

    Args:
        sampling: As in the configuration.
        models_per_engine: Each engine has two of the GPUs.
    """
    with tempfile.TemporaryDirectory(prefix="evenwatt-bench-") as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        arguments = ("--lines", PAGE_LINES, "--models", models_per_engine, "--life", LIFE_SECONDS)
        engines = [stack.enter_context(EngineProcess(folder, *map(str, arguments))) for _ in range(ENGINES)]
        gpus = [_gpu(index, engines[index * ENGINES // GPUS].pid) for index in range(GPUS)]
        scenario = Scenario(folder / "gpus", *gpus)
        settings = {
            "engines": [
                {"name": f"engine-{number}", "kind": "vllm", "url": engine.url}
                for number, engine in enumerate(engines)
            ],
            "references": [
                "anthropic:claude-haiku-4-5",
                "openai:gpt-4o-mini",
                "google:gemini-2.5-flash",
            ],
            "sampling": sampling,
        }
        environment = scenario.environment(build_library(folder / "nvml"))
        yield stack.enter_context(AgentProcess(folder, settings, environment=environment))


def _gpu(index, pid):
    gpu = FakeGpu(f"GPU-{index}", watts=400.0, processes=[(pid, 70_000_000_000)])
    gpu.delay("nvmlDeviceGetTotalEnergyConsumption", CALL_SECONDS)
    gpu.delay("nvmlDeviceGetPowerUsage", CALL_SECONDS)
    return gpu
