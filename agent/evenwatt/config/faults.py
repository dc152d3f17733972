"""Where values stand in a configuration file, and what is wrong with them."""

import re

from msgspec import Struct

from evenwatt.config.refusals import KeyPath

__all__ = ["Fault", "Place"]

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


class Place(Struct, frozen=True, kw_only=True):
    """Where a value stands, and what stands there.

    Attributes:
        line: Of its key, or of the entry of a list; the first is 1.
        found: What kind of value it is, in words: `text`, `a list`, `a mapping`, `nothing`.
        text: A single value as the file has it, before the environment is put in; else None.
    """

    line: int
    found: str
    text: str | None = None


class Fault(Struct, frozen=True, kw_only=True):
    """One thing that is wrong.

    Attributes:
        line: None where it is about the file as a whole.
        path: Empty where it is about no key.
    """

    text: str
    line: int | None = None
    path: KeyPath = ()

    def rendered(self, file: str) -> str:
        """Return the finished line: file, line, key, and what is wrong."""
        place = file if self.line is None else f"{file}:{self.line}"
        return ": ".join(part for part in (place, _dotted(self.path), self.text) if part)


def _dotted(path: KeyPath) -> str:
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            key = step if _BARE_KEY.fullmatch(step) else repr(step)
            text += f".{key}" if text else key
    return text
