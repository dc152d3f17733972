"""What the kernel says of processes and listening sockets, out of /proc.

It is the best witness of a restart there is: a process identity costs some microseconds, and no page can get
it wrong. Where it does not tell (another user's process, another machine), the answer is None, never a guess.
"""

import ipaddress
import math
import os
import re
import socket
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path, PurePath
from typing import NamedTuple

import psutil
from msgspec import Struct

from evenwatt.clock import boot_seconds
from evenwatt.readings.networks import named_network, network_with
from evenwatt.readings.process_stat import command_line, process_stat
from evenwatt.readings.sockets import Address, ListeningSocket, listening_sockets, parsed_address

__all__ = [
    "FORWARDERS",
    "Listener",
    "ListenerLookup",
    "ProcessIdentity",
    "ancestors",
    "body",
    "cgroup_body",
    "forwarded_to",
    "held_sockets",
    "is_loopback",
]

_PROC = Path("/proc")
_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
_LOCALHOST: frozenset[Address] = frozenset({ipaddress.IPv4Address("127.0.0.1"), ipaddress.IPv6Address("::1")})

FORWARDERS = frozenset(
    {
        *("docker-proxy", "rootlessport", "rootlesskit", "slirp4netns", "pasta", "pasta.avx2"),
        *("ssh", "sshd", "sshd-session", "autossh", "socat", "kubectl", "cloudflared", "tailscaled"),
        *("nginx", "haproxy", "envoy", "traefik", "caddy", "apache2", "httpd"),
        *("systemd", "init"),
    }
)
"""Names of programs that hold a port for somebody else (the last two by socket activation).

Their start says nothing of the engine's: an ssh tunnel to an engine that has run for a year is a minute old.
"""


_OTHERS_SECONDS = 30.0
"""How seldom the networks of this machine are searched for an address that is not the agent's own."""
_CONTAINER = re.compile(r"(?:[a-z]+(?:-[a-z]+)*-)?([0-9a-f]{64})(?:\.scope)?")
_SHORT_ID = 12
"""As container runtimes show an id."""


class ProcessIdentity(Struct, frozen=True, kw_only=True):
    """A process that no other process of this boot is equal to, though PIDs are used again.

    Attributes:
        start_ticks: When it started, in clock ticks since boot (field 22 of /proc/PID/stat).
    """

    pid: int
    start_ticks: int

    @property
    def started_boot_seconds(self) -> float:
        """When it started, on the clock that `evenwatt.clock.boot_seconds` reads."""
        return self.start_ticks / _TICKS_PER_SECOND

    @classmethod
    def of(cls, pid: int) -> "ProcessIdentity | None":
        """Return the identity of the process that has a PID now; None where there is none."""
        stat = process_stat(pid)
        return None if stat is None else cls(pid=pid, start_ticks=stat.start_ticks)


class Listener(Struct, frozen=True, kw_only=True):
    """Who listens on a port of this machine.

    Attributes:
        inodes: The listening sockets; several where processes share a port (SO_REUSEPORT).
        process: The oldest process that holds one of them; None where no holder can be read.
    """

    inodes: frozenset[int]
    process: ProcessIdentity | None


class ListenerLookup:
    """Finds the listener behind one host and port, again and again.

    To find a holder, the files of every process have to be walked. So the answer is kept: for as long as the
    process found is the same one and still holds the same socket, which takes two small reads to see; and
    where no holder could be read, for as long as the sockets are the same ones.

    Docker's forwarder says in its command line where in which container it leads: who listens there is found.
    While nobody does, only the sockets of that container's network are looked at again.
    """

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port
        self._inodes: frozenset[int] = frozenset()
        self._held: frozenset[int] = frozenset()
        self._target: tuple[Address, int] | None = None
        self._listener: Listener | None = None
        self._descriptor: str | None = None
        self._asked_boot_seconds = -math.inf

    def listener(self) -> Listener | None:
        """Return who listens.

        None where nobody does, where only a forwarder does, and where the address is not of this machine.
        """
        if not self._is_held():
            inodes = self._listening_inodes()
            if self._descriptor is not None or inodes != self._inodes or self._has_changed_behind():
                self._look_up(inodes)
        return self._listener

    def _listening_inodes(self) -> frozenset[int]:
        network = named_network(self._host)
        if network is not None:
            return frozenset(found.inode for found in network.sockets if found.port == self._port)
        addresses = _own_addresses(self._host)
        if addresses:
            return _chosen_inodes(listening_sockets(), addresses, self._port)
        address = parsed_address(self._host)
        # Every network of the machine is looked through, for what is mostly another machine.
        if address is None or boot_seconds() - self._asked_boot_seconds < _OTHERS_SECONDS:
            return self._inodes
        self._asked_boot_seconds = boot_seconds()
        return _inodes_elsewhere(address, self._port)

    def _is_held(self) -> bool:
        """Return whether the process found is still there and holds the socket it was found with."""
        if self._descriptor is None or self._listener is None or self._listener.process is None:
            return False
        stat = process_stat(self._listener.process.pid)
        return (
            stat is not None
            and stat.start_ticks == self._listener.process.start_ticks
            and _socket_inode(self._descriptor) in self._held
        )

    def _has_changed_behind(self) -> bool:
        """Return whether other sockets listen now where a forwarder leads."""
        return self._target is not None and _inodes_elsewhere(*self._target) != self._held

    def _look_up(self, inodes: frozenset[int]) -> None:
        holders = list(_holders(inodes)) if inodes else []
        self._inodes = self._held = inodes
        self._target = next(filter(None, (forwarded_to(holder.process.pid) for holder in holders)), None)
        if self._target is not None:
            self._held = _inodes_elsewhere(*self._target)
            holders = [*holders, *(_holders(self._held) if self._held else ())]
        engines = [holder for holder in holders if holder.name not in FORWARDERS]
        oldest = min(engines, key=lambda holder: holder.process.start_ticks, default=None)
        self._descriptor = None if oldest is None else oldest.descriptor
        self._listener = None
        if inodes and (oldest is not None or not holders):
            self._listener = Listener(inodes=self._held, process=None if oldest is None else oldest.process)


