"""What a tick's physics cost, at the prices of the minutes in which they were."""

import math
from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from typing import Final

from evenwatt.economics.cost import PriceBook, StateUse, api_costs, minute_costs, price_edges
from evenwatt.ledger import Posting, Usage, UsageKey
from evenwatt.model import State
from evenwatt.snapshot import ApiBill, ApiKey, Money, PricedPosting, bill_of, money_of, tokens_of
from evenwatt.snapshot.sums import total_money
from evenwatt.units import SECONDS_PER_MINUTE

__all__ = ["priced", "priced_rows"]

_DIVISIBLE: Final = (
    *(f"{state.value}_joules" for state in State),
    *(f"{state.value}_seconds" for state in State),
    "down_seconds",
)


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


def priced_rows(
    usage: Mapping[UsageKey, Usage], book: PriceBook, *, row_seconds: int
) -> tuple[dict[UsageKey, Money], dict[ApiKey, ApiBill]]:
    """Return the money of rows of one level of the history, and their API bills.

    A row of minutes is priced at its beginning, as when it was written. Within an hour in which a price
    changed, nobody knows any more what was used before and after: its time and energy are taken as even, and
    API bills are at the prices of its beginning.

    Args:
        usage: By the beginning of the minute or hour, engine and model.
        book: The prices.
        row_seconds: What a row spans.
    """
    bills = {}
    for (at, engine, model), row in usage.items():
        tokens = tokens_of(row)
        if tokens.total_tokens:
            costs = api_costs(book, utc_seconds=at, model=model, tokens=tokens)
            bills.update({(at, engine, model, name): bill_of(cost, row) for name, cost in costs.items()})
    shares = {at: _shares(book, at, row_seconds) for at in dict.fromkeys(at for at, _, _ in usage)}
    money = {key: total_money(_pieces(row, book, shares[key[0]])) for key, row in usage.items()}
    return money, bills


def _shares(book: PriceBook, at: int, seconds: int) -> list[tuple[int, float]]:
    """Return when a row's prices begin to hold, and its share of the time; prices change at whole minutes."""
    if seconds == SECONDS_PER_MINUTE:
        return [(at, 1.0)]
    edges = (
        math.ceil(edge / SECONDS_PER_MINUTE) * SECONDS_PER_MINUTE
        for edge in price_edges(book, at, at + seconds)
    )
    starts = [at, *dict.fromkeys(edge for edge in edges if at < edge < at + seconds)]
    return [(start, (end - start) / seconds) for start, end in pairwise((*starts, at + seconds))]


def _pieces(row: Usage, book: PriceBook, shares: Iterable[tuple[int, float]]) -> Iterator[Money]:
    for at, share in shares:
        part = row if share == 1.0 else _part(row, share)
        yield money_of(minute_costs(book, utc_seconds=at, uses=_uses(part)), part)


def _part(row: Usage, share: float) -> Usage:
    part = Usage()
    for name in _DIVISIBLE:
        value = getattr(row, name)
        setattr(part, name, None if value is None else value * share)
    return part


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
