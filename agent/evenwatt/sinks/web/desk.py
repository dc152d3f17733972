"""Questions that have to be looked up in the history: one thread answers them, and keeps the latest answers.

The loop that serves everybody never waits for a disk. A question that somebody has asked already is not asked
twice, and one that is asked again and again (a page that stays open) is answered from what is kept while a
newer answer is being worked out. The thread is a daemon: one that hangs on a disk must not keep the process
from ending.
"""

import asyncio
import logging
import math
import queue
import threading
from collections import OrderedDict
from collections.abc import Callable

from msgspec import Struct

from evenwatt import clock
from evenwatt.sinks.web.answers import Answer, Page, answer_of, json_page

__all__ = ["Desk", "Question"]

_log = logging.getLogger("evenwatt")

_FRESH_SECONDS = 30.0
"""A history gains a minute each minute; nothing that is younger can be seen to be old."""
_KEPT_SECONDS = 150.0
"""How old an answer may be that is given while a newer one is worked out."""
_MOST_KEPT = 12
_MOST_KEPT_BYTES = 1_500_000
_MOST_WAITING = 16
_PATIENCE_SECONDS = 15.0


class Question(Struct, frozen=True, order=True):
    """What is asked: a path and its parameters, sorted, so that equal questions are equal."""

    path: str
    parameters: tuple[tuple[str, str], ...] = ()


Ask = Callable[[Question], Page]
_Waiting = asyncio.Future[Answer]
_Order = tuple[int, Question]
"""A question, and how many times all answers were forgotten before it was asked."""


class Desk:
    """Takes questions in the loop's thread and has them answered in its own.

    Args:
        ask: Answers one; called in the desk's thread only. What it raises is a fault of ours.
        loop: That questions are asked in.
    """

    def __init__(self, ask: Ask, loop: asyncio.AbstractEventLoop) -> None:
        self._ask = ask
        self._loop = loop
        self._kept: OrderedDict[Question, tuple[float, Answer]] = OrderedDict()
        self._waiting: dict[_Order, _Waiting] = {}
        self._edition = 0
        self._orders: queue.SimpleQueue[_Order | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="web desk", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Answer no more."""
        self._orders.put(None)

    async def answer(self, question: Question) -> Answer:
        """Return the answer, at once where one is kept that is young enough."""
        fresh = self._younger_than(_FRESH_SECONDS, question)
        if fresh is not None:
            return fresh
        waiting = self._asked(question)
        kept = self._younger_than(_KEPT_SECONDS, question)
        if kept is not None:
            return kept
        if waiting is None:
            return _unavailable("too much is being looked up; ask again in a moment")
        try:
            return await asyncio.wait_for(asyncio.shield(waiting), _PATIENCE_SECONDS)
        except TimeoutError:
            return _unavailable("the history does not answer; see `evenwatt doctor`")

    def kept(self, question: Question) -> Page | None:
        """Return the answer that is kept, where it is young enough to be given."""
        answer = self._younger_than(_KEPT_SECONDS, question)
        return None if answer is None else answer.page

    def prepare(self, question: Question) -> None:
        """Have an answer ready before it is asked for."""
        if self._younger_than(_KEPT_SECONDS, question) is None:
            self._asked(question)

    def forget(self) -> None:
        """Keep no answer of before: what is asked now has another one."""
        self._kept.clear()
        self._edition += 1

    def _younger_than(self, seconds: float, question: Question) -> Answer | None:
        at, answer = self._kept.get(question, (-math.inf, None))
        return answer if clock.boot_seconds() - at < seconds else None

    def _asked(self, question: Question) -> _Waiting | None:
        order = self._edition, question
        waiting = self._waiting.get(order)
        if waiting is None and len(self._waiting) < _MOST_WAITING:
            waiting = self._waiting[order] = self._loop.create_future()
            self._orders.put(order)
        return waiting

    def _run(self) -> None:
        while (order := self._orders.get()) is not None:
            _, question = order
            try:
                answer = answer_of(self._ask(question))
            except Exception:  # noqa: BLE001 -- a fault of ours must not end the thread; it is told
                _log.exception("internal fault at %s; please report it", question.path)
                answer = answer_of(json_page({"error": "internal fault; the agent's log has it"}, 500))
            try:
                self._loop.call_soon_threadsafe(self._settle, order, answer)
            except RuntimeError:  # the loop has ended
                return

    def _settle(self, order: _Order, answer: Answer) -> None:
        edition, question = order
        waiting = self._waiting.pop(order)
        if not waiting.done():
            waiting.set_result(answer)
        if edition != self._edition:
            return
        self._kept.pop(question, None)
        if answer.page.status == 200:  # noqa: PLR2004 -- OK
            self._kept[question] = (clock.boot_seconds(), answer)
        while len(self._kept) > _MOST_KEPT or sum(map(_size, self._kept.values())) > _MOST_KEPT_BYTES:
            self._kept.popitem(last=False)


def _size(kept: tuple[float, Answer]) -> int:
    return len(kept[1].page.body) + len(kept[1].compressed or b"")


def _unavailable(reason: str) -> Answer:
    return answer_of(json_page({"error": reason}, 503))
