"""What the tokens of a window would have cost at batch prices: a scenario, for answers that can wait."""

from collections.abc import Iterable, Mapping, Sequence

from msgspec.structs import replace

from evenwatt.economics.api import ReferencePrice, reference_price_at
from evenwatt.economics.batch import batch_scenario
from evenwatt.economics.cost import PriceBook, model_rule
from evenwatt.economics.effective import api_price_per_mtok
from evenwatt.economics.tokens import Tokens
from evenwatt.ledger import Usage
from evenwatt.sinks.history import HistoryReader
from evenwatt.sinks.history.queries import HistorySpan
from evenwatt.snapshot.report.comparison import Comparison
from evenwatt.snapshot.sums import tokens_of
from evenwatt.units import SECONDS_PER_MINUTE

__all__ = ["with_batch_bills"]

Served = Mapping[tuple[str, str], Usage]
"""By (engine, model)."""


def with_batch_bills(
    comparisons: Iterable[Comparison],
    tokens: Tokens,
    *,
    reader: HistoryReader,
    span: HistorySpan,
    served: Served,
    book: PriceBook,
) -> tuple[Comparison, ...]:
    """Return comparisons with the batch bill of each API that has a batch price for all tokens.

    Args:
        comparisons: Of the window.
        tokens: All of it.
        reader: Of the history, for the tokens between two changes of a price.
        span: The window.
        served: In the window.
        book: With all dated prices of the references.
    """
    found = []
    for item in comparisons:
        prices = [price for price in book.references if price.name == item.reference]
        bill = None
        if any(price.batch_input_per_mtok is not None for price in prices):
            bill = _bill(_periods(reader, span, served, prices), prices, book)
        found.append(
            item
            if bill is None
            else replace(item, api_cost_batch=bill, price_per_mtok_batch=api_price_per_mtok(bill, tokens))
        )
    return tuple(found)


def _periods(
    reader: HistoryReader, span: HistorySpan, served: Served, prices: Sequence[ReferencePrice]
) -> list[tuple[int, Served]]:
    """Return what was served from each change of a price on; a minute has the price of its beginning."""
    changes = sorted(
        {
            int(-(-price.valid_from_utc_seconds // SECONDS_PER_MINUTE)) * SECONDS_PER_MINUTE
            for price in prices
            if span.start < price.valid_from_utc_seconds < span.end
        }
    )
    if not changes:
        return [(span.start, served)]
    ends = (*changes, span.end)
    return [
        (start, HistorySpan(reader, start, end).sums().usage)
        for start, end in zip((span.start, *changes), ends, strict=True)
        if start < end
    ]


def _bill(
    periods: Sequence[tuple[int, Served]], prices: Sequence[ReferencePrice], book: PriceBook
) -> float | None:
    """Return the bill for all tokens, with our cache hits where the engine tells them; None for a part."""
    total = 0.0
    for key in {key for _, served in periods for key in served}:
        in_force = [
            (tokens_of(served[key]), reference_price_at(prices, prices[0].name, start))
            for start, served in periods
            if key in served
        ]
        known = [(tokens, price) for tokens, price in in_force if price is not None]
        if not any(tokens.total_tokens for tokens, _ in in_force):
            continue
        scenario = batch_scenario(known, token_ratio=model_rule(book, key[1]).token_ratio)
        if scenario.cost is None or not scenario.is_whole or len(known) < len(in_force):
            return None
        observed = scenario.cost.observed_cache
        total += scenario.cost.no_cache if observed is None else observed
    return total
