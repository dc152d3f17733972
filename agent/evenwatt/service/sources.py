"""Which sources there are: what the configuration names, and what this machine turns out to have."""

import ipaddress
import logging
import queue
import socket
import threading
from urllib.parse import urlsplit

import psutil
from msgspec import Struct, convert

from evenwatt.config.engines import Engine
from evenwatt.readings.discovery import EngineSearch, FoundEngine
from evenwatt.readings.engines.generic import CounterNames
from evenwatt.readings.family import FamilySource
from evenwatt.readings.networks import named_network
from evenwatt.readings.nvml import nvml_available

__all__ = ["Scout", "Settled", "Sighting", "engine_source", "is_local"]

_log = logging.getLogger("evenwatt")


def engine_source(engine: Engine | FoundEngine, deadline_seconds: float) -> FamilySource:
    """Return the source of an engine that the configuration names, or that was found."""
    api_key = engine.api_key if isinstance(engine, Engine) else None
    counters = engine.counters if isinstance(engine, Engine) else None
    return FamilySource(
        name=engine.name,
        url=engine.url,
        kind=None if engine.kind in {"auto", "generic"} else engine.kind,
        counters=None if counters is None else convert(counters, CounterNames, from_attributes=True),
        deadline_seconds=deadline_seconds,
        role=engine.role if isinstance(engine, Engine) else None,
        api_key=None if api_key is None else api_key.get_secret_value(),
    )


def is_local(url: str) -> bool:
    """Return whether a URL's host is this machine.

    No name is looked up, as that may wait for a network: but for localhost and this host's own name, a name
    is another machine.
    """
    host = urlsplit(url).hostname or ""
    if host in {"localhost", socket.gethostname()} or named_network(host) is not None:
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    own = {entry.address for addresses in psutil.net_if_addrs().values() for entry in addresses}
    return address.is_loopback or address.is_unspecified or str(address) in own


class Settled(Struct, frozen=True, kw_only=True):
    """What is known and needs no question: ports of the agent's own network, engines in others."""

    ports: frozenset[int]
    urls: frozenset[str] = frozenset()


class Sighting(Struct, frozen=True, kw_only=True):
    """What a look around this machine found; `gpus` is None where the driver was not asked."""

    engines: tuple[FoundEngine, ...]
    gpus: bool | None


class Scout:
    """Looks around this machine at once and then now and then, in a thread of its own."""

    def __init__(
        self, *, every_seconds: float, is_own_network_only: bool, wants_gpus: bool, settled: Settled
    ) -> None:
        """Begin to look.

        Args:
            every_seconds: Between two looks.
            is_own_network_only: Whether other networks of this machine are let alone.
            wants_gpus: Whether to ask the driver for GPUs too; not while the agent has them open itself.
            settled: Who is not asked; may be set anew at any time.
        """
        self.settled = settled
        self._every_seconds = every_seconds
        self._is_own_network_only = is_own_network_only
        self._wants_gpus = wants_gpus
        self._sightings: queue.SimpleQueue[Sighting] = queue.SimpleQueue()
        self._closing = threading.Event()
        threading.Thread(target=self._run, name="scout", daemon=True).start()

    def news(self, patience_seconds: float = 0.0) -> Sighting | None:
        """Return the latest look that was not returned before, if there is one within some seconds."""
        latest = None
        try:
            latest = self._sightings.get(timeout=patience_seconds)
            while True:
                latest = self._sightings.get_nowait()
        except queue.Empty:
            return latest

    def close(self) -> None:
        """Stop looking."""
        self._closing.set()

    def _run(self) -> None:
        search = EngineSearch(is_own_network_only=self._is_own_network_only)
        while not self._closing.is_set():
            try:
                self._sightings.put(self._look(search))
            except Exception:  # noqa: BLE001 -- a fault of ours here must not end the search
                _log.exception("internal fault while looking for engines; please report it")
            self._closing.wait(self._every_seconds)

    def _look(self, search: EngineSearch) -> Sighting:
        gpus = nvml_available() is None if self._wants_gpus else None
        settled = self.settled
        return Sighting(engines=search.find(settled.ports, settled.urls), gpus=gpus)
