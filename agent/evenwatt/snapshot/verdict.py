"""The verdict of a window in one sentence, honest in every case."""

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Outcome", "Verdict"]


class Outcome(StrEnum):
    """What a verdict comes to; a renderer may colour by it."""

    CHEAPER = "cheaper"
    """Own tokens were cheaper than every reference."""
    DEARER = "dearer"
    """Own tokens were dearer than every reference."""
    MIXED = "mixed"
    """Cheaper than some, dearer than others."""
    UNKNOWN = "unknown"
    """A cost or a price is not known, or too little of the window was watched."""
    NO_TOKENS = "no_tokens"
    """Nothing was served."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """One sentence that a person reads first.

    Attributes:
        outcome: What it comes to.
        sentence: Complete, with the numbers; no markup.
        line_to_write: The line of the configuration that would make it known, where one would.
    """

    outcome: Outcome
    sentence: str
    line_to_write: str | None = None
