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

_GPU_SIGNALS = frozenset({RELEASE_SIGNAL, RESUME_SIGNAL})
_STOP_SIGNALS = frozenset({signal.SIGTERM, signal.SIGINT})
_REQUEST_SIGNALS = frozenset({signal.SIGHUP, *_GPU_SIGNALS})


class Control:
    """Requests to the agent; each is taken once, and of those about the GPUs only the last one.

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
        for number in _STOP_SIGNALS | _REQUEST_SIGNALS:
            signal.signal(number, self._on_signal)

    def uninstall(self) -> None:
        """Listen no more: who asks to end ends the process at once, and other requests are ignored.

        Both hold on in a program that takes this one's place, so that no request to end is ever lost: it
        came before this and is in `stopping`, or it needs nobody who listens.
        """
        for number in _STOP_SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        for number in _REQUEST_SIGNALS:
            signal.signal(number, signal.SIG_IGN)

    def stop(self) -> None:
        """Ask the agent to end."""
        self.stopping = True
        self._wake.put(None)
        self.interrupt()

    def request(self, number: signal.Signals) -> None:
        """Ask for what a signal means."""
        if number in _GPU_SIGNALS:
            self._requests.difference_update(_GPU_SIGNALS)
        self._requests.add(number)
        self._wake.put(None)

    def take(self, number: signal.Signals) -> bool:
        """Return whether something was asked for since this was last called."""
        if number not in self._requests:
            return False
        self._requests.discard(number)  # a signal may have taken it back since
        return True

    def wait(self, seconds: float) -> None:
        """Sleep until something is asked for, or so many seconds."""
        with contextlib.suppress(queue.Empty):
            self._wake.get(timeout=seconds)
            while True:
                self._wake.get_nowait()

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        if number in _STOP_SIGNALS:
            self.stop()
        else:
            self.request(signal.Signals(number))
