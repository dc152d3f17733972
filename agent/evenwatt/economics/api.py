"""What the same tokens would cost at an API, at the prices of the time of use."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from evenwatt.economics.tokens import Tokens
from evenwatt.units import TOKENS_PER_MTOK

__all__ = ["ApiCost", "ReferencePrice", "api_cost", "reference_price_at", "reference_price_from_usd"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferencePrice:
    """The prices of one API model from a moment on, in the site's currency.

    Attributes:
        name: Of the reference: `anthropic:claude-haiku-4-5`, or the name of a negotiated price.
        valid_from_utc_seconds: Until a later entry of the same name takes over.
        cached_input_per_mtok: None: this API has no price of its own for cached input, and bills it as
            input.
    """

    name: str
    valid_from_utc_seconds: float
    input_per_mtok: float
    output_per_mtok: float
    cached_input_per_mtok: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiCost:
    """The API bill for some tokens, by two assumptions about the API's cache.

    Attributes:
        observed_cache: The API's cache hits what our own did: an upper bound on the discount. What the API
            charges for writing to its cache is left out. None where the engine does not tell its hits.
        no_cache: The API's cache hits nothing.
    """

    observed_cache: float | None
    no_cache: float


def reference_price_from_usd(
    *,
    name: str,
    valid_from_utc_seconds: float,
    input_usd_per_mtok: Decimal | float,
    output_usd_per_mtok: Decimal | float,
    cached_input_usd_per_mtok: Decimal | float | None = None,
    usd_rate: float = 1.0,
) -> ReferencePrice:
    """Return a price from a list in USD, in the site's currency; here exact decimals become floats.

    Args:
        name: Of the reference.
        valid_from_utc_seconds: The first moment that it is used for.
        input_usd_per_mtok: For a million input tokens.
        output_usd_per_mtok: For a million output tokens.
        cached_input_usd_per_mtok: For a million cached input tokens; None: no price of its own.
        usd_rate: One USD in the site's currency.
    """
    return ReferencePrice(
        name=name,
        valid_from_utc_seconds=valid_from_utc_seconds,
        input_per_mtok=float(input_usd_per_mtok) * usd_rate,
        output_per_mtok=float(output_usd_per_mtok) * usd_rate,
        cached_input_per_mtok=(
            None if cached_input_usd_per_mtok is None else float(cached_input_usd_per_mtok) * usd_rate
        ),
    )


def reference_price_at(
    prices: Iterable[ReferencePrice], name: str, utc_seconds: float
) -> ReferencePrice | None:
    """Return the entry of a reference in force at a moment; None before its first one."""
    begun = [price for price in prices if price.name == name and price.valid_from_utc_seconds <= utc_seconds]
    return max(begun, key=lambda price: price.valid_from_utc_seconds, default=None)


def api_cost(tokens: Tokens, price: ReferencePrice, *, token_ratio: float = 1.0) -> ApiCost:
    """Return the API bill for tokens served here, linear in the tokens.

    The base tier applies: long-context surcharges are per request, and sums over requests cannot tell them.

    Args:
        tokens: As counted here.
        price: Of the reference, at the time of use.
        token_ratio: Tokens that the API would count for each one counted here; tokenizers differ.
    """
    output = tokens.output_tokens * price.output_per_mtok
    no_cache = tokens.logical_input_tokens * price.input_per_mtok + output
    scale = token_ratio / TOKENS_PER_MTOK
    return ApiCost(
        no_cache=no_cache * scale,
        observed_cache=(
            None
            if tokens.cached_input_tokens is None
            else (
                tokens.input_tokens * price.input_per_mtok
                + tokens.cached_input_tokens * _cached_input_per_mtok(price)
                + output
            )
            * scale
        ),
    )


def _cached_input_per_mtok(price: ReferencePrice) -> float:
    return price.input_per_mtok if price.cached_input_per_mtok is None else price.cached_input_per_mtok
