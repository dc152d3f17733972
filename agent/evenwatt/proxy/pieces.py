"""A body on its way from one side to the other: pieces that have come and wait to be read."""

import asyncio
from collections import deque

__all__ = ["Pieces"]

_MOST_WAITING_BYTES = 1 << 17
_FEW_WAITING_BYTES = 1 << 15


class Pieces:
    """A queue of pieces between a parser that is fed and a task that reads; to be used in one event loop."""

    def __init__(self) -> None:
        self._pieces: deque[bytes] = deque()
        self._bytes = 0
        self._waiter: asyncio.Future[None] | None = None

    def __bool__(self) -> bool:
        """Whether a piece waits."""
        return bool(self._pieces)

    @property
    def are_few(self) -> bool:
        """Whether he may go on."""
        return self._bytes < _FEW_WAITING_BYTES

    def put(self, piece: bytes) -> bool:
        """Add one, and return whether whoever sends them has to wait; `wake` tells the reader."""
        self._pieces.append(piece)
        self._bytes += len(piece)
        return self._bytes > _MOST_WAITING_BYTES

    def take(self) -> bytes:
        """Return the first one."""
        piece = self._pieces.popleft()
        self._bytes -= len(piece)
        return piece

    def take_all(self) -> bytes:
        """Return all of them as one."""
        joined = b"".join(self._pieces)
        self._pieces.clear()
        self._bytes = 0
        return joined

    async def changed(self) -> None:
        """Wait until `wake` is called."""
        waiter = self._waiter = asyncio.get_running_loop().create_future()
        try:
            await waiter
        finally:
            if self._waiter is waiter:  # else another one has begun to wait after this one was let go
                self._waiter = None

    def wake(self) -> None:
        """Let the reader look again: a piece has come, or none will come."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
