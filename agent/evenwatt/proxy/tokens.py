"""What one answer says of its tokens, in our words: three disjoint kinds, unknown where nothing is said."""

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

__all__ = ["Tokens", "count", "counts_in"]

_LARGEST_COUNT = 2**53


class Tokens(Struct, frozen=True, kw_only=True):
    """Tokens of one request; None is unknown.

    Attributes:
        input_tokens: Of the prompt; without the cached ones where those are known.
        cached_input_tokens: Of the prompt, read from a cache.
        output_tokens: Generated, reasoning included.
        reasoning_tokens: The part of the output that was reasoning.
    """

    input_tokens: int | None = None
    cached_input_tokens: int | None = None
    output_tokens: int | None = None
    reasoning_tokens: int | None = None


def count(value: Any) -> int | None:
    """Return a JSON value that is a believable number of tokens; None for everything else."""
    is_count = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _LARGEST_COUNT
    return value if is_count else None


def counts_in(source: Any, names: Mapping[str, str]) -> dict[str, int]:
    """Return the counts of an object under our names; what is absent or no count is left out.

    Args:
        source: A JSON value; anything but an object has no counts.
        names: Our name by the name in the object; a dot leads into an object inside it.
    """
    found = {}
    for theirs, ours in names.items():
        value = source
        for step in theirs.split("."):
            value = value.get(step) if isinstance(value, dict) else None
        number = count(value)
        if number is not None:
            found[ours] = number
    return found
