"""Tokens by client: the counters of each client of each model, folded by the same rules as those of models.

A client of a model is one counter here, so that baseline, restart, doubt and gap mean what they mean for a
model, and what clients add up to is what the model did.
"""

import json
from collections.abc import Iterable, Mapping

from msgspec import Struct
from msgspec.structs import replace

from evenwatt.ledger.cursors import EngineCursor
from evenwatt.ledger.spans import Span
from evenwatt.ledger.tokens import ModelIncrease, engine_increase
from evenwatt.model import OTHER_CLIENT, OTHER_MODEL, EngineReading, Moment

__all__ = ["ClientIncrease", "client_increase"]

MOST_LABELS = 1_000
"""Clients times models of one engine; further ones share `other` of `other`."""


class ClientIncrease(Struct, frozen=True, kw_only=True):
    """What an engine's clients asked of it since it was last read.

    Attributes:
        span: When; None at a first sight that is only a baseline.
        clients: By model and client.
        renamed_from: The name under which this engine's clients were counted until now.
    """

    span: Span | None
    clients: Mapping[tuple[str, str], ModelIncrease]
    cursor: EngineCursor
    renamed_from: str | None


def client_increase(
    cursor: EngineCursor | None,
    reading: EngineReading,
    *,
    watching_since: Moment,
    others: Iterable[EngineCursor] = (),
) -> ClientIncrease:
    """Return what an engine's clients did between its last reading and this one; see `engine_increase`."""
    by_name = tuple(
        replace(client.counters, model=_name(client.counters.model, client.client))
        for client in reading.clients or ()
    )
    increase = engine_increase(
        cursor,
        replace(reading, models=by_name),
        watching_since=watching_since,
        known_models=frozenset(),
        others=others,
        most_labels=MOST_LABELS,
    )
    return ClientIncrease(
        span=increase.span,
        clients={_owner(name): counts for name, counts in increase.models.items()},
        cursor=increase.cursor,
        renamed_from=increase.renamed_from,
    )


def _name(model: str, client: str) -> str:
    """Return one name for both, from which both come back whatever is in them."""
    return json.dumps([model, client], ensure_ascii=False)


def _owner(name: str) -> tuple[str, str]:
    if name == OTHER_MODEL:
        return OTHER_MODEL, OTHER_CLIENT
    model, client = json.loads(name)
    return model, client
