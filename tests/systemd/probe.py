"""What a program may do in the agent's unit, tried by a program there; prints one JSON object."""

import json
import os
import socket
import sys
from pathlib import Path


def attempt(action):
    """Return "ok", or the name of the error."""
    try:
        action()
    except OSError as error:
        return os.strerror(error.errno)
    return "ok"


def opened(path, flags=os.O_RDWR):
    """Return an action that opens a file."""
    return lambda: os.close(os.open(path, flags))


ANOTHER = next(
    status.parent.name
    for status in Path("/proc").glob("[0-9]*/status")
    if "llama-server" in status.read_text()
)
FOUND = {
    "user": os.geteuid() != 0,
    "capabilities": next(
        line.split()[1] for line in Path("/proc/self/status").read_text().splitlines() if line[:6] == "CapEff"
    ),
    "nvidia": [attempt(opened(path)) for path in ("/dev/nvidiactl", "/dev/nvidia0")],
    "other device": attempt(opened("/dev/other")),
    "write": {
        path: attempt(opened(path, os.O_CREAT | os.O_WRONLY))
        for path in ("/etc/x", "/usr/x", "/var/x", "/var/lib/evenwatt/x", "/tmp/x")
    },
    "read": {
        path: attempt(opened(path, os.O_RDONLY))
        for path in (
            "/etc/shadow",
            "/etc/evenwatt/credentials/chat-key",
            f"/proc/{ANOTHER}/mem",
            f"/proc/{ANOTHER}/environ",
            f"/proc/{ANOTHER}/stat",
            f"/proc/{ANOTHER}/cgroup",
            os.environ["CREDENTIALS_DIRECTORY"] + "/evenwatt_chat-key",
        )
    },
    "home": attempt(lambda: list(Path("/home").iterdir())),
    "packet socket": attempt(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW).close()),
    "sock_diag": attempt(lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 4).close()),
}

json.dump(FOUND, sys.stdout)
