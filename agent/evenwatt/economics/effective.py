"""The cost of a million tokens over any window, from sums; never from an average of ratios.

A ratio without a divisor is undefined: None. Cost that accrued while no token flowed is in the sums.
"""

from enum import StrEnum

from evenwatt.economics.cost import Costs
from evenwatt.economics.tokens import Tokens
from evenwatt.units import TOKENS_PER_MTOK

__all__ = [
    "Basis",
    "TokenBase",
    "api_price_per_mtok",
    "break_even_ratio",
    "cost_per_mtok",
    "phase_costs_per_mtok",
]


class Basis(StrEnum):
    """Which cost is divided."""

    FULL = "full"
    """Hardware, energy, labour, other."""
    ENERGY = "energy"
    """Electricity alone."""


class TokenBase(StrEnum):
    """Which tokens it is divided by."""

    TOTAL = "total"
    """Input, cached or not, and output."""
    OUTPUT = "output"
    """Output alone."""


def cost_per_mtok(
    costs: Costs, tokens: Tokens, *, basis: Basis = Basis.FULL, base: TokenBase = TokenBase.TOTAL
) -> float | None:
    """Return what a million tokens cost; None without tokens or where the cost is not known."""
    cost = costs.full if basis is Basis.FULL else costs.energy
    return _per_mtok(cost, tokens.total_tokens if base is TokenBase.TOTAL else tokens.output_tokens)


def api_price_per_mtok(api_cost: float | None, tokens: Tokens) -> float | None:
    """Return an API's price for a million tokens at the mix that was served, by the `total` base.

    Args:
        api_cost: What these tokens would have cost there, by either bound.
        tokens: As counted here, so that the price stands beside our own cost.
    """
    return _per_mtok(api_cost, tokens.total_tokens)


def break_even_ratio(api_cost: float | None, own_cost: float | None) -> float | None:
    """Return the API bill over our own cost; below 1 the API was cheaper. Needs no capacity.

    None where either is not known, or our own cost is zero, or below it by a negative price of electricity.
    """
    if api_cost is None or own_cost is None or own_cost <= 0:
        return None
    return api_cost / own_cost


def phase_costs_per_mtok(
    cost: float | None, tokens: Tokens, *, prefill_seconds: float, decode_seconds: float
) -> tuple[float | None, float | None]:
    """Return the cost of a million computed input and of a million output tokens.

    An allocation, to be labelled as one: the cost is shared by the time that the engine spent in prefill and
    in decode (OpenCost's split).
    """
    phase_seconds = prefill_seconds + decode_seconds
    if cost is None or not phase_seconds:
        return None, None
    return (
        _per_mtok(cost * prefill_seconds / phase_seconds, tokens.input_tokens),
        _per_mtok(cost * decode_seconds / phase_seconds, tokens.output_tokens),
    )


def _per_mtok(money: float | None, tokens: float) -> float | None:
    if money is None or not tokens:
        return None
    return money / tokens * TOKENS_PER_MTOK
