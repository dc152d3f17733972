"""Accepted API prices: dated, stored beside the tokens, never overwritten."""

import logging
import queue
import threading
from collections.abc import Iterable
from dataclasses import replace

from evenwatt import clock
from evenwatt.config import CatalogueReference, Settings
from evenwatt.economics.api import reference_price_at
from evenwatt.economics.cost import PriceBook, model_rule
from evenwatt.errors import HistoryError
from evenwatt.model import Event
from evenwatt.service.pricing import fetched_prices, written_prices
from evenwatt.sinks.history import History, PriceRow

__all__ = ["PriceKeeper", "price_back"]

_log = logging.getLogger("evenwatt")

_REFRESH_SECONDS = 24 * 3_600
_RETRY_SECONDS = 3_600.0


class PriceKeeper:
    """Keeps the prices of all references: those written in the configuration, the catalogue's for the rest.

    What was accepted stands: a catalogue that says something else later (another version, a dated change)
    counts from then on, and is told. Used from the tick's thread; the catalogue is asked in another.
    """

    def __init__(self, history: History) -> None:
        self._history = history
        self._fetched: queue.SimpleQueue[tuple[PriceRow, ...]] = queue.SimpleQueue()
        self._next_fetch = 0.0
        self._fetching = False
        self.rows = history.prices()

    def adopt(self, settings: Settings) -> tuple[str, ...]:
        """Accept what settings ask for; return the references that have a price for the first time.

        Waits for the catalogue only where a reference has no price at all.
        """
        had = {row.reference for row in self.rows}
        wanted = {r.name for r in settings.references if isinstance(r, CatalogueReference)}
        self._accept(written_prices(settings))
        if wanted - had:
            self._accept(fetched_prices(settings))
            self._next_fetch = clock.boot_seconds() + _REFRESH_SECONDS
        missing = wanted - {row.reference for row in self.rows}
        if missing:
            self._next_fetch = clock.boot_seconds() + _RETRY_SECONDS
        return tuple(sorted({row.reference for row in self.rows} - had))

    def refresh(self, settings: Settings) -> tuple[str, ...] | None:
        """Ask the catalogue when it is time, without waiting; return None where no price changed.

        Returns:
            The references that have a price for the first time; None where nothing changed at all.
        """
        now = clock.boot_seconds()
        if not self._fetching and now >= self._next_fetch:
            self._fetching = True
            self._next_fetch = now + _REFRESH_SECONDS
            threading.Thread(
                target=lambda: self._fetched.put(fetched_prices(settings)), name="prices", daemon=True
            ).start()
        if self._fetched.empty():
            return None
        self._fetching = False
        before = self.rows
        self._accept(self._fetched.get_nowait())
        if self.rows == before:
            return None
        return tuple(sorted({row.reference for row in self.rows} - {row.reference for row in before}))

    def _accept(self, rows: Iterable[PriceRow]) -> None:
        for row in rows:
            last = max(
                (old for old in self.rows if old.reference == row.reference),
                key=lambda old: old.valid_from_utc_seconds,
                default=None,
            )
            if last is not None and _rates(last) == _rates(row):
                continue
            # The first price of a reference stands for all time before it; a later one only from its date on.
            accepted = replace(row, valid_from_utc_seconds=0.0) if last is None else row
            event = _told(last, row)
            try:
                self._history.accept_price(accepted, (event,))
            except HistoryError as error:
                _log.warning("the price of %s is used, but could not be kept: %s", row.reference, error)
            if last is not None:
                _log.warning("%s: %s", event.subject, event.text)
            self.rows = (*self.rows, accepted)


def price_back(history: History, book: PriceBook, references: Iterable[str]) -> None:
    """Compare the tokens so far with references that are new, at the prices that hold for all time before."""
    for engine, model in history.totals().usage:
        rule = model_rule(book, model)
        for name in references:
            price = reference_price_at(book.references, name, clock.utc_seconds())
            if price is not None and (rule.references is None or name in rule.references):
                history.price_back(price, engine=engine, model=model, token_ratio=rule.token_ratio)


def _rates(row: PriceRow) -> tuple[float | None, ...]:
    return row.input_usd_per_mtok, row.cached_input_usd_per_mtok, row.output_usd_per_mtok


def _told(before: PriceRow | None, after: PriceRow) -> Event:
    new = _in_words(after)
    text = f"price accepted: {new}" if before is None else f"price changed from {_in_words(before)} to {new}"
    return Event(
        utc_seconds=clock.utc_seconds(),
        kind="price" if before is None else "price_change",
        subject=after.reference,
        text=f"{text} ({after.source})",
    )


def _in_words(row: PriceRow) -> str:
    cached = row.cached_input_usd_per_mtok
    middle = "no price for cached input" if cached is None else f"{cached:g} cached"
    return f"{row.input_usd_per_mtok:g} input, {middle}, {row.output_usd_per_mtok:g} output USD per Mtok"