def forwarded_to(pid: int) -> tuple[Address, int] | None:
    """Return where Docker's forwarder leads in the network of a container; None for any other process."""
    words = command_line(pid)
    if not words or PurePath(words[0]).name != "docker-proxy":
        return None
    options = dict(zip(words[1::2], words[2::2], strict=False))
    address = parsed_address(options.get("-container-ip", ""))
    port = options.get("-container-port", "")
    return (address, int(port)) if address is not None and port.isdecimal() else None


def ancestors(pid: int) -> tuple[int, ...]:
    """Return the parents of a process, nearest first, as far as /proc tells; empty when it is gone.

    Nothing is kept between calls: a level costs one small read, and an answer that is kept would have to be
    checked level by level all the same, because parents die and PIDs are used again.
    """
    parents: list[int] = []
    child = process_stat(pid)
    while child is not None and child.parent > 0:
        parent = process_stat(child.parent)
        # A parent younger than its child is another process under a PID used again.
        if parent is None or parent.start_ticks > child.start_ticks:
            break
        parents.append(child.parent)
        child = parent
    return tuple(parents)


def body(pid: int) -> str | None:
    """Return the container or the service that a process runs in; None where in none, or not told."""
    try:
        return cgroup_body((_PROC / str(pid) / "cgroup").read_text(encoding="utf-8", errors="replace"))
    except OSError:
        return None


def cgroup_body(text: str) -> str | None:
    """Return the container or the service that the text of /proc/PID/cgroup names; None: it names none.

    `docker-<id>.scope`, `cri-containerd-<id>.scope` and `libpod-<id>.scope` are containers, as are folders
    named by an id alone. Of units only services count: a session's scope holds whatever a person starts.
    """
    for line in text.splitlines():
        for folder in reversed(line.rpartition(":")[2].split("/")):
            container = _CONTAINER.fullmatch(folder)
            if container is not None:
                return f"container {container[1][:_SHORT_ID]}"
            if folder.endswith(".service") and not folder.startswith("user@"):
                return folder
    return None


def held_sockets(pid: int, inodes: frozenset[int]) -> frozenset[int]:
    """Return which of some sockets a process holds; none of one whose files may not be read."""
    held = set()
    with suppress(OSError), os.scandir(_PROC / str(pid) / "fd") as descriptors:
        for descriptor in descriptors:
            inode = _socket_inode(descriptor.path)
            if inode in inodes:
                held.add(inode)
    return frozenset(held)


def is_loopback(host: str) -> bool:
    """Return whether a host as written in a URL can only be this machine."""
    if named_network(host) is not None:
        return True
    address = parsed_address(host)
    return host.lower() == "localhost" if address is None else address.is_loopback


class _Holder(NamedTuple):
    process: ProcessIdentity
    name: str
    descriptor: str


def _holders(inodes: frozenset[int]) -> Iterator[_Holder]:
    """Yield the readable processes that hold one of the sockets."""
    for pid in psutil.pids():
        descriptor = _descriptor_of(pid, inodes)
        stat = None if descriptor is None else process_stat(pid)
        if descriptor is not None and stat is not None:
            identity = ProcessIdentity(pid=pid, start_ticks=stat.start_ticks)
            yield _Holder(process=identity, name=stat.name, descriptor=descriptor)


def _descriptor_of(pid: int, inodes: frozenset[int]) -> str | None:
    with suppress(OSError), os.scandir(_PROC / str(pid) / "fd") as descriptors:
        for descriptor in descriptors:
            if _socket_inode(descriptor.path) in inodes:
                return descriptor.path
    return None


def _socket_inode(descriptor: str) -> int | None:
    try:
        target = os.readlink(descriptor)  # noqa: PTH115  # a Path for each of thousands of descriptors is slow
    except OSError:
        return None
    return int(target[8:-1]) if target.startswith("socket:[") else None


def _inodes_elsewhere(address: Address, port: int) -> frozenset[int]:
    """Return the sockets in another network of this machine that take a connection to an address of it."""
    network = network_with(address)
    return frozenset() if network is None else _chosen_inodes(network.sockets, frozenset({address}), port)


def _chosen_inodes(
    sockets: Iterable[ListeningSocket], addresses: frozenset[Address], port: int
) -> frozenset[int]:
    """Return the sockets that take a connection to one of some addresses, and to a port.

    As the kernel chooses: a socket bound to the address itself goes before one bound to all addresses.
    """
    found = [each for each in sockets if each.port == port]
    exact = frozenset(each.inode for each in found if each.address in addresses)
    return exact or frozenset(each.inode for each in found if each.address.is_unspecified)


def _own_addresses(host: str) -> frozenset[Address]:
    """Return the addresses of this machine that a host means; empty where it is, or may be, another machine.

    A name is not asked for in the DNS: that can block, and change its answer.
    """
    if host.lower() == "localhost":
        return _LOCALHOST
    address = parsed_address(host)
    if address is not None and address.is_loopback:
        return frozenset({address})
    own = frozenset(
        parsed
        for entries in psutil.net_if_addrs().values()
        for entry in entries
        if (parsed := parsed_address(entry.address.partition("%")[0])) is not None
    )
    if address is not None:
        return own & {address}
    return own if host.lower() == socket.gethostname().lower() else frozenset()
