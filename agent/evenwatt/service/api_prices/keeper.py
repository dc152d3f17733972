"""Accepted API prices: dated, stored beside the tokens, never overwritten."""

import logging
import queue
import threading
from collections.abc import Callable

from evenwatt import clock
from evenwatt.config import CatalogueReference, Settings
from evenwatt.errors import HistoryError
from evenwatt.service.api_prices.acceptance import (
    Decision,
    Standing,
    decided_quote,
    decided_return,
    decided_written,
    pending_prices,
    price_in_force,
)
from evenwatt.service.api_prices.quotes import (
    ALWAYS,
    OfferedPrices,
    Quote,
    WrittenPrices,
    asked_references,
    fetched_prices,
    written_prices,
)
from evenwatt.sinks.history import History
from evenwatt.snapshot import PendingPrice
from evenwatt.units import SECONDS_PER_DAY, SECONDS_PER_HOUR

__all__ = ["PriceKeeper"]

_log = logging.getLogger("evenwatt")

_REFRESH_SECONDS = SECONDS_PER_DAY
_RETRY_SECONDS = SECONDS_PER_HOUR
_WARNED = frozenset({"price_change", "price_offered"})

_Said = WrittenPrices | CatalogueReference | Quote
"""What is to be decided on: prices of the configuration, a reference without any there, the catalogue's."""


class PriceKeeper:
    """Keeps the prices of all references: those written in the configuration, the catalogue's for the rest.

    What was accepted stands. A catalogue that says something else later (another version, a dated change)
    makes an offer, which counts once somebody accepts it, here or with a command beside. Used from the tick's
    thread; the catalogue is asked in another, so that nothing here waits for it.

    Attributes:
        rows: The accepted prices that hold.
        offers: What waits to be accepted.
    """

    def __init__(
        self,
        history: History,
        settings: Settings,
        *,
        fetch: Callable[[Settings], OfferedPrices] = fetched_prices,
    ) -> None:
        """Begin with what was accepted before.

        Args:
            history: Where prices are kept.
            settings: Whose references are to have prices.
            fetch: Asks the catalogue; may take its time.

        Raises:
            HistoryError: The history cannot be read.
        """
        self._history = history
        self._fetch = fetch
        self._answers: queue.SimpleQueue[tuple[Settings, OfferedPrices]] = queue.SimpleQueue()
        self._is_asked = False
        self._faults: tuple[str, ...] = ()
        self._said: list[_Said] = []
        self._read()
        self._adopt(settings)
        self._next_fetch = clock.boot_seconds()

    def adopt(self, settings: Settings) -> None:
        """Go on with other settings; their prices come with `follow`."""
        accepts_now = settings.prices.accept_catalogue and not self._settings.prices.accept_catalogue
        self._adopt(settings)
        if self._missing() or (accepts_now and self.offers):
            self._next_fetch = clock.boot_seconds()

    def _adopt(self, settings: Settings) -> None:
        self._settings = settings
        self._written = {prices.reference: prices for prices in written_prices(settings)}
        named = (r for r in settings.references if isinstance(r, CatalogueReference))
        quotes = (said for said in self._said if isinstance(said, Quote))
        self._said = [*self._written.values(), *named, *quotes]

    def follow(self) -> bool:
        """Ask the catalogue when it is time, and accept what is to be; return whether a price is new."""
        before = self.rows
        self._take_answer()
        if not self._is_asked and clock.boot_seconds() >= self._next_fetch:
            self._is_asked = True
            threading.Thread(target=self._ask, args=(self._settings,), name="prices", daemon=True).start()
        try:
            if self._history.edition() != self._edition:
                self._read_anew()
            while self._said:
                self._settle(self._decided(self._said[0]))
                del self._said[0]
        except HistoryError:
            pass  # the next tick tries again; that it cannot be written is told by who writes ticks
        return self.rows != before

    def _read_anew(self) -> None:
        """Take what somebody else has written; where the history was begun anew, begin anew with it."""
        known = {row.reference for row in self.rows}
        self._read()
        if known - {row.reference for row in self.rows}:
            self._adopt(self._settings)
            self._next_fetch = clock.boot_seconds()

    def _read(self) -> None:
        self._edition = self._history.edition()
        self.rows = self._history.prices()
        self.offers = self._history.price_offers()

    @property
    def pending(self) -> tuple[PendingPrice, ...]:
        """What waits to be accepted, of the references of the settings, as views show it."""
        if not self.offers:
            return ()
        names = (reference.name for reference in self._settings.references)
        return pending_prices(self._standing(begin_utc_seconds=ALWAYS), names)

    def _standing(self, *, begin_utc_seconds: float | None) -> Standing:
        now = clock.utc_seconds()
        return Standing(
            rows=self.rows,
            offers=self.offers,
            now_utc_seconds=now,
            begin_utc_seconds=now if begin_utc_seconds is None else begin_utc_seconds,
        )

    def _decided(self, said: _Said) -> Decision:
        standing = self._standing(begin_utc_seconds=self._history.begin_utc_seconds())
        match said:
            case WrittenPrices():
                return decided_written(said, standing)
            case CatalogueReference():
                return decided_return(said.name, standing, self._history.price_records())
        return decided_quote(
            said,
            standing,
            written=self._written.get(said.reference),
            is_accepted=self._settings.prices.accept_catalogue,
        )

    def _settle(self, decision: Decision) -> None:
        if decision == Decision():
            return
        self._history.settle_prices(
            decision.rows, offers=decision.offers, settled=decision.settled, events=decision.events
        )
        self._read()
        for event in decision.events:
            if event.kind in _WARNED:
                _log.warning("%s: %s", event.subject, event.text)

    def _ask(self, settings: Settings) -> None:
        try:
            offered = self._fetch(settings)
        except Exception as fault:  # noqa: BLE001 -- a fault of ours must not end the asking; it is told
            _log.exception("internal fault while asking for API prices; please report it")
            offered = OfferedPrices(faults=(f"internal fault: {fault!r}",))
        self._answers.put((settings, offered))

    def _take_answer(self) -> None:
        if self._answers.empty():
            return
        settings, offered = self._answers.get_nowait()
        self._is_asked = False
        wanted = {reference.name for reference in asked_references(self._settings)}
        self._said += (quote for quote in offered.quotes if quote.reference in wanted)
        for fault in offered.faults:
            if fault not in self._faults:
                _log.warning("API prices: %s", fault)
        self._faults = offered.faults
        wait_seconds = _RETRY_SECONDS if offered.faults else _REFRESH_SECONDS
        # An answer to what was asked under other settings says nothing of references that came since.
        is_present = settings is self._settings or not self._missing()
        self._next_fetch = clock.boot_seconds() + (wait_seconds if is_present else 0.0)

    def _missing(self) -> set[str]:
        """Return the references whose price is to come from the catalogue and has not."""
        now = clock.utc_seconds()
        named = {r.name for r in self._settings.references if isinstance(r, CatalogueReference)}
        present = {name: price_in_force(self.rows, name, now) for name in named}
        known = {name for name, row in present.items() if row and row.accepted_by != "configuration"}
        return named - known - {said.reference for said in self._said if isinstance(said, Quote)}
