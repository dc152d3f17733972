"""Sums of what may not be known: the two ways, and no third."""

from collections.abc import Iterable

__all__ = ["known_sum", "whole_sum"]


def known_sum(values: Iterable[float | None]) -> float | None:
    """Return the sum of what is known; None where nothing is."""
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def whole_sum(values: Iterable[float | None]) -> float | None:
    """Return the sum of all values; None where one is not known, because a part is not the whole."""
    found = tuple(values)
    known = [value for value in found if value is not None]
    return sum(known) if len(known) == len(found) else None
