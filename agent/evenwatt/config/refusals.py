"""How a section says what is wrong with it, to be put in words for the person who wrote it.

A value that its key cannot take is `unexpected`; values that are right by themselves and cannot hold together
are told of with a finished text for each place at fault.
"""

from collections.abc import Hashable, Iterable, Iterator
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

__all__ = ["KeyPath", "Misfit", "Refused", "misshapen", "repeated", "told", "unexpected"]

KeyPath = tuple[str | int, ...]
"""Where a value stands: keys and list indexes from the top of the file, or from what is looked at."""


class Misfit(Struct, frozen=True, kw_only=True):
    """One thing that does not fit.

    Attributes:
        text: Finished, or with `got` what is expected.
        path: Below what was looked at.
        got: What of the place is to be shown before it: the `value`, or its `shape` (text, a list) alone.
    """

    text: str
    path: KeyPath = ()
    got: Literal["value", "shape"] | None = None


class Refused(Exception):
    """What was looked at cannot be taken.

    Attributes:
        misfits: All that is wrong with it.
    """

    def __init__(self, misfits: Iterable[Misfit]) -> None:
        super().__init__("does not fit")
        self.misfits = tuple(misfits)

    def below(self, step: str | int) -> Iterator[Misfit]:
        """Yield the misfits as whoever holds what was looked at has them."""
        return (replace(misfit, path=(step, *misfit.path)) for misfit in self.misfits)


def unexpected(expected: str, *, secret: bool = False) -> Refused:
    """Return the error of a value that its key cannot take.

    Args:
        expected: What the key takes, as the end of "got ..., expected ...".
        secret: Whether the value must not be shown.
    """
    if secret:
        return told(f"expected {expected} (what was found is not shown: it is a secret)")
    return Refused([Misfit(text=expected, got="value")])


def misshapen(expected: str) -> Refused:
    """Return the error of a value that is no mapping or no list where one is expected."""
    return Refused([Misfit(text=expected, got="shape")])


def told(text: str) -> Refused:
    """Return the error of a value about which there is a finished text."""
    return Refused([Misfit(text=text)])


def repeated(entries: Iterable[tuple[KeyPath, Hashable, str]]) -> Iterator[tuple[KeyPath, str]]:
    """Yield the faults of entries (path, identity, as shown) that were there before."""
    seen: dict[Hashable, str] = {}
    for path, identity, shown in entries:
        if identity in seen:
            earlier = "an earlier one" if seen[identity] == shown else seen[identity]
            yield path, f"got {shown}, the same as {earlier}; keep one of them"
        seen.setdefault(identity, shown)
