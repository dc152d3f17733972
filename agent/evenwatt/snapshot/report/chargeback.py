"""Who pays what: each client's tokens and its part of the cost, with what is nobody's beside them."""

from collections.abc import Mapping

from msgspec import Struct

from evenwatt.economics.clients import client_shares
from evenwatt.economics.cost import Costs
from evenwatt.ledger import ClientUse, TokenWeights, Usage
from evenwatt.model import UNALLOCATED
from evenwatt.snapshot.report.values import ReportWindow
from evenwatt.snapshot.sums import Money, Sums

__all__ = ["Chargeback", "ClientBill", "client_bills"]


class ClientBill(Struct, frozen=True, kw_only=True):
    """What one client had of one model in a span, and its part of what that cost.

    Attributes:
        client: Its label; `UNALLOCATED` for what no client is known to have asked for.
        use: Its tokens and requests; None for `UNALLOCATED`.
        share: Its part of the model's cost: an allocation by tokens.
        costs: That part, by component; None where a component is not known for all of the span.
    """

    engine: str
    model: str
    client: str
    use: ClientUse | None
    share: float
    costs: Costs


class Chargeback(Struct, frozen=True, kw_only=True):
    """The bills of all clients for a window.

    Attributes:
        currency: Of all money.
        simulated: The readings are, so that nobody owes anything.
        bills: By engine, model and client.
    """

    window: ReportWindow
    currency: str
    simulated: bool
    bills: tuple[ClientBill, ...]


def client_bills(
    sums: Sums, clients: Mapping[tuple[str, str, str], ClientUse], weights: TokenWeights
) -> tuple[ClientBill, ...]:
    """Return the bills of a span, by engine, model and client; over clients they add up to the model's cost.

    Args:
        sums: Of the span.
        clients: Tokens by (engine, model, client) of the same span.
        weights: What tokens weigh.
    """
    bills = []
    for (engine, model), usage in sorted(sums.usage.items()):
        uses = {client: use for (e, m, client), use in clients.items() if (e, m) == (engine, model)}
        shares = client_shares(
            {client: _weight(use, weights) for client, use in uses.items()},
            whole_weight=_weight(usage, weights),
            nobody=UNALLOCATED,
        )
        costs = sums.money.get((engine, model), Money()).whole_costs
        bills += [
            ClientBill(
                engine=engine,
                model=model,
                client=client,
                use=uses.get(client),
                share=share,
                costs=_part(costs, share),
            )
            for client, share in sorted(shares.items())
        ]
    return tuple(bills)


def _weight(row: Usage | ClientUse, weights: TokenWeights) -> float:
    return weights.weight(row.input_tokens or 0, row.output_tokens or 0)


def _part(costs: Costs, share: float) -> Costs:
    def part(value: float | None) -> float | None:
        return None if value is None else value * share

    return Costs(
        hardware=part(costs.hardware),
        energy=part(costs.energy),
        labour=part(costs.labour),
        other=part(costs.other),
    )
