"""What was counted since the state folder was begun: durable before it is shown, and each request once.

The event loop owns what is shown and never waits for the disk; one thread owns the database and commits
whatever has come in meanwhile as one transaction, flushed to the disk. A total is shown only once it is
there: whoever reads it can rely on never seeing it fall, also after a power cut.
"""

import asyncio
import logging
import queue
import sqlite3
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from evenwatt.proxy.state import StateFolder

__all__ = ["Finished", "Sums", "Totals"]

_log = logging.getLogger("evenwatt.proxy")

_MOST_IN_A_COMMIT = 1_000
_RETRY_SECONDS = 1.0
_LAST_COMMIT_SECONDS = 5.0

_ADD = """INSERT INTO total VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT DO UPDATE SET
        requests = requests + excluded.requests,
        input_tokens = coalesce(input_tokens + excluded.input_tokens, input_tokens, excluded.input_tokens),
        cached_input_tokens = coalesce(cached_input_tokens + excluded.cached_input_tokens,
            cached_input_tokens, excluded.cached_input_tokens),
        output_tokens = coalesce(output_tokens + excluded.output_tokens,
            output_tokens, excluded.output_tokens),
        reasoning_tokens = coalesce(reasoning_tokens + excluded.reasoning_tokens,
            reasoning_tokens, excluded.reasoning_tokens)"""


class Finished(NamedTuple):
    """Whose total a finished request belongs to.

    Attributes:
        model: As the engine names it.
        client: Who asked.
        place: `local`, or `remote` where another machine did the work.
        outcome: `completed`, `aborted` by the client, `failed`.
        counted: `exact`, `lower_bound`, `unknown`: how far its tokens are known.
    """

    model: str
    client: str
    place: str
    outcome: str
    counted: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sums:
    """Requests and their tokens; None where none of the requests told."""

    requests: int = 0
    input_tokens: int | None = None
    cached_input_tokens: int | None = None
    output_tokens: int | None = None
    reasoning_tokens: int | None = None

    def __add__(self, other: "Sums") -> "Sums":
        """Add up what is known."""
        return Sums(
            requests=self.requests + other.requests,
            input_tokens=_known_sum(self.input_tokens, other.input_tokens),
            cached_input_tokens=_known_sum(self.cached_input_tokens, other.cached_input_tokens),
            output_tokens=_known_sum(self.output_tokens, other.output_tokens),
            reasoning_tokens=_known_sum(self.reasoning_tokens, other.reasoning_tokens),
        )


class _Entry(NamedTuple):
    owner: Finished
    sums: Sums
    written: "asyncio.Future[None]"


