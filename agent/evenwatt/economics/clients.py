"""What each client's part of a model's cost is: an allocation by tokens, labelled as such wherever it shows.

A computed token weighs what the configuration says, as between models; input from a cache costs next to
nothing and weighs nothing. What no client is known to have asked for is nobody's: a model's cost in a span
without tokens, and the tokens of engines that do not tell clients apart.
"""

from collections.abc import Hashable, Mapping
from typing import TypeVar

__all__ = ["client_shares"]

Client = TypeVar("Client", bound=Hashable)


def client_shares(
    weights: Mapping[Client, float], *, whole_weight: float, nobody: Client
) -> Mapping[Client, float]:
    """Return the share of each client, and what is left for nobody; together exactly what there is.

    Args:
        weights: What each client's tokens weigh.
        whole_weight: What all tokens of the model weigh; less than the clients' where some of theirs were
            booked to another minute, and then they share all of it.
        nobody: Whom the rest goes to; never a client.
    """
    known = sum(weights.values())
    whole = max(known, whole_weight)
    if whole <= 0:
        return {nobody: 1.0}
    shares = {client: weight / whole for client, weight in weights.items()}
    rest = 1.0 - sum(shares.values())
    if known < whole_weight:
        shares[nobody] = rest
    return shares
