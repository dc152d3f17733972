"""From the text of a value to the value: the kinds of parsers that keys are given.

A value arrives as the text that the file holds; YAML's guesses about types are not used, because the key
knows what it is. Nothing here knows where in the file a value stood.
"""

import math
import re
from collections.abc import Callable
from typing import Any

from evenwatt.config.refusals import unexpected

__all__ = ["matching_text", "number", "one_of", "parsed_text"]


def number(
    *, at_least: float | None = None, above: float | None = None, at_most: float | None = None
) -> Callable[[Any], float]:
    """Return the parser of a finite number within bounds.

    Args:
        at_least: The lower bound, where it is allowed itself; as it is to be shown.
        above: The lower bound, where it is not.
        at_most: The upper bound.
    """
    expected = _number_in_words(at_least, above, at_most)
    lower = -math.inf if at_least is None else at_least
    upper = math.inf if at_most is None else at_most

    def parse(value: Any) -> float:
        parsed = _finite(value)
        if parsed is None or not lower <= parsed <= upper or (above is not None and parsed <= above):
            raise unexpected(expected)
        return parsed

    return parse


def _number_in_words(at_least: float | None, above: float | None, at_most: float | None) -> str:
    if above is not None:
        return f"a number above {above:,}" + ("" if at_most is None else f" and at most {at_most:,}")
    return (
        f"a number of at least {at_least:,}"
        if at_most is None
        else f"a number from {at_least:,} to {at_most:,}"
    )


def _finite(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        parsed = float(value)
    except (ValueError, OverflowError):
        return None
    return parsed if math.isfinite(parsed) else None


def one_of(*options: str | int) -> Callable[[Any], str | int]:
    """Return the parser of a value that is one of a few."""
    by_text = {str(option): option for option in options}
    *others, last = by_text
    expected = f"{', '.join(others)} or {last}"

    def parse(value: Any) -> str | int:
        try:
            return by_text[str(value)]
        except KeyError:
            raise unexpected(expected) from None

    return parse


def matching_text(
    pattern: str, expected: str, *, but_not: frozenset[str] = frozenset()
) -> Callable[[Any], str]:
    """Return the parser of text that fits a pattern as a whole, and is none of some reserved words."""

    def parse(value: Any) -> str:
        if not isinstance(value, str) or not re.fullmatch(pattern, value) or value in but_not:
            raise unexpected(expected)
        return value

    return parse


def parsed_text(parse: Callable[[str], Any], expected: str) -> Callable[[Any], Any]:
    """Return the parser of text that `parse` takes apart; it answers None or raises for what it is not."""

    def parse_text(value: Any) -> Any:
        try:
            parsed = parse(value) if isinstance(value, str) else None
        except (LookupError, OSError, ValueError):
            parsed = None
        if parsed is None:
            raise unexpected(expected)
        return parsed

    return parse_text