class Totals:
    """The totals of one proxy; to be used from one event loop.

    Attributes:
        counting_since_utc_seconds: When the totals began; it is their identity, over all restarts.
        unwritten: Finished requests that are not on the disk yet.
        fault: Why the last commit failed; None where it did not.
    """

    def __init__(self, folder: StateFolder) -> None:
        self._folder = folder
        self._shown = {Finished(*row[:5]): _sums(row[5:]) for row in folder.rows()}
        self.counting_since_utc_seconds = folder.counting_since_utc_seconds
        self.unwritten = 0
        self.fault: str | None = None
        self._loop = asyncio.get_running_loop()
        self._queue: queue.SimpleQueue[_Entry | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._write_all, name="totals", daemon=True)
        self._thread.start()

    @property
    def shown(self) -> Mapping[Finished, Sums]:
        """What is on the disk."""
        return self._shown

    def add(self, owner: Finished, sums: Sums) -> "asyncio.Future[None]":
        """Count a finished request; the answer is done when it is on the disk, or cannot be put there now."""
        written = self._loop.create_future()
        self.unwritten += 1
        if self.fault is not None:  # nobody waits for a disk that is full; it is written when it works again
            written.set_result(None)
        self._queue.put(_Entry(owner, sums, written))
        return written

    async def close(self) -> None:
        """Write the rest and end the thread."""
        self._queue.put(None)
        await asyncio.to_thread(self._thread.join, _LAST_COMMIT_SECONDS)
        if self._thread.is_alive():
            _log.error("%s: %d finished requests could not be written", self._folder.path, self.unwritten)

    # --- the writing thread --------------------------------------------------------------------------------

    def _write_all(self) -> None:
        waiting: list[_Entry] = []
        is_ending = False
        while not is_ending or waiting:
            is_ending = self._collect(waiting, may_wait=not is_ending) or is_ending
            if not waiting:
                continue
            added = _added_up(waiting)
            try:
                self._folder.write(_ADD, ((*owner, *_columns(sums)) for owner, sums in added.items()))
            except sqlite3.Error as error:
                self._tell(self._failed, tuple(waiting), str(error))
                if is_ending:
                    return
                waiting = [_Entry(owner, sums, waiting[0].written) for owner, sums in added.items()]
                is_ending = self._pause(waiting) or is_ending
                continue
            self._tell(self._succeeded, tuple(waiting), added)
            waiting = []
        self._folder.close()

    def _collect(self, waiting: list[_Entry], *, may_wait: bool) -> bool:
        """Add what has come in; return whether the end was asked for."""
        try:
            entry = self._queue.get(block=may_wait and not waiting)
            while entry is not None:
                waiting.append(entry)
                if len(waiting) >= _MOST_IN_A_COMMIT:
                    return False
                entry = self._queue.get_nowait()
        except queue.Empty:
            return False
        return True

    def _pause(self, waiting: list[_Entry]) -> bool:
        """Wait before the next try; return whether the end was asked for meanwhile."""
        try:
            entry = self._queue.get(timeout=_RETRY_SECONDS)
        except queue.Empty:
            return False
        if entry is None:
            return True
        waiting.append(entry)
        return False

    def _tell(self, method: Callable[..., None], *arguments: object) -> None:
        try:
            self._loop.call_soon_threadsafe(method, *arguments)
        except RuntimeError:  # the loop has ended: nobody looks any more
            return

    # --- back in the event loop ----------------------------------------------------------------------------

    def _succeeded(self, entries: tuple[_Entry, ...], added: Mapping[Finished, Sums]) -> None:
        for owner, sums in added.items():
            self._shown[owner] = self._shown.get(owner, Sums()) + sums
        self.unwritten -= sum(entry.sums.requests for entry in entries)
        if self.fault is not None:
            _log.warning("%s: can be written again; nothing was lost", self._folder.path)
            self.fault = None
        _release(entries)

    def _failed(self, entries: tuple[_Entry, ...], fault: str) -> None:
        if self.fault is None:
            _log.error(
                "%s: cannot be written (%s); requests go on, what they count is kept in memory and written "
                "when it works again. Make room, or give it a folder that can be written",
                self._folder.path,
                fault,
            )
        self.fault = fault
        _release(entries)


def _release(entries: tuple[_Entry, ...]) -> None:
    for entry in entries:
        if not entry.written.done():
            entry.written.set_result(None)


def _added_up(entries: list[_Entry]) -> dict[Finished, Sums]:
    added: dict[Finished, Sums] = {}
    for owner, sums, _ in entries:
        added[owner] = added[owner] + sums if owner in added else sums
    return added


def _known_sum(one: int | None, other: int | None) -> int | None:
    if one is None or other is None:
        return one if other is None else other
    return one + other


def _columns(sums: Sums) -> tuple[int | None, ...]:
    return (
        sums.requests,
        sums.input_tokens,
        sums.cached_input_tokens,
        sums.output_tokens,
        sums.reasoning_tokens,
    )


def _sums(row: tuple[int | None, ...]) -> Sums:
    return Sums(
        requests=row[0] or 0,
        input_tokens=row[1],
        cached_input_tokens=row[2],
        output_tokens=row[3],
        reasoning_tokens=row[4],
    )
