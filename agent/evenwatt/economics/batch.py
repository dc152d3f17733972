"""The batch scenario over a time in which prices changed: where an API may take a day to answer."""

from collections.abc import Iterable

from msgspec import Struct
from msgspec.structs import replace

from evenwatt.economics.api import ApiCost, ReferencePrice, batch_cost
from evenwatt.economics.tokens import Tokens

__all__ = ["BatchScenario", "batch_scenario"]


class BatchScenario(Struct, frozen=True, kw_only=True):
    """The batch bill for tokens that were served over a time in which prices changed.

    Attributes:
        cost: For the tokens at whose time there was a batch price; None where there never was one.
        priced_tokens: How many these are.
        total_tokens: How many there are in all.
    """

    cost: ApiCost | None
    priced_tokens: float
    total_tokens: float

    @property
    def is_whole(self) -> bool:
        """Whether the bill is for all of the tokens, so that it can stand beside another bill for them."""
        return self.cost is not None and self.priced_tokens == self.total_tokens


def batch_scenario(
    periods: Iterable[tuple[Tokens, ReferencePrice]], *, token_ratio: float = 1.0
) -> BatchScenario:
    """Return the batch bill for tokens that were served under several dated prices of one reference.

    Args:
        periods: The tokens of each price's time, with the price; a period without tokens counts nothing.
        token_ratio: As for `api_cost`.
    """
    served = [(tokens, price) for tokens, price in periods if tokens.total_tokens]
    bills = [(tokens, batch_cost(tokens, price, token_ratio=token_ratio)) for tokens, price in served]
    priced = [(tokens, bill) for tokens, bill in bills if bill is not None]
    return BatchScenario(
        cost=_sum(bill for _, bill in priced) if priced else None,
        priced_tokens=sum(tokens.total_tokens for tokens, _ in priced),
        total_tokens=sum(tokens.total_tokens for tokens, _ in served),
    )


def _sum(bills: Iterable[ApiCost]) -> ApiCost:
    whole = ApiCost(observed_cache=0.0, no_cache=0.0)
    for bill in bills:
        observed = (
            None
            if whole.observed_cache is None or bill.observed_cache is None
            else whole.observed_cache + bill.observed_cache
        )
        whole = replace(whole, no_cache=whole.no_cache + bill.no_cache, observed_cache=observed)
    return whole
