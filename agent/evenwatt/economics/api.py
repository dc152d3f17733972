"""What the same tokens would cost at an API, at the prices of the time of use.

Sums over many requests are billed at the base rates: a long-context tier is a matter of one request's size,
which a sum cannot tell. Where the sizes are known, `request_cost` applies it.
"""

from collections.abc import Iterable
from decimal import Decimal

from msgspec import Struct

from evenwatt.economics.tokens import Tokens
from evenwatt.units import TOKENS_PER_MTOK

__all__ = [
    "ApiCost",
    "PriceTier",
    "RateTier",
    "ReferencePrice",
    "api_cost",
    "batch_cost",
    "computed_input_per_mtok",
    "reference_price_at",
    "reference_price_from_usd",
    "request_cost",
]


class RateTier(Struct, frozen=True, kw_only=True):
    """A long-context tier as price lists give it: USD per million tokens, exact, for all tokens of a request.

    Attributes:
        above_input_tokens: Input tokens of the request, cached ones too, that it has to have more than.
        cached_input_usd_per_mtok: None: cached input is billed as input.
        cache_write_usd_per_mtok: None: what is written to the cache is billed as input.
    """

    above_input_tokens: int
    input_usd_per_mtok: Decimal
    output_usd_per_mtok: Decimal
    cached_input_usd_per_mtok: Decimal | None = None
    cache_write_usd_per_mtok: Decimal | None = None


class PriceTier(Struct, frozen=True, kw_only=True):
    """A long-context tier in the site's currency; see `RateTier`."""

    above_input_tokens: int
    input_per_mtok: float
    output_per_mtok: float
    cached_input_per_mtok: float | None = None
    cache_write_per_mtok: float | None = None


class ReferencePrice(Struct, frozen=True, kw_only=True):
    """The prices of one API model from a moment on, in the site's currency.

    Attributes:
        name: Of the reference: `anthropic:claude-haiku-4-5`, or the name of a negotiated price.
        valid_from_utc_seconds: Until a later entry of the same name takes over.
        cached_input_per_mtok: None: this API has no price of its own for cached input, and bills it as
            input.
        cache_write_per_mtok: Of input that the API writes to its cache. None: it bills it as input.
        batch_input_per_mtok: None, as for output: no batch price is known.
        batch_cached_input_per_mtok: None: in batch, cached input is billed as batch input.
        tiers: For single requests above a size; the lowest threshold first.
    """

    name: str
    valid_from_utc_seconds: float
    input_per_mtok: float
    output_per_mtok: float
    cached_input_per_mtok: float | None = None
    cache_write_per_mtok: float | None = None
    batch_input_per_mtok: float | None = None
    batch_cached_input_per_mtok: float | None = None
    batch_output_per_mtok: float | None = None
    tiers: tuple[PriceTier, ...] = ()


class ApiCost(Struct, frozen=True, kw_only=True):
    """The API bill for some tokens, by two assumptions about the API's cache.

    Attributes:
        observed_cache: The API's cache hits what our own did: an upper bound on the discount. What the API
            charges for writing to its cache is left out, unless asked for. None where the engine does not
            tell its hits.
        no_cache: The API's cache hits nothing, and nothing is written to it.
    """

    observed_cache: float | None
    no_cache: float


def reference_price_from_usd(  # noqa: PLR0913 -- the one place where each rate of a list is named
    *,
    name: str,
    valid_from_utc_seconds: float,
    input_usd_per_mtok: Decimal | float,
    output_usd_per_mtok: Decimal | float,
    cached_input_usd_per_mtok: Decimal | float | None = None,
    cache_write_usd_per_mtok: Decimal | float | None = None,
    batch_input_usd_per_mtok: Decimal | float | None = None,
    batch_cached_input_usd_per_mtok: Decimal | float | None = None,
    batch_output_usd_per_mtok: Decimal | float | None = None,
    tiers: Iterable[RateTier] = (),
    usd_rate: float = 1.0,
) -> ReferencePrice:
    """Return a price from a list in USD, in the site's currency; here exact decimals become floats.

    Args:
        name: Of the reference.
        valid_from_utc_seconds: The first moment that it is used for.
        input_usd_per_mtok: For a million input tokens.
        output_usd_per_mtok: For a million output tokens.
        cached_input_usd_per_mtok: For a million cached input tokens; None: no price of its own.
        cache_write_usd_per_mtok: For a million input tokens written to the cache; None: as input.
        batch_input_usd_per_mtok: In batch; None: no batch price.
        batch_cached_input_usd_per_mtok: In batch; None: as batch input.
        batch_output_usd_per_mtok: In batch; None: no batch price.
        tiers: For long requests.
        usd_rate: One USD in the site's currency.
    """

    def converted(rate: Decimal | float | None) -> float | None:
        return None if rate is None else float(rate) * usd_rate

    return ReferencePrice(
        name=name,
        valid_from_utc_seconds=valid_from_utc_seconds,
        input_per_mtok=float(input_usd_per_mtok) * usd_rate,
        output_per_mtok=float(output_usd_per_mtok) * usd_rate,
        cached_input_per_mtok=converted(cached_input_usd_per_mtok),
        cache_write_per_mtok=converted(cache_write_usd_per_mtok),
        batch_input_per_mtok=converted(batch_input_usd_per_mtok),
        batch_cached_input_per_mtok=converted(batch_cached_input_usd_per_mtok),
        batch_output_per_mtok=converted(batch_output_usd_per_mtok),
        tiers=tuple(
            PriceTier(
                above_input_tokens=tier.above_input_tokens,
                input_per_mtok=float(tier.input_usd_per_mtok) * usd_rate,
                output_per_mtok=float(tier.output_usd_per_mtok) * usd_rate,
                cached_input_per_mtok=converted(tier.cached_input_usd_per_mtok),
                cache_write_per_mtok=converted(tier.cache_write_usd_per_mtok),
            )
            for tier in sorted(tiers, key=lambda tier: tier.above_input_tokens)
        ),
    )


