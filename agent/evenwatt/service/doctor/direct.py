"""The driver and the engines, looked at without an agent: one reading each."""

from collections.abc import Iterator

from evenwatt.config import Settings
from evenwatt.errors import SourceError
from evenwatt.model import EngineReading, GpuReading
from evenwatt.readings.discovery import EngineSearch
from evenwatt.readings.families import HOW_TO_METER_OLLAMA
from evenwatt.readings.nvml import NvmlSource
from evenwatt.service.sources import engine_source
from evenwatt.service.start import why_no_gpus
from evenwatt.snapshot.checks import Finding, Health

__all__ = ["broken_engine", "engine_findings", "gpu_findings"]


def gpu_findings() -> Iterator[Finding]:
    """Yield whether the driver answers, and what each GPU gives."""
    reason = why_no_gpus(lambda: False)
    if reason is not None:
        yield Finding(
            link="driver",
            health=Health.WEAK,
            text=f"no GPU is metered: {reason}",
            mend="where there is a GPU, see that nvidia-smi works for this user",
        )
        return
    source = NvmlSource()
    try:
        listing = source.read()
    except SourceError as error:
        yield Finding(link="driver", health=Health.BROKEN, text=str(error))
        return
    finally:
        source.close()
    yield Finding(
        link="driver",
        health=Health.GOOD,
        text=f"NVIDIA driver {listing.driver_version}, {len(listing.gpus)} GPU",
    )
    for gpu in listing.gpus:
        link = f"GPU {gpu.index}"
        if gpu.fault is not None:
            yield Finding(link=link, health=Health.BROKEN, text=f"{gpu.name}: {gpu.fault}")
        elif _has_no_list(gpu):
            yield Finding(
                link=link,
                health=Health.WEAK,
                text=f"{gpu.name}: its list of processes cannot be read; engines are not told apart on it",
                mend="write `gpus:` for each engine; in a container, share the host's PIDs",
            )
        else:
            how = "energy counter" if gpu.has_energy_counter else "integrated power"
            split = (
                "" if gpu.instances is None else f", split by slices of {len(gpu.instances)} MIG instances"
            )
            yield Finding(link=link, health=Health.GOOD, text=f"{gpu.name}: energy by {how}{split}")


def _has_no_list(gpu: GpuReading) -> bool:
    """Return whether processes on a GPU, or on one of its instances, cannot be told apart."""
    if gpu.instances is None:
        return gpu.processes is None
    return any(instance.processes is None for instance in gpu.instances)


def engine_findings(settings: Settings) -> Iterator[Finding]:
    """Yield what each engine's page says; engines are looked for where none are named."""
    search = EngineSearch(is_own_network_only=settings.sampling.discovery_networks == "own")
    engines = search.find() if settings.engines is None else settings.engines
    for text in search.unreachable:
        yield Finding(
            link="engines",
            health=Health.WEAK,
            text=f"what looks like an engine cannot be asked: {text}",
            mend="where that is lasting, write `engines:` with an address at which the agent reaches it",
        )
    for engine in engines:
        source = engine_source(engine, settings.sampling.deadline_seconds)
        try:
            reading = source.read()
        except SourceError as error:
            yield broken_engine(engine.name, str(error))
        else:
            yield Finding(link=f"engine {engine.name}", health=Health.GOOD, text=_counted(reading))
        finally:
            source.close()
    if not engines:
        yield Finding(
            link="engines",
            health=Health.BROKEN,
            text="no engine was found on this machine, so that there is no token to count",
            mend="start one, or write `engines:` with its URL",
        )


def broken_engine(name: str, error: str) -> Finding:
    """Return the finding of an engine that cannot be read, and how to mend it where that is known."""
    text, separator, _ = error.partition(f": {HOW_TO_METER_OLLAMA}")
    mend = HOW_TO_METER_OLLAMA if separator else None
    return Finding(link=f"engine {name}", health=Health.BROKEN, text=text, mend=mend)


def _counted(reading: EngineReading) -> str:
    tokens = sum(m.input_tokens + (m.cached_input_tokens or 0) + m.output_tokens for m in reading.all_models)
    models = ", ".join(model.model for model in reading.all_models) or "no model yet"
    steps = "" if reading.step_tokens == 1 else f", told in steps of {reading.step_tokens:,}"
    return f"{reading.kind} answers, {models}: its counters stand at {tokens:,} tokens{steps}"
