"""What signals ask of the running agent: flags that the tick loop looks at, set without waiting."""

import signal
import threading
from types import FrameType

__all__ = ["RELEASE_SIGNAL", "RESUME_SIGNAL", "Control"]

RELEASE_SIGNAL = signal.SIGUSR1
"""Let go of the GPUs: a resident NVML client blocks resets, driver reloads and MIG changes."""

RESUME_SIGNAL = signal.SIGUSR2
"""Take the GPUs up again."""


class Control:
    """Requests to the agent; each is taken once."""

    def __init__(self) -> None:
        self.stopping = False
        self._requests: set[signal.Signals] = set()
        self._wake = threading.Event()

    def install(self) -> None:
        """Listen to this process's signals; from the main thread."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, RELEASE_SIGNAL, RESUME_SIGNAL):
            signal.signal(number, self._on_signal)

    def stop(self) -> None:
        """Ask the agent to end."""
        self.stopping = True
        self._wake.set()

    def request(self, number: signal.Signals) -> None:
        """Ask for what a signal means."""
        self._requests.add(number)
        self._wake.set()

    def take(self, number: signal.Signals) -> bool:
        """Return whether something was asked for since this was last called."""
        asked = number in self._requests
        self._requests.discard(number)
        return asked

    def wait(self, seconds: float) -> None:
        """Sleep until something is asked for, or so many seconds."""
        if not self.stopping:
            self._wake.wait(seconds)
        self._wake.clear()

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        if number in {signal.SIGTERM, signal.SIGINT}:
            self.stop()
        else:
            self.request(signal.Signals(number))
