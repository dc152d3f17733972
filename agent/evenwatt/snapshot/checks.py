"""What `evenwatt doctor` finds: one finding for each link of the chain from the driver to Prometheus."""

from enum import StrEnum

from msgspec import Struct

__all__ = ["Finding", "Health"]


class Health(StrEnum):
    """How a link of the chain is."""

    GOOD = "good"
    WEAK = "weak"
    """It works, and some figure is missing or assumed because of it."""
    BROKEN = "broken"
    """It does not work, and figures are wrong or missing because of it."""


class Finding(Struct, frozen=True, kw_only=True):
    """What was found of one link.

    Attributes:
        link: Its name: `driver`, `engine chat`, `history`, ...
        text: What is so, with the numbers.
        mend: What to do about it; None where nothing has to be done.
    """

    link: str
    health: Health
    text: str
    mend: str | None = None
