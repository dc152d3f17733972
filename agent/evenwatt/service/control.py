"""What signals ask of the running agent: flags that the tick loop looks at, set without waiting."""

import contextlib
import queue
import signal
from collections.abc import Callable
from types import FrameType

__all__ = ["RELEASE_SIGNAL", "RESUME_SIGNAL", "Control"]

RELEASE_SIGNAL = signal.SIGUSR1
"""Let go of the GPUs: a resident NVML client blocks resets, driver reloads and MIG changes."""

RESUME_SIGNAL = signal.SIGUSR2
"""Take the GPUs up again."""


class Control:
    """Requests to the agent; each is taken once.

    Attributes:
        stopping: Whether somebody asked to end.
        interrupt: Called when somebody does, from a signal handler: cuts short what the agent waits for.
    """

    def __init__(self) -> None:
        self.stopping = False
        self.interrupt: Callable[[], None] = lambda: None
        self._requests: set[signal.Signals] = set()
        # Not an event: its lock is held for moments in which a handler that sets it would wait for ever.
        self._wake: queue.SimpleQueue[None] = queue.SimpleQueue()

    def install(self) -> None:
        """Listen to this process's signals; from the main thread."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, RELEASE_SIGNAL, RESUME_SIGNAL):
            signal.signal(number, self._on_signal)

    def stop(self) -> None:
        """Ask the agent to end."""
        self.stopping = True
        self._wake.put(None)
        self.interrupt()

    def request(self, number: signal.Signals) -> None:
        """Ask for what a signal means."""
        self._requests.add(number)
        self._wake.put(None)

    def take(self, number: signal.Signals) -> bool:
        """Return whether something was asked for since this was last called."""
        if number not in self._requests:
            return False
        self._requests.remove(number)
        return True

    def wait(self, seconds: float) -> None:
        """Sleep until something is asked for, or so many seconds."""
        with contextlib.suppress(queue.Empty):
            self._wake.get(timeout=seconds)
            while True:
                self._wake.get_nowait()

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        if number in {signal.SIGTERM, signal.SIGINT}:
            self.stop()
        else:
            self.request(signal.Signals(number))
