"""What was counted since the state folder was begun: durable before it is shown, and each request once.

The event loop owns what is shown and never waits for the disk; one thread owns the database and commits
whatever has come in meanwhile as one transaction, flushed to the disk. A total is shown only once it is
there: whoever reads it can rely on never seeing it fall, also after a power cut.
"""

import asyncio
import logging
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import NamedTuple

from msgspec import Struct

from evenwatt.proxy.state import StateFolder

__all__ = ["Finished", "Sums", "Totals"]

_log = logging.getLogger("evenwatt.proxy")

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


class Sums(Struct, frozen=True, kw_only=True):
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
        self._waiting: list[_Entry] = []
        self._is_writing = False
        self._is_closing = False
        self._has_ended = asyncio.Event()
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="totals")

    @property
    def shown(self) -> Mapping[Finished, Sums]:
        """What is on the disk."""
        return self._shown

    def add(self, owner: Finished, sums: Sums) -> "asyncio.Future[None]":
        """Count a finished request; the answer is done when it is on the disk, or cannot be put there now."""
        written = self._loop.create_future()
        self.unwritten += sums.requests
        if self.fault is not None:  # nobody waits for a disk that is full; it is written when it works again
            written.set_result(None)
        self._waiting.append(_Entry(owner, sums, written))
        self._write()
        return written

    async def close(self) -> None:
        """Write the rest; what cannot be written now is lost, and told."""
        self._is_closing = True
        self._write()
        if self._is_writing:
            with suppress(TimeoutError):
                async with asyncio.timeout(_LAST_COMMIT_SECONDS):
                    await self._has_ended.wait()
        if self.unwritten:
            _log.error("%s: %d finished requests could not be written", self._folder.path, self.unwritten)
        self._writer.submit(self._folder.close)
        self._writer.shutdown(wait=not self._is_writing)

    def _write(self) -> None:
        """Hand what has come in to the writing thread, where it is free: one commit after another."""
        if self._is_writing or not self._waiting:
            return
        entries, self._waiting = self._waiting, []
        added = _added_up(entries)
        rows = [(*owner, *_columns(sums)) for owner, sums in added.items()]
        self._is_writing = True
        commit = self._loop.run_in_executor(self._writer, self._folder.write, _ADD, rows)
        commit.add_done_callback(lambda done: self._written(done.exception(), entries, added))

    def _written(
        self, error: BaseException | None, entries: list[_Entry], added: Mapping[Finished, Sums]
    ) -> None:
        self._is_writing = False
        if error is None:
            for owner, sums in added.items():
                self._shown[owner] = self._shown.get(owner, Sums()) + sums
            self.unwritten -= sum(sums.requests for sums in added.values())
            self._mended()
            self._write()
        else:
            self._failed(str(error))
            done = self._loop.create_future()
            done.set_result(None)
            self._waiting = [*(_Entry(owner, sums, done) for owner, sums in added.items()), *self._waiting]
            if not self._is_closing:
                self._loop.call_later(_RETRY_SECONDS, self._write)
        for entry in entries if error is None else [*entries, *self._waiting]:
            if not entry.written.done():
                entry.written.set_result(None)
        if self._is_closing and not self._is_writing:
            self._has_ended.set()

    def _mended(self) -> None:
        if self.fault is not None:
            _log.warning("%s: can be written again; nothing was lost", self._folder.path)
            self.fault = None

    def _failed(self, fault: str) -> None:
        if self.fault is None:
            _log.error(
                "%s: cannot be written (%s); requests go on, what they count is kept in memory and written "
                "when it works again. Make room, or give it a folder that can be written",
                self._folder.path,
                fault,
            )
        self.fault = fault


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
