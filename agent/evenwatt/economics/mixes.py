"""Mixes of input, cached input and output that a price per million tokens is given at.

For display only: bills are worked out kind by kind. A price at a mix says which mix it is.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from msgspec import Struct

from evenwatt.economics.api import ApiCost, ReferencePrice, api_cost, batch_cost
from evenwatt.economics.tokens import Tokens
from evenwatt.units import TOKENS_PER_MTOK

__all__ = ["NAMED_MIXES", "Mix", "batch_price_at_mix", "measured_mix", "mix_of_parts", "price_at_mix"]


class Mix(Struct, frozen=True, kw_only=True):
    """Shares of the tokens, which add up to 1.

    Attributes:
        input_share: Computed input.
        cached_share: Input from the cache; None where it is not known which part of the input it is.
    """

    input_share: float
    output_share: float
    cached_share: float | None = None

    def tokens(self, total: float = TOKENS_PER_MTOK) -> Tokens:
        """Return so many tokens of this mix."""
        return Tokens(
            input_tokens=self.input_share * total,
            cached_input_tokens=None if self.cached_share is None else self.cached_share * total,
            output_tokens=self.output_share * total,
        )


NAMED_MIXES: Final[Mapping[str, Mix]] = MappingProxyType(
    {
        "3:1": Mix(input_share=0.75, output_share=0.25),
        "1:1": Mix(input_share=0.5, output_share=0.5),
        "30/70": Mix(input_share=0.3, output_share=0.7),
    }
)
"""Input to output, as published comparisons mix them; 3:1 is what Artificial Analysis takes."""


def mix_of_parts(*, input_part: float, output_part: float, cached_part: float | None = None) -> Mix | None:
    """Return the mix of parts of any size; None where there is nothing."""
    total = input_part + output_part + (cached_part or 0.0)
    if not total:
        return None
    return Mix(
        input_share=input_part / total,
        output_share=output_part / total,
        cached_share=None if cached_part is None else cached_part / total,
    )


def measured_mix(tokens: Tokens) -> Mix | None:
    """Return the mix that was served; None where nothing was."""
    return mix_of_parts(
        input_part=tokens.input_tokens,
        output_part=tokens.output_tokens,
        cached_part=tokens.cached_input_tokens,
    )


def price_at_mix(
    price: ReferencePrice, mix: Mix, *, token_ratio: float = 1.0, has_cache_write_surcharge: bool = False
) -> ApiCost:
    """Return an API's price for a million tokens at a mix, by both bounds of its cache."""
    return api_cost(
        mix.tokens(), price, token_ratio=token_ratio, has_cache_write_surcharge=has_cache_write_surcharge
    )


def batch_price_at_mix(price: ReferencePrice, mix: Mix, *, token_ratio: float = 1.0) -> ApiCost | None:
    """Return the same in batch; None without a batch price."""
    return batch_cost(mix.tokens(), price, token_ratio=token_ratio)
