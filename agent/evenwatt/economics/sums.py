"""Sums of what may not be known: the two ways, and no third."""

from collections.abc import Iterable

__all__ = ["known_sum", "whole_sum"]


def known_sum(values: Iterable[float | None]) -> float | None:
    """Return the sum of what is known; None where nothing is."""
    total = None
    for value in values:
        if value is not None:
            total = value if total is None else total + value
    return total


def whole_sum(values: Iterable[float | None]) -> float | None:
    """Return the sum of all values; None where one is not known, because a part is not the whole."""
    total: float = 0
    for value in values:
        if value is None:
            return None
        total += value
    return total
