"""What a start of the agent meters: what is there; where there is nothing, simulated readings that say so."""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from evenwatt import clock
from evenwatt.config import Settings
from evenwatt.readings.discovery import EngineSearch
from evenwatt.readings.nvml import NvmlSource, nvml_available, nvml_installed
from evenwatt.readings.recording import Recorder
from evenwatt.readings.replay import replay_sources
from evenwatt.readings.simulated import simulated_server
from evenwatt.service.agent import Agent
from evenwatt.sinks.history import is_there

__all__ = ["demo_agent", "real_or_simulated_agent", "why_no_gpus"]

_log = logging.getLogger("evenwatt")

_DRIVER_SECONDS = 10.0
"""A driver that does not answer in this time is metered all the same: its source says that it hangs."""
_LOOK_SECONDS = 0.1
"""How soon it is seen, while the driver does not answer, that the agent is to end."""


@contextmanager
def real_or_simulated_agent(
    settings: Settings,
    *,
    config_path: Path | None,
    may_simulate: bool,
    recorder: Recorder | None,
    is_stopping: Callable[[], bool],
) -> Iterator[Agent]:
    """Build the agent for this machine; on simulated readings where there is nothing at all to meter.

    Named engines are something to meter, also while they are down.

    Args:
        settings: As loaded.
        config_path: Where from; None: the usual places.
        may_simulate: Whether simulated readings may stand in.
        recorder: Where each reading is written too.
        is_stopping: Whether somebody asked to end meanwhile; a driver that hangs is then not waited for.
    """
    reason = why_no_gpus(is_stopping)
    has_gpus = reason is None or nvml_installed()
    named_or_known = settings.engines is not None or is_there(settings.history.path)
    own_port = frozenset({settings.server.listen.port})
    search = EngineSearch(is_own_network_only=settings.sampling.discovery_networks == "own")
    found = named_or_known or search.find(own_port)
    if reason is not None:
        _log.warning("no GPU is metered: %s", reason)
    if may_simulate and reason is not None and not found:
        _log.warning(
            "SIMULATED: neither a GPU nor an engine was found on this machine, so all readings are made up. "
            "Real ones take over as soon as there are any; `engines:` in the configuration names them, "
            "--no-simulation waits for them instead"
        )
        with demo_agent(settings, config_path=config_path, stands_in=True) as agent:
            yield agent
        return
    yield Agent(
        settings,
        gpus=NvmlSource(sample_seconds=settings.sampling.gpu_seconds) if has_gpus else None,
        engines=None,
        history_path=settings.history.path,
        looks_for_gpus=not has_gpus,
        config_path=config_path,
        recorder=recorder,
    )


@contextmanager
def demo_agent(
    settings: Settings,
    *,
    config_path: Path | None,
    stands_in: bool = False,
    replay: Path | None = None,
    history_path: Path | None = None,
) -> Iterator[Agent]:
    """Build an agent on simulated or replayed readings, with a history that is gone with it unless named."""
    with TemporaryDirectory(prefix="evenwatt-simulated-") as folder:
        sources = replay_sources(replay) if replay else simulated_server(zone=settings.timezone)
        yield Agent(
            settings,
            gpus=next((source for source in sources if source.name == "nvml"), None),
            engines=[source for source in sources if source.name != "nvml"],
            history_path=history_path or Path(folder) / "history.db",
            looks_for_gpus=stands_in,
            config_path=config_path,
        )


def why_no_gpus(is_stopping: Callable[[], bool]) -> str | None:
    """Return why there are no GPUs; None where there are, or where the driver hangs.

    Args:
        is_stopping: Whether somebody asked to end meanwhile; a driver that hangs is then not waited for.
    """
    answer: list[str | None] = [None]

    def ask() -> None:
        answer[0] = nvml_available()

    thread = threading.Thread(target=ask, name="driver", daemon=True)
    thread.start()
    until = clock.boot_seconds() + _DRIVER_SECONDS
    while thread.is_alive() and clock.boot_seconds() < until and not is_stopping():
        thread.join(_LOOK_SECONDS)
    return answer[0]
