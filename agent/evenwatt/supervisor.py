"""What the service manager is told: started, alive, reloading, ending. Nothing, where nobody wants to know.

The protocol is that of sd_notify(3): lines of text, in one datagram, to the socket that $NOTIFY_SOCKET names.
"""

import os
import socket
from contextlib import suppress

__all__ = ["Supervisor", "watchdog_seconds"]

_MICROSECONDS = 1e6


class Supervisor:
    """The service manager of this process."""

    def __init__(self) -> None:
        self._address = os.environ.get("NOTIFY_SOCKET", "")

    @property
    def is_there(self) -> bool:
        """Whether anybody wants to know."""
        return bool(self._address)

    def alive(self, status: str | None = None) -> None:
        """Say that the work goes on; the first time, that it has begun, and after a reload, that it is done.

        Args:
            status: What `systemctl status` shows from now on; None: as before.
        """
        self._tell("READY=1", "WATCHDOG=1", *(() if status is None else (_status(status),)))

    def expect_within(self, seconds: float) -> None:
        """Set how long `alive` may be silent before this process is ended, where it is watched at all."""
        if watchdog_seconds() is not None:
            self._tell(f"WATCHDOG_USEC={seconds * _MICROSECONDS:.0f}")

    def reloading(self) -> None:
        """Say that the configuration is taken anew; `alive` says that this is done."""
        self._tell("RELOADING=1")

    def ending(self, status: str) -> None:
        """Say that the process ends in order."""
        self._tell("STOPPING=1", _status(status))

    def _tell(self, *lines: str) -> None:
        if not self._address:
            return
        # An abstract address is written with an @ for its first byte, which is 0.
        address = f"\0{self._address[1:]}" if self._address.startswith("@") else self._address
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            # Never waited for: metering goes on, whatever the manager does.
            manager.setblocking(False)
            manager.sendto("\n".join(lines).encode(), address)


def watchdog_seconds() -> float | None:
    """Return how long this process may be silent; None where it is not watched."""
    text = os.environ.get("WATCHDOG_USEC", "")
    return int(text) / _MICROSECONDS if text.isdecimal() and int(text) > 0 else None


def _status(text: str) -> str:
    return f"STATUS={' '.join(text.split())}"
