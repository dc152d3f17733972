"""Networks apart from the machine's own, and programs in them.

    python other_network.py PROGRAM [ARGUMENT ...]

runs a program in a new network that has nothing but loopback. It needs root or CAP_SYS_ADMIN, and says so.
"""

import ctypes
import fcntl
import os
import socket
import struct
import subprocess
import sys
from pathlib import Path

__all__ = ["SCRIPT", "enter_network", "enter_new_network", "network_refusal"]

SCRIPT = __file__

_CLONE_NEWNET = 0x40000000
_SIOCSIFFLAGS = 0x8914
_IFF_UP = 1


def enter_new_network():
    """Put this thread, and what it starts, into a network of its own with loopback.

    Raises:
        PermissionError: That is not allowed here.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWNET):
        raise PermissionError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    with socket.socket() as any_socket:
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sh22x", b"lo", _IFF_UP))


def enter_network(file):
    """Put this thread into a network that an open file of /proc/PID/ns/net means."""
    assert ctypes.CDLL(None).setns(file.fileno(), _CLONE_NEWNET) == 0


def network_refusal():
    """Return why no other network can be had here; None where it can."""
    tried = subprocess.run([sys.executable, SCRIPT, "/bin/true"], capture_output=True, text=True, check=False)
    return None if tried.returncode == 0 else tried.stderr.strip().splitlines()[-1]


if __name__ == "__main__":
    try:
        enter_new_network()
    except PermissionError as refusal:
        sys.exit(f"a network of its own cannot be had here: {refusal.strerror}")
    os.execv(Path(sys.argv[1]), sys.argv[1:])
