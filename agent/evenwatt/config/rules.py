"""What has to hold for the entries of a list."""

from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Any

from evenwatt.config.refusals import KeyPath, repeated
from evenwatt.config.section import Rule

__all__ = ["apart", "at_least_one", "at_most"]


def apart(
    key: str | None = None,
    *,
    identity: Callable[[Any], Hashable] = lambda value: value,
    shown: Callable[[Any], str] = str,
) -> Rule:
    """Return the rule that no two entries of a list are the same.

    Args:
        key: Of each entry, whose values are compared; None: the entries are.
        identity: From such a value to what makes two of them the same.
        shown: From such a value to how a person wrote it.
    """

    def faults(entries: Sequence[Any]) -> Iterator[tuple[KeyPath, str]]:
        below = () if key is None else (key,)
        values = entries if key is None else [getattr(entry, key) for entry in entries]
        return repeated(
            ((index, *below), identity(value), shown(value)) for index, value in enumerate(values)
        )

    return Rule(faults)


def at_least_one(expected: str) -> Rule:
    """Return the rule that a list has an entry, with what is expected in words."""
    return Rule(lambda entries: () if entries else [((), f"got an empty list, expected {expected}")])


def at_most(count: int) -> Rule:
    """Return the rule that a list has no more entries than a bound."""

    def faults(entries: Sequence[Any]) -> Iterator[tuple[KeyPath, str]]:
        if len(entries) > count:
            yield (), f"got {len(entries)} entries, expected at most {count}"

    return Rule(faults)
