"""Sources of which a test says when they answer, and what."""

import threading
from collections.abc import Callable

from evenwatt.clock import now
from evenwatt.model import EngineReading, Epoch, ModelCounters, Reading

__all__ = ["ScriptedSource", "reading_of"]

_LIFE_SECONDS = 60.0
"""No thread of a test hangs for longer, whatever went wrong."""


def reading_of(engine: str, output_tokens: int = 0) -> EngineReading:
    """Return what an engine says now that has generated some tokens in all."""
    return EngineReading(
        engine=engine,
        kind="vllm",
        moment=now(),
        epoch=Epoch(signals={"process": "one"}),
        models=(ModelCounters(model="small", input_tokens=0, output_tokens=output_tokens),),
    )


class ScriptedSource:
    """A source that answers what `answer` returns or raises, as soon as it may.

    Attributes:
        answer: Called for each reading, in the source's thread.
        reads: How often it was asked.
        samples: How often it was sampled.
        closed_by: The name of the thread that closed it; None: nobody has.
        sample_fault: Raised by each sample.
    """

    kind = "scripted"
    address = "nowhere"

    def __init__(
        self,
        name: str = "chat",
        answer: Callable[[], Reading] | None = None,
        *,
        sample_seconds: float | None = None,
    ) -> None:
        self.name = name
        self.answer = answer or (lambda: reading_of(name))
        self.sample_seconds = sample_seconds
        self.sample_fault: Exception | None = None
        self.reads = 0
        self.samples = 0
        self.closed_by: str | None = None
        self._may_answer = threading.Event()
        self._may_answer.set()

    def hang(self) -> None:
        """Answer nothing from now on."""
        self._may_answer.clear()

    def go_on(self) -> None:
        """Answer what was asked for meanwhile, and everything after it."""
        self._may_answer.set()

    def sample(self) -> None:
        """Count."""
        self.samples += 1
        if self.sample_fault is not None:
            raise self.sample_fault

    def read(self) -> Reading:
        """Answer when that is allowed."""
        self.reads += 1
        self._may_answer.wait(_LIFE_SECONDS)
        return self.answer()

    def close(self) -> None:
        """Take down who closed it."""
        self.closed_by = threading.current_thread().name
