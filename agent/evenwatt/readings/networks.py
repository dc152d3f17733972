"""Network namespaces of this machine other than the agent's own: containers, `ip netns`, private networks.

What listens in one is named by a host that no DNS knows, `pid-<PID>-<start tick>.netns`: the network of that
process. It is reached by a socket made inside, for which the agent has to be root or hold CAP_SYS_ADMIN;
without, by an address of that network, where there is a route to it.
"""

import contextlib
import ctypes
import errno
import os
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import psutil
from msgspec import Struct

from evenwatt.readings.process_stat import process_stat
from evenwatt.readings.sockets import Address, ListeningSocket, listening_sockets, network_addresses

__all__ = [
    "Network",
    "NetworkHost",
    "is_in_other_network",
    "named_network",
    "network_with",
    "other_networks",
]

_PROC = Path("/proc")
_NAMED_NETWORKS = Path("/run/netns")
"""Where `ip netns add` keeps the networks that have a name."""
_HOST = re.compile(r"pid-([0-9]{1,10})-([0-9]{1,19})\.netns")
_CLONE_NEWNET = 0x40000000
_NOT_ENTERED = (
    "its network may not be entered and has no address that leads there; run the agent as root or with "
    "CAP_SYS_ADMIN, or publish its port"
)


class Network(Struct, frozen=True, kw_only=True):
    """A network namespace that is not the agent's own.

    Attributes:
        inode: By which the kernel knows it.
        name: As `ip netns` names it; None where it does not.
        pids: The processes in it that may be looked at.
    """

    inode: int
    name: str | None
    pids: tuple[int, ...]

    @property
    def sockets(self) -> tuple[ListeningSocket, ...]:
        """What listens in it."""
        return listening_sockets(self.pids[0])

    @property
    def addresses(self) -> tuple[Address, ...]:
        """Its addresses, but for loopback and link-local ones."""
        return network_addresses(self.pids[0])


class NetworkHost(Struct, frozen=True, kw_only=True):
    """The host of a URL that means the network of a process, for as long as that one lives."""

    pid: int
    start_ticks: int

    @property
    def name(self) -> str:
        """As it stands in a URL."""
        return f"pid-{self.pid}-{self.start_ticks}.netns"

    @property
    def sockets(self) -> tuple[ListeningSocket, ...]:
        """What listens there; nothing when the process is gone, also if another one has its number."""
        return listening_sockets(self.pid) if self._is_there() else ()

    def connect(self, port: int, timeout_seconds: float | None) -> socket.socket:
        """Return a connection to what listens there.

        Raises:
            OSError: Nobody listens, or it cannot be reached; the text says why.
        """
        listening = [found.address for found in self.sockets if found.port == port]
        if not listening:
            raise ConnectionRefusedError(
                0, f"nobody listens at port {port} in the network of PID {self.pid} now"
            )
        address = _reachable(listening[0])
        family = socket.AF_INET if address.version == 4 else socket.AF_INET6  # noqa: PLR2004
        inside = _socket_in(self.pid, family)
        if inside is None:
            return self._connect_from_outside(listening[0], port, timeout_seconds)
        try:
            inside.settimeout(timeout_seconds)
            inside.connect((str(address), port))
        except BaseException:
            inside.close()
            raise
        return inside

    def _connect_from_outside(
        self, address: Address, port: int, timeout_seconds: float | None
    ) -> socket.socket:
        for candidate in network_addresses(self.pid) if address.is_unspecified else (address,):
            if not candidate.is_loopback:
                with contextlib.suppress(OSError):
                    return socket.create_connection((str(candidate), port), timeout_seconds)
        # Each address that was tried is one that leads nowhere from here.
        raise PermissionError(0, _NOT_ENTERED)

    def _is_there(self) -> bool:
        stat = process_stat(self.pid)
        return stat is not None and stat.start_ticks == self.start_ticks


def named_network(host: str) -> NetworkHost | None:
    """Return the network that the host of a URL means; None for any other host."""
    named = _HOST.fullmatch(host)
    return None if named is None else NetworkHost(pid=int(named[1]), start_ticks=int(named[2]))


def is_in_other_network(pid: int) -> bool:
    """Return whether a process is seen to be in another network than the agent's own."""
    inode = _inode_of(_PROC / str(pid) / "ns" / "net")
    return inode is not None and inode != _own_inode()


def other_networks() -> tuple[Network, ...]:
    """Return the networks of processes that may be looked at, but for the agent's own.

    Another user's processes may only be looked at by root, or with CAP_SYS_PTRACE.
    """
    own = _own_inode()
    pids: dict[int, list[int]] = {}
    for pid in psutil.pids():
        inode = _inode_of(_PROC / str(pid) / "ns" / "net")
        if inode is not None and inode != own:
            pids.setdefault(inode, []).append(pid)
    names = dict(_names()) if pids else {}
    return tuple(
        Network(inode=inode, name=names.get(inode), pids=tuple(sorted(members)))
        for inode, members in pids.items()
    )


def network_with(address: Address) -> Network | None:
    """Return the network on this machine that has an address."""
    return next((network for network in other_networks() if address in network.addresses), None)


def _names() -> Iterator[tuple[int, str]]:
    with contextlib.suppress(OSError):
        for file in _NAMED_NETWORKS.iterdir():
            inode = _inode_of(file)
            if inode is not None:
                yield inode, file.name


def _own_inode() -> int | None:
    return _inode_of(_PROC / "thread-self" / "ns" / "net")


def _inode_of(file: Path) -> int | None:
    try:
        return file.stat().st_ino
    except OSError:
        return None


def _reachable(address: Address) -> Address:
    """Return an address at which a process of the same network reaches what is bound to one."""
    if not address.is_unspecified:
        return address
    return type(address)("127.0.0.1" if address.version == 4 else "::1")  # noqa: PLR2004


def _socket_in(pid: int, family: socket.AddressFamily) -> socket.socket | None:
    """Return a socket made in the network of a process; this thread is in it for that moment only.

    None where that network may not be entered.

    Raises:
        OSError: The process is gone.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    with (_PROC / "thread-self/ns/net").open("rb") as own, (_PROC / str(pid) / "ns/net").open("rb") as other:
        if libc.setns(other.fileno(), _CLONE_NEWNET):
            number = ctypes.get_errno()
            if number == errno.EPERM:
                return None
            raise OSError(number, os.strerror(number))
        try:
            return socket.socket(family, socket.SOCK_STREAM)
        finally:
            if libc.setns(own.fileno(), _CLONE_NEWNET):
                raise RuntimeError(f"this thread cannot leave the network of PID {pid}; restart the agent")
