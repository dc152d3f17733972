"""What `evenwatt prices` changes: what a refresh offers, and what a person accepts; and finding ids."""

import os
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from difflib import get_close_matches
from typing import Any

from evenwatt import clock
from evenwatt.config import Settings
from evenwatt.errors import HistoryError, SourceContractError
from evenwatt.readings.api_catalogue import Catalogue, bundled_catalogue, fetched_catalogue
from evenwatt.readings.api_rates import FetchedRates, RateRequest
from evenwatt.readings.api_refresh import fetch_catalogue
from evenwatt.service.api_prices.acceptance import (
    Decision,
    Standing,
    accepted_offers,
    decided_quote,
    price_in_force,
    same_rates,
)
from evenwatt.service.api_prices.commands import priced_row
from evenwatt.service.api_prices.quotes import (
    OfferedPrices,
    asked_references,
    fetched_path,
    offered_prices,
    rate_requests,
    written_prices,
)
from evenwatt.sinks.history import HistoryReader, PriceOffer, PriceRow, history_beside, is_there

__all__ = ["accept_offers", "found_models", "refresh"]

_MOST_FOUND = 25
_LEAST_LIKENESS = 0.4


def accept_offers(settings: Settings, references: Sequence[str]) -> list[dict[str, Any]]:
    """Accept what waits, of some references or of all; return each change, old and new.

    Raises:
        HistoryError: There is no history, it cannot be written, or nothing waits of a reference.
    """
    with history_beside(settings.history.path, may_write=True) as history:
        standing = _standing(history)
        waiting = {offer.row.reference: offer for offer in standing.offers}
        unknown = [name for name in references if name not in waiting]
        if unknown:
            others = f"; there waits: {', '.join(waiting)}" if waiting else ", nor of any other reference"
            raise HistoryError(f"nothing waits to be accepted of {', '.join(unknown)}{others}")
        chosen = [waiting[name] for name in references or waiting]
        decision = accepted_offers(chosen, standing, written=written_prices(settings))
        _settle(history, decision)
        taken = {row.reference for row in decision.rows}
        return [_change(offer, standing) for offer in chosen if offer.row.reference in taken]


def refresh(settings: Settings, url: str) -> dict[str, Any]:
    """Fetch the catalogue, keep it, and offer what is different; nothing counts before it is accepted.

    Without a history there is nothing to compare with but the library's own catalogue.

    Raises:
        SourceError: It cannot be fetched, or is no catalogue.
        HistoryError: The history cannot be read or written.
    """
    at = datetime.fromtimestamp(clock.utc_seconds(), tz=UTC)
    catalogue = fetch_catalogue(url, at=at, keep=fetched_path(settings.history.path))
    wanted = rate_requests(settings, asked_references(settings))
    offered = offered_prices(_looked_up(catalogue, wanted), settings)
    document: dict[str, Any] = {
        "url": url,
        "fetched_on": at.date().isoformat(),
        "kept": str(fetched_path(settings.history.path)),
        "models": sum(1 for _ in catalogue.ids()),
        "faults": list(offered.faults),
    }
    if is_there(settings.history.path):
        return {**document, "compared_with": "history", "offers": _offer(settings, offered)}
    return {**document, "compared_with": "bundled", "offers": _unlike_bundled(offered, wanted, settings)}


def found_models(settings: Settings, words: Sequence[str]) -> dict[str, Any]:
    """Return the catalogue's models whose id or name holds all words, else those with the nearest ids."""
    catalogues = [bundled_catalogue()]
    newer = fetched_catalogue(fetched_path(settings.history.path))
    if newer is not None:
        catalogues.append(newer)
    known = {name: (catalogue, title) for catalogue in catalogues for name, title in catalogue.ids()}
    lowered = [word.lower() for word in words]
    found = [
        name
        for name, (_, title) in known.items()
        if all(word in f"{name} {title}".lower() for word in lowered)
    ]
    is_near = not found
    if is_near:
        found = _nearest(":".join(lowered), known)
    found.sort(key=lambda name: (len(name), name))
    return {
        "is_near": is_near,
        "found": len(found),
        "models": [_model(name, *known[name]) for name in found[:_MOST_FOUND]],
    }


