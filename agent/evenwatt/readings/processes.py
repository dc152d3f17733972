"""What the kernel says of processes and listening sockets, out of /proc.

It is the best witness of a restart there is: a process identity costs some microseconds, and no page can get
it wrong. Where it does not tell (another user's process, another machine), the answer is None, never a guess.
"""

import ipaddress
import os
import re
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import psutil
from msgspec import Struct

from evenwatt.readings.sockets import Address, listening_sockets, parsed_address

__all__ = [
    "FORWARDERS",
    "Listener",
    "ListenerLookup",
    "ProcessIdentity",
    "ancestors",
    "body",
    "cgroup_body",
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
        stat = _read_stat(pid)
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
    """

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port
        self._inodes: frozenset[int] = frozenset()
        self._listener: Listener | None = None
        self._descriptor: str | None = None

    def listener(self) -> Listener | None:
        """Return who listens.

        None where nobody does, where only a forwarder does, and where the address is not of this machine.
        """
        if not self._is_held():
            inodes = _listening_inodes(self._host, self._port)
            if self._descriptor is not None or inodes != self._inodes:
                self._look_up(inodes)
        return self._listener

    def _is_held(self) -> bool:
        """Return whether the process found is still there and holds the socket it was found with."""
        if self._descriptor is None or self._listener is None or self._listener.process is None:
            return False
        stat = _read_stat(self._listener.process.pid)
        return (
            stat is not None
            and stat.start_ticks == self._listener.process.start_ticks
            and _socket_inode(self._descriptor) in self._inodes
        )

    def _look_up(self, inodes: frozenset[int]) -> None:
        holders = list(_holders(inodes)) if inodes else []
        engines = [holder for holder in holders if holder.name not in FORWARDERS]
        oldest = min(engines, key=lambda holder: holder.process.start_ticks, default=None)
        self._inodes = inodes
        self._descriptor = None if oldest is None else oldest.descriptor
        self._listener = None
        if inodes and (oldest is not None or not holders):
            self._listener = Listener(inodes=inodes, process=None if oldest is None else oldest.process)


def ancestors(pid: int) -> tuple[int, ...]:
    """Return the parents of a process, nearest first, as far as /proc tells; empty when it is gone.

    Nothing is kept between calls: a level costs one small read, and an answer that is kept would have to be
    checked level by level all the same, because parents die and PIDs are used again.
    """
    parents: list[int] = []
    child = _read_stat(pid)
    while child is not None and child.parent > 0:
        parent = _read_stat(child.parent)
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


def is_loopback(host: str) -> bool:
    """Return whether a host as written in a URL can only be this machine."""
    address = parsed_address(host)
    return host.lower() == "localhost" if address is None else address.is_loopback


class _Stat(NamedTuple):
    name: str
    parent: int
    start_ticks: int


class _Holder(NamedTuple):
    process: ProcessIdentity
    name: str
    descriptor: str


def _read_stat(pid: int) -> _Stat | None:
    try:
        text = (_PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    # The name may hold spaces and parentheses; nothing after it does.
    head, _, tail = text.rpartition(")")
    fields = tail.split()
    return _Stat(name=head.partition("(")[2], parent=int(fields[1]), start_ticks=int(fields[19]))


def _holders(inodes: frozenset[int]) -> Iterator[_Holder]:
    """Yield the readable processes that hold one of the sockets."""
    for pid in psutil.pids():
        descriptor = _descriptor_of(pid, inodes)
        stat = None if descriptor is None else _read_stat(pid)
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


def _listening_inodes(host: str, port: int) -> frozenset[int]:
    """Return the sockets that take a connection to this host and port.

    As the kernel chooses: a socket bound to the address itself goes before one bound to all addresses.
    """
    addresses = _own_addresses(host)
    if not addresses:
        return frozenset()
    sockets = [found for found in listening_sockets() if found.port == port]
    exact = frozenset(found.inode for found in sockets if found.address in addresses)
    return exact or frozenset(found.inode for found in sockets if found.address.is_unspecified)


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
