"""Which TCP sockets of this machine listen, as the kernel tells it.

It is asked over netlink (sock_diag, as `ss` does): that walks the listening sockets only. /proc/net/tcp walks
the table of all connections as well, which takes milliseconds on a machine with much memory, and is only
read where netlink is not allowed.
"""

import ipaddress
import socket
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

__all__ = ["Address", "ListeningSocket", "listening_sockets", "network_addresses", "parsed_address"]

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

# linux/netlink.h, linux/sock_diag.h, linux/inet_diag.h
_NETLINK_SOCK_DIAG = 4
_SOCK_DIAG_BY_FAMILY = 20
_REQUEST_DUMP = 0x301
_MESSAGE_HEADER = struct.Struct("=IHHII")
_DIAG_REQUEST = struct.Struct("=BBBxI48x")
_DIAG_ANSWER = struct.Struct("=4x2s2x16s44xI")
_ERROR, _DONE = 2, 3
_TCP_LISTEN = 10
_LISTEN_WORD = f"{_TCP_LISTEN:02X}"
_PROC = Path("/proc")
_RECEIVE_BYTES = 64 * 2**10
_TIMEOUT_SECONDS = 1.0


class ListeningSocket(NamedTuple):
    """A socket that takes connections; an IPv4 address mapped into IPv6 is given as IPv4."""

    address: Address
    port: int
    inode: int


def listening_sockets(of_pid: int | None = None) -> tuple[ListeningSocket, ...]:
    """Return the listening TCP sockets of this network namespace, or of the one of a process.

    Of a process that is gone, there are none.
    """
    if of_pid is not None:
        return tuple(_listed_in(_PROC / str(of_pid) / "net"))
    try:
        return (*_diagnosed(socket.AF_INET), *_diagnosed(socket.AF_INET6))
    except OSError:
        return tuple(_listed_in(_PROC / "net"))


def network_addresses(of_pid: int) -> tuple[Address, ...]:
    """Return the addresses of the network namespace of a process, but for loopback and link-local ones."""
    folder = _PROC / str(of_pid) / "net"
    found = dict.fromkeys((*_ipv4_addresses(folder / "fib_trie"), *_ipv6_addresses(folder / "if_inet6")))
    return tuple(address for address in found if not address.is_loopback and not address.is_link_local)


def parsed_address(text: str) -> Address | None:
    """Return the IP address that a text is, or None; an IPv4 address mapped into IPv6 is given as IPv4."""
    try:
        return _unmapped(ipaddress.ip_address(text))
    except ValueError:
        return None


def _diagnosed(family: int) -> Iterator[ListeningSocket]:
    request = _DIAG_REQUEST.pack(family, socket.IPPROTO_TCP, 0, 1 << _TCP_LISTEN)
    length = _MESSAGE_HEADER.size + len(request)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_SOCK_DIAG) as kernel:
        kernel.settimeout(_TIMEOUT_SECONDS)
        kernel.send(_MESSAGE_HEADER.pack(length, _SOCK_DIAG_BY_FAMILY, _REQUEST_DUMP, 1, 0) + request)
        while True:
            for kind, payload in _messages(kernel.recv(_RECEIVE_BYTES)):
                if kind == _DONE:
                    return
                if kind == _ERROR:
                    raise OSError("the kernel refuses to list its sockets over netlink")
                port, address, inode = _DIAG_ANSWER.unpack_from(payload)
                packed = address[:4] if family == socket.AF_INET else address
                yield ListeningSocket(
                    _unmapped(ipaddress.ip_address(packed)), int.from_bytes(port, "big"), inode
                )


def _messages(datagram: bytes) -> Iterator[tuple[int, bytes]]:
    position = 0
    while position < len(datagram):
        length, kind, *_ = _MESSAGE_HEADER.unpack_from(datagram, position)
        yield kind, datagram[position + _MESSAGE_HEADER.size : position + length]
        position += (length + 3) & ~3


def _listed_in(folder: Path) -> Iterator[ListeningSocket]:
    """Yield what /proc/net tells, or its like of another namespace.

    A line is a socket: number, local address:port in hexadecimal, the remote ones, state, ..., and as tenth
    word the inode (proc_net_tcp in the kernel's documentation).
    """
    for words in _lines_of(folder / "tcp", folder / "tcp6"):
        if words[3] == _LISTEN_WORD:
            address, _, port = words[1].partition(":")
            yield ListeningSocket(_address_of_words(address), int(port, 16), int(words[9]))


def _ipv4_addresses(file: Path) -> Iterator[Address]:
    """Yield the addresses of an IPv4 routing table: a leaf `|-- ADDRESS`, and under it what it is.

    /proc has no plainer list of the addresses of a namespace.
    """
    leaf = ""
    for words in _lines_of(file):
        if words[0] == "|--":
            leaf = words[1]
        elif words[-2:] == ["host", "LOCAL"]:
            yield ipaddress.IPv4Address(leaf)


def _ipv6_addresses(file: Path) -> Iterator[Address]:
    """Yield the addresses of if_inet6: each line begins with one, in hexadecimal without colons."""
    for words in _lines_of(file):
        yield ipaddress.IPv6Address(bytes.fromhex(words[0]))


def _lines_of(*files: Path) -> Iterator[list[str]]:
    for file in files:
        try:
            text = file.read_text(encoding="ascii")
        except OSError:
            continue  # a machine without IPv6, a process that is gone
        yield from filter(None, map(str.split, text.splitlines()))


def _address_of_words(hexadecimal: str) -> Address:
    """Return an address that the kernel wrote as words of 32 bits in its own byte order."""
    words = [int(hexadecimal[start : start + 8], 16) for start in range(0, len(hexadecimal), 8)]
    return _unmapped(ipaddress.ip_address(struct.pack(f"={len(words)}I", *words)))


def _unmapped(address: Address) -> Address:
    return getattr(address, "ipv4_mapped", None) or address
