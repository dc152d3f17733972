"""The effective price of each model over a span, as a price file has it."""

from collections.abc import Iterable, Mapping
from typing import Any

from evenwatt import __version__
from evenwatt.config import Settings
from evenwatt.economics.effective import Basis, TokenBase
from evenwatt.economics.sums import whole_sum
from evenwatt.errors import ExchangeError
from evenwatt.model import DEFAULT_MODEL
from evenwatt.service.api_prices.quotes import usd_rate_of
from evenwatt.service.exchange.span import Span
from evenwatt.sinks.exchange.litellm import EffectivePrice, render_price_map
from evenwatt.sinks.exchange.sheets import utc_text
from evenwatt.sinks.history import HistoryReader
from evenwatt.sinks.history.queries import HistorySpan, history_settings
from evenwatt.snapshot import ALL, WindowRow, window_view

__all__ = ["price_map"]

_BY_PHASE = (
    "full cost; input and output by the time that requests spent in prefill and decode, cache hits at 0"
)
_BLENDED = "full cost over all tokens alike; the engine does not tell prefill from decode"


def price_map(settings: Settings, reader: HistoryReader, span: Span) -> tuple[str, tuple[str, ...]]:
    """Return LiteLLM's map of what models cost over a span, and which served models are not in it.

    Args:
        settings: For what one USD is worth.
        reader: Of the history.
        span: In whose sums idle time is, as in every cost per token.

    Raises:
        ExchangeError: No cost of any model is known, or what its currency is worth.
        HistoryError: It cannot be read.
    """
    held = history_settings(reader)
    if held.get("currency") != settings.currency:
        raise ExchangeError(
            f"{reader.path}: its money is in {held.get('currency')}, the configuration says currency: "
            f"{settings.currency}, and LiteLLM takes USD; name the configuration of that history (--config)"
        )
    kept = HistorySpan(reader, span.start, span.end)
    view = window_view(
        kept.sums(),
        name="",
        start_utc_seconds=float(kept.start),
        seconds=float(kept.end - kept.start),
        capacities={},
    )
    by_model: dict[str, list[WindowRow]] = {}
    for row in view.rows:
        if row.tokens.total_tokens and row.model not in {ALL, DEFAULT_MODEL}:
            by_model.setdefault(row.model, []).append(row)
    found = {model: _price(model, rows, usd_rate_of(settings)) for model, rows in by_model.items()}
    prices = [price for price in found.values() if price is not None]
    if not prices:
        raise ExchangeError(
            "no model has both tokens and a cost that is known whole in that time; ask for another one, or "
            "see evenwatt report for what is not known"
        )
    facts: Mapping[str, Any] = {
        "from_utc": utc_text(kept.start),
        "to_utc": utc_text(kept.end),
        "currency": settings.currency,
        "usd_rate": usd_rate_of(settings),
        "readings": held.get("readings"),
        "version": __version__,
    }
    return render_price_map(prices, facts), tuple(model for model, price in found.items() if price is None)


def _price(model: str, rows: list[WindowRow], usd_rate: float) -> EffectivePrice | None:
    """Return the price of a model, over all engines that serve it; None where its cost is not known whole."""
    cost = whole_sum(row.money.whole_costs.full for row in rows)
    if cost is None:
        return None
    in_usd = 1 / usd_rate
    by_input = _mean((row.input_cost_per_mtok, row.tokens.input_tokens) for row in rows)
    by_output = _mean((row.output_cost_per_mtok, row.tokens.output_tokens) for row in rows)
    if by_input is not None and by_output is not None:
        return EffectivePrice(
            model=model,
            input_usd_per_mtok=by_input * in_usd,
            cached_input_usd_per_mtok=0.0,
            output_usd_per_mtok=by_output * in_usd,
            basis=_BY_PHASE,
        )
    blended = _mean(
        (row.cost_per_mtok.get((Basis.FULL, TokenBase.TOTAL)), row.tokens.total_tokens) for row in rows
    )
    if blended is None:
        return None
    return EffectivePrice(
        model=model,
        input_usd_per_mtok=blended * in_usd,
        cached_input_usd_per_mtok=blended * in_usd,
        output_usd_per_mtok=blended * in_usd,
        basis=_BLENDED,
    )


def _mean(parts: Iterable[tuple[float | None, float]]) -> float | None:
    """Return the mean of prices by tokens; None where one is not known, or there are no tokens."""
    found = [(price, tokens) for price, tokens in parts if tokens]
    tokens = sum(count for _, count in found)
    cost = whole_sum(None if price is None else price * count for price, count in found)
    return cost / tokens if cost is not None and tokens else None
