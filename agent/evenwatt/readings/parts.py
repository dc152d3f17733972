"""Engines that start a server for each model: each of those is read, for as long as it lives.

Who is there is asked again each second, and a server that has been at work is read at once: it may end as
soon as its request is answered, and takes what it counted with it.
"""

from collections.abc import Callable, Iterable

from msgspec import Struct
from msgspec.structs import replace

from evenwatt.clock import boot_seconds, now
from evenwatt.errors import SourceError
from evenwatt.model import EnginePart, EngineReading
from evenwatt.readings.engine import EngineSource, PartAddress

__all__ = ["Lister", "LivePart", "PartsReader"]

_MOST_PARTS = 200
_QUIET_LOOKS = 2
"""After so many looks in a row without work a server was idle when it ended: its last page is all of it."""


class LivePart(Struct, frozen=True, kw_only=True):
    """A server that an engine runs now.

    Attributes:
        name: Tells it from all others of this engine, past and present.
        kind: As `EngineSource` takes it.
        url: Of the server itself, or of the engine where only that reaches it.
        address: What it serves, and where its page is.
        takes_key: Whether the engine's key is its own too, and may be sent there.
    """

    name: str
    kind: str | None
    url: str
    address: PartAddress
    takes_key: bool = True


Lister = Callable[[float], tuple[LivePart, ...]]
"""Returns who is there, by a deadline on the boot clock; raises a SourceError where that cannot be told."""


class _Part(Struct):
    live: LivePart
    source: EngineSource
    last: EngineReading | None = None
    error: SourceError | None = None
    quiet_looks: int = 0


class PartsReader:
    """Follows the servers of one engine.

    Args:
        lister: Tells who is there.
        deadline_seconds: What one page may take.
        api_key: Of the engine, which its servers have too.
    """

    def __init__(self, lister: Lister, *, deadline_seconds: float, api_key: str | None) -> None:
        self._lister = lister
        self._deadline_seconds = deadline_seconds
        self._api_key = api_key
        self._parts: dict[str, _Part] = {}
        self._ended: list[EnginePart] = []

    def look(self, ends_boot_seconds: float) -> None:
        """See who is there, and read who has been at work since it was last read.

        Raises:
            SourceError: Who is there cannot be told.
        """
        live = {part.name: part for part in self._lister(ends_boot_seconds)[:_MOST_PARTS]}
        for name in self._parts.keys() - live.keys():
            self._end(self._parts.pop(name))
        for name, part in live.items():
            known = self._parts.get(name)
            if known is None or known.live.url != part.url:
                known = self._parts[name] = _Part(part, self._source(part))
            elif known.live != part:
                known.live = part
                known.source.move_to(part.address)
            if boot_seconds() < ends_boot_seconds:
                self._look_at(known)
            else:
                known.quiet_looks = 0  # nobody looked

    def parts(self) -> tuple[EnginePart, ...]:
        """Return those that live and those that ended since the last call, as last read.

        Raises:
            SourceError: There are some, and none of them can be read.
        """
        parts = list(self._parts.values())
        errors = [part.error for part in parts if part.error is not None]
        if errors and len(errors) == len(parts) and not self._ended:
            raise errors[0]
        ended, self._ended = self._ended, []
        return (*ended, *map(_told, parts))

    @property
    def is_unloaded(self) -> bool:
        """Whether no model is in memory, as last read: there is no server, or all of them sleep."""
        return all(part.last is not None and part.last.is_unloaded for part in self._parts.values())

    @property
    def running(self) -> int | None:
        """How many requests run in all of them, as last read; None where one does not tell."""
        return _whole(
            None if part.last is None else part.last.requests_running for part in self._parts.values()
        )

    @property
    def waiting(self) -> int | None:
        """How many requests wait in all of them, as last read; None where one does not tell."""
        return _whole(
            None if part.last is None else part.last.requests_waiting for part in self._parts.values()
        )

    def close(self) -> None:
        """Let go of all of them."""
        for part in self._parts.values():
            part.source.close()

    def _source(self, part: LivePart) -> EngineSource:
        return EngineSource(
            name=part.name,
            url=part.url,
            kind=part.kind,
            deadline_seconds=self._deadline_seconds,
            api_key=self._api_key if part.takes_key else None,
            part=part.address,
        )

    def _look_at(self, part: _Part) -> None:
        last = part.last
        try:
            reading = part.source.read()
        except SourceError as error:
            # The first one may be that it ends just now: that does not make an idle server one at work.
            part.quiet_looks = part.quiet_looks if part.error is None else 0
            part.error = error
            return
        part.error = None
        has_moved = last is None or last.models != reading.models or bool(reading.requests_running)
        part.quiet_looks = 0 if has_moved else part.quiet_looks + 1
        part.last = reading

    def _end(self, part: _Part) -> None:
        part.source.close()
        was_idle = part.last is not None and part.quiet_looks >= _QUIET_LOOKS
        self._ended.append(
            replace(_told(part, even_if_unread=True), has_ended=True, is_cut_short=not was_idle)
        )


def _whole(counts: Iterable[int | None]) -> int | None:
    """Return the sum; None where a part of it is not known."""
    found = tuple(counts)
    known = [count for count in found if count is not None]
    return sum(known) if len(known) == len(found) else None


def _told(part: _Part, *, even_if_unread: bool = False) -> EnginePart:
    """Return a part as it is told in a reading; one that could not be read this time without counters."""
    if part.last is None:
        return EnginePart(name=part.live.name, model=part.live.address.model, moment=now())
    is_read = part.error is None or even_if_unread
    return EnginePart(
        name=part.live.name,
        model=part.live.address.model,
        moment=part.last.moment,
        epoch=part.last.epoch,
        models=part.last.models if is_read else None,
        requests_running=part.last.requests_running,
    )
