"""What a tick's physics cost, at the prices of the minutes in which they were."""

from evenwatt.economics.cost import PriceBook, StateUse, api_costs, minute_costs
from evenwatt.ledger import Posting, Usage
from evenwatt.model import State
from evenwatt.snapshot import PricedPosting, tokens_of

__all__ = ["priced"]


def priced(posting: Posting, book: PriceBook) -> PricedPosting:
    """Return a tick's physics with the money at the prices of each minute."""
    api = {}
    for (minute, engine, model), usage in posting.usage.items():
        tokens = tokens_of(usage)
        if tokens.total_tokens:
            bills = api_costs(book, utc_seconds=minute, model=model, tokens=tokens)
            api.update({(minute, engine, model, name): bill for name, bill in bills.items()})
    return PricedPosting(
        posting=posting,
        costs={
            key: minute_costs(book, utc_seconds=key[0], uses=_uses(usage))
            for key, usage in posting.usage.items()
        },
        api=api,
    )


def _uses(usage: Usage) -> dict[State, StateUse]:
    uses = {
        State.ACTIVE: StateUse(seconds=usage.active_seconds or 0.0, joules=usage.active_joules),
        State.IDLE_LOADED: StateUse(
            seconds=usage.idle_loaded_seconds or 0.0, joules=usage.idle_loaded_joules
        ),
        State.IDLE_EMPTY: StateUse(
            seconds=usage.idle_empty_seconds or 0.0,
            down_seconds=usage.down_seconds or 0.0,
            joules=usage.idle_empty_joules,
        ),
    }
    return {state: use for state, use in uses.items() if use.seconds or use.joules is not None}