def _nearest(text: str, known: Iterable[str]) -> list[str]:
    """Return ids near to what was typed, with the provider or without."""
    by_model = {name.partition(":")[2]: name for name in known}
    near = get_close_matches(text, list(known), n=8, cutoff=_LEAST_LIKENESS)
    near += [by_model[m] for m in get_close_matches(text, list(by_model), n=8, cutoff=_LEAST_LIKENESS)]
    return list(dict.fromkeys(near))


def _model(name: str, catalogue: Catalogue, title: str) -> dict[str, Any]:
    at = datetime.fromtimestamp(clock.utc_seconds(), tz=UTC)
    provider, _, model = name.partition(":")
    rates = catalogue.rates(provider, model, at)

    def told(rate: object) -> float | None:
        return None if rate is None else float(str(rate))

    return {
        "reference": name,
        "name": title,
        "input_usd_per_mtok": told(rates.standard.input_usd_per_mtok),
        "cached_input_usd_per_mtok": told(rates.standard.cached_input_usd_per_mtok),
        "output_usd_per_mtok": told(rates.standard.output_usd_per_mtok),
        "has_batch_price": rates.batch is not None,
        "has_tiers": bool(rates.standard.tiers),
        "bills_input_only": rates.bills_input_only,
    }


def _looked_up(catalogue: Catalogue, wanted: Iterable[RateRequest]) -> FetchedRates:
    rates, faults = [], []
    for request in wanted:
        try:
            rates.append(catalogue.rates(request.provider, request.model, request.at))
        except SourceContractError as error:
            faults += [] if request.is_optional else [str(error)]
    return FetchedRates(rates=tuple(rates), faults=tuple(faults))


def _offer(settings: Settings, offered: OfferedPrices) -> list[dict[str, Any]]:
    """Keep an offer for each price that is not what counts, and return what waits of these references."""
    written = {prices.reference: prices for prices in written_prices(settings)}
    with history_beside(settings.history.path, may_write=True) as history:
        for quote in offered.quotes:
            standing = _standing(history)
            if price_in_force(standing.rows, quote.reference, standing.now_utc_seconds) is None:
                continue  # its first price is the agent's to take
            own = written.get(quote.reference)
            _settle(history, decided_quote(quote, standing, written=own, is_accepted=False))
        standing = _standing(history)
    asked = {quote.reference for quote in offered.quotes}
    return [_change(offer, standing) for offer in standing.offers if offer.row.reference in asked]


def _unlike_bundled(
    offered: OfferedPrices, wanted: Iterable[RateRequest], settings: Settings
) -> list[dict[str, Any]]:
    bundled = offered_prices(_looked_up(bundled_catalogue(), wanted), settings)
    present = {quote.reference: quote.present for quote in bundled.quotes}
    return [
        _difference(present.get(quote.reference), quote.present, quote.present.valid_from_utc_seconds or None)
        for quote in offered.quotes
        if quote.reference not in present or not same_rates(present[quote.reference], quote.present)
    ]


def _standing(history: HistoryReader) -> Standing:
    now = clock.utc_seconds()
    begin = history.begin_utc_seconds()
    return Standing(
        rows=history.prices(),
        offers=history.price_offers(),
        now_utc_seconds=now,
        begin_utc_seconds=now if begin is None else begin,
    )


def _settle(history: HistoryReader, decision: Decision) -> None:
    if decision == Decision():
        return
    try:
        history.settle_prices(
            decision.rows, offers=decision.offers, settled=decision.settled, events=decision.events
        )
    except HistoryError as error:
        if os.access(history.path, os.W_OK):
            raise
        raise HistoryError(
            f"{error}. It belongs to the user that the agent runs as: try again as that user, or with sudo"
        ) from error


def _change(offer: PriceOffer, standing: Standing) -> dict[str, Any]:
    present = price_in_force(standing.rows, offer.row.reference, standing.now_utc_seconds)
    return _difference(present, offer.row, offer.row.valid_from_utc_seconds if offer.is_dated else None)


def _difference(before: PriceRow | None, after: PriceRow, since_utc_seconds: float | None) -> dict[str, Any]:
    told = priced_row(after)
    return {
        "reference": after.reference,
        "valid_from": told["valid_from"] if since_utc_seconds is not None else None,
        "before": None if before is None else priced_row(before),
        "after": told,
    }
