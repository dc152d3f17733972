"""Tokens in their three disjoint kinds, and the bases that a cost per token is given over."""

from msgspec import Struct

__all__ = ["Tokens"]


class Tokens(Struct, frozen=True, kw_only=True):
    """What was served, each token in one kind.

    Attributes:
        input_tokens: Input that was computed.
        cached_input_tokens: Input served from the engine's cache; None where the engine does not tell, and
            then it is inside `input_tokens`.
        output_tokens: Generated, thinking included.
    """

    input_tokens: float = 0
    cached_input_tokens: float | None = None
    output_tokens: float = 0

    @property
    def logical_input_tokens(self) -> float:
        """All input, cached or not: what an API without a cache would bill."""
        return self.input_tokens + (self.cached_input_tokens or 0)

    @property
    def total_tokens(self) -> float:
        """Input, cached or not, and output."""
        return self.logical_input_tokens + self.output_tokens
