"""The seam that every source of readings fits."""

from typing import Protocol

from evenwatt.model import Reading

__all__ = ["Source"]


class Source(Protocol):
    """Something that can be read.

    One thread of its own calls `sample`, `read` and `close`, never two at a time, so a source needs no locks
    for them. A source may block for as long as its own deadline says; the agent goes on without it.

    Attributes:
        name: Identity in the history: `nvml`, or the engine's name. Never changes.
        kind: `nvml`, `vllm`, `llamacpp`, `simulated`, ...
        address: What a person would look at: a URL, a library.
        sample_seconds: How often `sample` wants to be called between readings; None: never.
    """

    @property
    def name(self) -> str:
        """Who it is, in the history."""

    @property
    def kind(self) -> str:
        """What it is."""

    @property
    def address(self) -> str:
        """Where it is."""

    @property
    def sample_seconds(self) -> float | None:
        """How often it is sampled."""

    def sample(self) -> None:
        """Take what has to be looked at more often than it is read; never raises a SourceError."""

    def read(self) -> Reading:
        """Return a reading.

        Raises:
            SourceError: There is none this time; the message says why, where, and what to try.
        """

    def close(self) -> None:
        """Let go of everything held open; called once, from the same thread."""
