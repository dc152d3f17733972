"""Sends messages to one notifier, each by a process of its own that nobody waits for."""

import json
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from tempfile import TemporaryFile
from typing import IO, Any

from evenwatt import clock

__all__ = ["Courier", "send_now"]

_COMMAND = (sys.executable, "-P", "-m", "evenwatt.sinks.alerts.delivery")
"""-P: a file named like a module in the working directory must not be imported in its place."""
_DEADLINE_SECONDS = 120.0
"""After which a process that should have given up by itself is ended."""
_FIRST_PAUSE_SECONDS = 60.0
_LONGEST_PAUSE_SECONDS = 1_800.0
_LONGEST_REASON = 400
_BROKE_OFF = "the process that sends it broke off"


class Courier:
    """One message at a time; after a failure it rests, longer each time.

    Attributes:
        error: Why the last message was not taken; None: it was.
        up: Whether it was; None: there was none yet.
    """

    def __init__(self) -> None:
        self.up: bool | None = None
        self.error: str | None = None
        self.last_success_utc_seconds: float | None = None
        self._child: subprocess.Popen[bytes] | None = None
        self._said: IO[bytes] | None = None
        self._began_boot_seconds = 0.0
        self._rests_until_boot_seconds = 0.0
        self._failures = 0

    @property
    def is_free(self) -> bool:
        """Whether a message can be sent now."""
        return self._child is None and clock.boot_seconds() >= self._rests_until_boot_seconds

    def send(self, order: Mapping[str, Any]) -> None:
        """Send a message; `finished` tells what became of it."""
        try:
            with TemporaryFile() as order_file:
                order_file.write(json.dumps(order).encode())
                order_file.seek(0)
                self._said = TemporaryFile()  # noqa: SIM115 -- closed when the process has ended
                self._child = _start(order_file, self._said)
        except OSError as error:
            self._end()
            self._fail(f"no process can be started: {error.strerror or error}")
            return
        self._began_boot_seconds = clock.boot_seconds()

    def finished(self) -> bool | None:
        """Return whether the message on its way was taken; None where none is, or it is still on its way."""
        if self._child is None:
            return None
        status = self._child.poll()
        is_late = clock.boot_seconds() - self._began_boot_seconds >= _DEADLINE_SECONDS
        if status is None and not is_late:
            return None
        said = self._end()
        if status == 0:
            self.up, self.error, self._failures = True, None, 0
            self.last_success_utc_seconds = clock.utc_seconds()
            return True
        self._fail(f"no end within {_DEADLINE_SECONDS:.0f} s" if status is None else said or _BROKE_OFF)
        return False

    def close(self, *, patience_seconds: float) -> bool | None:
        """End; return as `finished` does what became of a message that was on its way."""
        if self._child is None:
            return None
        with suppress(subprocess.TimeoutExpired):
            self._child.wait(patience_seconds)
        taken = self.finished()
        self._end()
        return taken

    def _fail(self, reason: str) -> None:
        self.up, self.error = False, reason
        pause = min(_FIRST_PAUSE_SECONDS * 2**self._failures, _LONGEST_PAUSE_SECONDS)
        self._failures = min(self._failures + 1, 16)
        self._rests_until_boot_seconds = clock.boot_seconds() + pause

    def _end(self) -> str:
        """End the process, where it has not ended; return what it said."""
        if self._child is not None:
            self._child.kill()
            self._child.wait()
            self._child = None
        if self._said is None:
            return ""
        with self._said as said:
            self._said = None
            said.seek(0)
            return said.read(_LONGEST_REASON).decode(errors="replace").strip()


def send_now(order: Mapping[str, Any]) -> str | None:
    """Send a message and wait for it; return why it was not taken, or None."""
    try:
        child = subprocess.run(  # noqa: S603 -- our own interpreter and module, no shell
            _COMMAND,
            input=json.dumps(order).encode(),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=_DEADLINE_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"no process that sends it could be run: {type(error).__name__}"
    if child.returncode == 0:
        return None
    return child.stdout[:_LONGEST_REASON].decode(errors="replace").strip() or _BROKE_OFF


def _start(order: IO[bytes], said: IO[bytes]) -> subprocess.Popen[bytes]:
    # Errors of its own are not kept: a traceback could hold an address.
    return subprocess.Popen(_COMMAND, stdin=order, stdout=said, stderr=subprocess.DEVNULL)  # noqa: S603 -- see above