def reference_price_at(
    prices: Iterable[ReferencePrice], name: str, utc_seconds: float
) -> ReferencePrice | None:
    """Return the entry of a reference in force at a moment; None before its first one."""
    begun = [price for price in prices if price.name == name and price.valid_from_utc_seconds <= utc_seconds]
    return max(begun, key=lambda price: price.valid_from_utc_seconds, default=None)


def api_cost(
    tokens: Tokens,
    price: ReferencePrice | PriceTier,
    *,
    token_ratio: float = 1.0,
    has_cache_write_surcharge: bool = False,
) -> ApiCost:
    """Return the API bill for tokens served here, linear in the tokens.

    The base rates apply: long-context tiers are per request, and sums over requests cannot tell them.

    Args:
        tokens: As counted here.
        price: Of the reference, at the time of use.
        token_ratio: Tokens that the API would count for each one counted here; tokenizers differ. It scales
            both bounds.
        has_cache_write_surcharge: Whether, with the observed cache hits, the input that was computed is
            billed as written to the API's cache.
    """
    output = tokens.output_tokens * price.output_per_mtok
    no_cache = tokens.logical_input_tokens * price.input_per_mtok + output
    computed = computed_input_per_mtok(price, has_cache_write_surcharge=has_cache_write_surcharge)
    scale = token_ratio / TOKENS_PER_MTOK
    return ApiCost(
        no_cache=no_cache * scale,
        observed_cache=(
            None
            if tokens.cached_input_tokens is None
            else (
                tokens.input_tokens * computed
                + tokens.cached_input_tokens * _cached_input_per_mtok(price)
                + output
            )
            * scale
        ),
    )


def request_cost(
    tokens: Tokens,
    price: ReferencePrice,
    *,
    token_ratio: float = 1.0,
    has_cache_write_surcharge: bool = False,
) -> ApiCost:
    """Return the API bill for one request, whose size decides its long-context tier.

    Never for a sum over requests: 50 million tokens in small requests are no request of 50 million tokens.

    Args:
        tokens: Of one request.
        price: As for `api_cost`, like all that follows.
        token_ratio: Also for the size, which is what the API would count.
        has_cache_write_surcharge: As there.
    """
    size = tokens.logical_input_tokens * token_ratio
    begun = [tier for tier in price.tiers if size > tier.above_input_tokens]
    rates = max(begun, key=lambda tier: tier.above_input_tokens) if begun else price
    return api_cost(
        tokens, rates, token_ratio=token_ratio, has_cache_write_surcharge=has_cache_write_surcharge
    )


def _batch_price(price: ReferencePrice) -> ReferencePrice | None:
    """Return the batch rates of a price as a price of its own; None where there are none."""
    if price.batch_input_per_mtok is None or price.batch_output_per_mtok is None:
        return None
    return ReferencePrice(
        name=price.name,
        valid_from_utc_seconds=price.valid_from_utc_seconds,
        input_per_mtok=price.batch_input_per_mtok,
        output_per_mtok=price.batch_output_per_mtok,
        cached_input_per_mtok=price.batch_cached_input_per_mtok,
    )


def batch_cost(tokens: Tokens, price: ReferencePrice, *, token_ratio: float = 1.0) -> ApiCost | None:
    """Return the batch bill for tokens served here, linear in the tokens; None without a batch price.

    Base rates, without a surcharge for cache writes. The standard price is never taken for a batch price.

    Args:
        tokens: As counted here.
        price: Of the reference, at the time of use.
        token_ratio: As for `api_cost`.
    """
    batch = _batch_price(price)
    return None if batch is None else api_cost(tokens, batch, token_ratio=token_ratio)


def computed_input_per_mtok(price: ReferencePrice | PriceTier, *, has_cache_write_surcharge: bool) -> float:
    """Return what computed input costs where the API's cache is used."""
    if not has_cache_write_surcharge or price.cache_write_per_mtok is None:
        return price.input_per_mtok
    return price.cache_write_per_mtok


def _cached_input_per_mtok(price: ReferencePrice | PriceTier) -> float:
    return price.input_per_mtok if price.cached_input_per_mtok is None else price.cached_input_per_mtok
