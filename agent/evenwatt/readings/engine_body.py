"""What belongs to an engine beside the process that listens: its launcher, its container or unit, its GPUs.

All of it is out of /proc, once for each life of the process and as soon as it is known: a program that gives
itself a title writes over its own environment.
"""

import re
from collections.abc import Mapping
from pathlib import Path, PurePath

from msgspec import Struct

from evenwatt.model import VisibleGpus
from evenwatt.readings.exposition import bounded_text
from evenwatt.readings.processes import ancestors, body

__all__ = ["EngineBody", "engine_body", "role_of", "visible_gpus"]

_PROC = Path("/proc")
_LAUNCHERS = frozenset({"text-generation-launcher", "mpirun", "mpiexec", "orterun", "prterun"})
"""Programs that start the process that listens, and beside it those that compute."""
_MOST_WORDS = 64
_KV_ROLE = re.compile(rb"kv_role[\"':=\s\0]*kv_(producer|consumer)\b")
_STORE_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
_OWN_STORE = re.compile(r"tmp[a-z0-9_]{8}")
"""How Python names a folder that an engine makes for one life, and tells its workers in this variable."""
_ROLES = {b"producer": "prefill", b"consumer": "decode"}


class EngineBody(Struct, frozen=True, kw_only=True):
    """What an engine's own processes are known by.

    Attributes:
        pid: What computes for the engine is this process, or below it.
        body: The container or service that it runs in; None where in none.
        visible_gpus: What it was started with; None where its environment does not say, or may not be read.
        store: The folder that somebody named for its counters: files of earlier processes are added in, so
            that they go on where those left off. None where nobody did, or where that may not be read.
    """

    pid: int
    body: str | None
    visible_gpus: VisibleGpus | None
    store: str | None


def engine_body(listener_pid: int) -> EngineBody:
    """Return what belongs to the engine whose process listens."""
    above = ancestors(listener_pid)
    pid = listener_pid
    for parent in above:
        if _program(parent) not in _LAUNCHERS:
            break
        pid = parent
    # Of a process that has a title, the nearest parent without one was started with the same.
    environments = map(_environment, (listener_pid, *above))
    told = next((environment for environment in environments if environment != {}), None)
    return EngineBody(
        pid=pid,
        body=body(listener_pid),
        visible_gpus=None if told is None else visible_gpus(told),
        store=None if told is None else _store(told),
    )


def role_of(pid: int | None) -> str | None:
    """Return whether a vLLM server was told to prefill or to decode only; None where not, or not told.

    Its --kv-transfer-config says so, but for connectors whose servers may each do both.
    """
    try:
        command = b"" if pid is None else (_PROC / str(pid) / "cmdline").read_bytes()
    except OSError:
        return None
    found = _KV_ROLE.search(command)
    return None if found is None else _ROLES[found[1]]


def visible_gpus(environment: Mapping[str, str]) -> VisibleGpus | None:
    """Return what an environment says of GPUs; None where it says nothing.

    `void` and `none` of NVIDIA_VISIBLE_DEVICES mean that the container runtime gave none, which says nothing
    of GPUs that came into the container in another way.
    """
    container = _words(environment.get("NVIDIA_VISIBLE_DEVICES"))
    container = None if container in {("void",), ("none",), ()} else container
    cuda = _words(environment.get("CUDA_VISIBLE_DEVICES"))
    if container is None and cuda is None:
        return None
    return VisibleGpus(
        container=container,
        cuda=cuda,
        is_pci_order=environment.get("CUDA_DEVICE_ORDER", "").strip() == "PCI_BUS_ID",
    )


def _store(environment: Mapping[str, str]) -> str | None:
    """Return the folder in which counters outlive their process, as an environment names it."""
    store = environment.get(_STORE_VARIABLE, "")
    is_own = _OWN_STORE.fullmatch(PurePath(store).name) is not None
    return bounded_text(store) if store and not is_own else None


def _words(text: str | None) -> tuple[str, ...] | None:
    if text is None:
        return None
    return tuple(word.strip() for word in text.split(",")[:_MOST_WORDS] if word.strip())


def _environment(pid: int) -> Mapping[str, str] | None:
    """Return a process' environment; empty where a title was written over it, None where it cannot be had."""
    try:
        content = (_PROC / str(pid) / "environ").read_bytes()
    except OSError:
        return None
    if not content:
        return None
    entries = (entry.decode("utf-8", "replace").partition("=") for entry in content.split(b"\0"))
    return {name: value for name, separator, value in entries if separator}


def _program(pid: int) -> str:
    try:
        command = (_PROC / str(pid) / "cmdline").read_bytes()
    except OSError:
        return ""
    return PurePath(command.partition(b"\0")[0].decode("utf-8", "replace")).name
