"""One thread for each source, and rounds in which all are asked at once.

A source that does not answer by the deadline is down; the others and the tick do not wait for it again until
it answers, so that at most one thread is ever stuck for a source. The threads are daemons: one that hangs in
a driver cannot be ended, and must not keep the process from ending.
"""

import logging
import queue
import threading
from collections.abc import Callable
from enum import Enum, auto

from msgspec import Struct
from msgspec.structs import replace

from evenwatt import clock
from evenwatt.errors import SourceError
from evenwatt.model import Reading, SourceHealth
from evenwatt.readings.source import Source

__all__ = ["Crew", "is_silence"]

_log = logging.getLogger("evenwatt")

_NOT_READ = "not read yet"
_SILENCE = "no answer for"


def is_silence(error: str | None) -> bool:
    """Return whether the error of a source's health says that it still owes an answer."""
    return error is not None and f": {_SILENCE} " in error


class _Outcome(Struct, frozen=True, kw_only=True):
    """What one attempt to read a source came to: a reading or an error."""

    worker: "_Worker"
    reading: Reading | None
    error: str | None
    ended_utc_seconds: float
    duration_seconds: float


class _Order(Enum):
    """What a worker is told to do next."""

    READ = auto()
    CLOSE = auto()


class _Worker:
    """A source and its thread."""

    def __init__(self, source: Source, outcomes: "queue.SimpleQueue[_Outcome | None]") -> None:
        self.source = source
        self.asked_at: float | None = None
        self.health = SourceHealth(
            source=source.name, kind=source.kind, address=source.address, up=False, error=_NOT_READ
        )
        self._outcomes = outcomes
        # Not an event: one that is set just as the wait for it times out would be cleared unseen.
        self._orders: queue.SimpleQueue[_Order] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=f"source {source.name}", daemon=True)
        self._thread.start()

    def ask(self) -> None:
        """Ask for a reading; there must be none on its way."""
        self.asked_at = clock.boot_seconds()
        self._orders.put(_Order.READ)

    def note(self, outcome: _Outcome) -> None:
        """Take down how the last attempt went."""
        self.asked_at = None
        succeeded = outcome.reading is not None
        self._become(
            replace(
                self.health,
                kind=self.source.kind,
                up=succeeded,
                error=outcome.error,
                last_success_utc_seconds=(
                    outcome.ended_utc_seconds if succeeded else self.health.last_success_utc_seconds
                ),
                read_duration_seconds=outcome.duration_seconds,
            )
        )

    def note_silence(self) -> None:
        """Take down that a question is still unanswered."""
        if self.asked_at is not None:
            silent_seconds = clock.boot_seconds() - self.asked_at
            silence = f"{self.source.address}: {_SILENCE} {silent_seconds:.1f} s; see whether it hangs"
            self._become(replace(self.health, up=False, error=silence))

    def _become(self, health: SourceHealth) -> None:
        """Change state; told once for each change."""
        first = self.health.error == _NOT_READ
        if health.up and (first or not self.health.up):
            _log.info("%s (%s) is up at %s", health.source, health.kind, health.address)
        if not health.up and (first or self.health.up):
            _log.warning("%s is down: %s", health.source, health.error)
        self.health = health

    def close(self) -> None:
        """Let the source go as soon as its thread is free."""
        self._orders.put(_Order.CLOSE)

    def join(self, timeout_seconds: float) -> None:
        """Wait for the source to be let go."""
        self._thread.join(timeout_seconds)

    def _run(self) -> None:
        next_sample = clock.boot_seconds()
        while True:
            order = self._next_order(next_sample)
            if order is _Order.CLOSE:
                _guarded(self.source.close)
                return
            if order is _Order.READ:
                self._outcomes.put(self._read())
            elif (period := self.source.sample_seconds) is not None:
                _guarded(self.source.sample)
                next_sample = max(next_sample + period, clock.boot_seconds())

    def _next_order(self, next_sample: float) -> _Order | None:
        """Wait for an order; None: it is time to sample."""
        if self.source.sample_seconds is None:
            return self._orders.get()
        try:
            return self._orders.get(timeout=max(next_sample - clock.boot_seconds(), 0.0))
        except queue.Empty:
            return None

    def _read(self) -> _Outcome:
        began = clock.boot_seconds()
        reading, error = None, None
        try:
            reading = self.source.read()
        except SourceError as fault:
            error = str(fault)
        except Exception as fault:  # noqa: BLE001 -- a fault of ours must not take the agent down; it is told
            _log.exception("%s: internal fault while reading; please report it", self.source.name)
            error = f"internal fault: {fault!r}; please report it"
        return _Outcome(
            worker=self,
            reading=reading,
            error=error,
            ended_utc_seconds=clock.utc_seconds(),
            duration_seconds=clock.boot_seconds() - began,
        )


def _guarded(call: Callable[[], None]) -> None:
    try:
        call()
    except Exception:  # noqa: BLE001 -- see _read
        _log.exception("internal fault in a source; please report it")


class Crew:
    """The workers of all sources; used from one thread."""

    def __init__(self) -> None:
        self._workers: dict[str, _Worker] = {}
        self._outcomes: queue.SimpleQueue[_Outcome | None] = queue.SimpleQueue()

    def add(self, source: Source) -> None:
        """Take a source on; its name must be new."""
        self._workers[source.name] = _Worker(source, self._outcomes)

    def remove(self, name: str) -> None:
        """Let a source go, without waiting for it."""
        self._workers.pop(name).close()

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all sources."""
        return tuple(self._workers)

    @property
    def health(self) -> tuple[SourceHealth, ...]:
        """How each source fares."""
        return tuple(worker.health for worker in self._workers.values())

    def round(self, deadline_seconds: float, *, is_last: bool = False) -> tuple[Reading, ...]:
        """Ask all sources side by side and return what came within the deadline, one reading a source.

        An answer to an earlier question that came too late then is taken now, and stands for this round.

        Args:
            deadline_seconds: From now.
            is_last: Wait for answers to earlier questions too, as no later round can take them.
        """
        until = clock.boot_seconds() + deadline_seconds
        readings: dict[str, Reading] = {}
        waiting = set(self._workers.values())
        while not self._outcomes.empty():
            self._take(self._outcomes.get_nowait(), readings, waiting)
        late = {worker for worker in waiting if worker.asked_at is not None}
        for worker in waiting - late:
            worker.ask()
        if not is_last:
            waiting -= late
        while waiting:
            try:
                outcome = self._outcomes.get(timeout=max(until - clock.boot_seconds(), 0.0))
            except queue.Empty:
                break
            if outcome is None:
                break
            self._take(outcome, readings, waiting)
        for worker in self._workers.values():
            worker.note_silence()
        return tuple(readings.values())

    def interrupt(self) -> None:
        """End the round that is under way; safe in a signal handler."""
        self._outcomes.put(None)

    def _take(self, outcome: _Outcome | None, readings: dict[str, Reading], waiting: set[_Worker]) -> None:
        if outcome is None:
            return
        worker = outcome.worker
        waiting.discard(worker)
        if self._workers.get(worker.source.name) is worker:
            worker.note(outcome)
            if outcome.reading is not None:
                readings[worker.source.name] = outcome.reading

    def close(self, *, patience_seconds: float) -> None:
        """Let all sources go; one that hangs is left behind."""
        for worker in self._workers.values():
            worker.close()
        until = clock.boot_seconds() + patience_seconds
        for worker in self._workers.values():
            worker.join(max(until - clock.boot_seconds(), 0.0))
        self._workers.clear()
