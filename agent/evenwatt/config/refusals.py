"""How a section says what is wrong with it: as the errors that the validator carries to the person.

A value that its key cannot take is `unexpected`; values that are right by themselves and cannot hold together
are `refused`, with a finished text for each place at fault.
"""

from collections.abc import Hashable, Iterable, Iterator, Mapping

from pydantic_core import PydanticCustomError

from evenwatt.config.section import KeyPath

__all__ = ["EXPECTED", "REFUSED", "refuse_any", "refused", "repeated", "unexpected"]

EXPECTED = "expected"
"""The error type of a value that is not what its key expects."""

REFUSED = "refused"
"""The error type of values that are right by themselves and cannot hold together."""


def unexpected(expected: str, *, secret: bool = False) -> PydanticCustomError:
    """Return the error of a value that its key cannot take.

    Args:
        expected: What the key takes, as the end of "got ..., expected ...".
        secret: Whether the value must not be shown.
    """
    return PydanticCustomError(EXPECTED, "not expected here", {"expected": expected, "secret": secret})


def refused(faults: Mapping[KeyPath, str]) -> PydanticCustomError:
    """Return the error of values that cannot hold together: finished texts by path below what was checked."""
    return PydanticCustomError(REFUSED, "cannot hold together", {"faults": faults})


def refuse_any(faults: Iterable[tuple[KeyPath, str]]) -> None:
    """Raise the error of all faults at once, where there are any."""
    found = dict(faults)
    if found:
        raise refused(found)


def repeated(entries: Iterable[tuple[KeyPath, Hashable, str]]) -> Iterator[tuple[KeyPath, str]]:
    """Yield the faults of entries (path, identity, as shown) that were there before."""
    seen: dict[Hashable, str] = {}
    for path, identity, shown in entries:
        if identity in seen:
            earlier = "an earlier one" if seen[identity] == shown else seen[identity]
            yield path, f"got {shown}, the same as {earlier}; keep one of them"
        seen.setdefault(identity, shown)
