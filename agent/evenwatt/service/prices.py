"""Accepted API prices: dated, stored beside the tokens, never overwritten."""

import logging
import queue
import threading
from collections.abc import Callable
from dataclasses import replace

from evenwatt import clock
from evenwatt.config import CatalogueReference, Settings
from evenwatt.errors import HistoryError
from evenwatt.model import Event
from evenwatt.service.pricing import OfferedPrices, fetched_prices, written_prices
from evenwatt.sinks.history import History, PriceRow
from evenwatt.units import SECONDS_PER_DAY, SECONDS_PER_HOUR

__all__ = ["PriceKeeper"]

_log = logging.getLogger("evenwatt")

_REFRESH_SECONDS = SECONDS_PER_DAY
_RETRY_SECONDS = SECONDS_PER_HOUR


class PriceKeeper:
    """Keeps the prices of all references: those written in the configuration, the catalogue's for the rest.

    What was accepted stands: a catalogue that says something else later (another version, a dated change)
    counts from then on, and is told. Used from the tick's thread; the catalogue is asked in another, so that
    nothing here waits for it.

    Attributes:
        rows: All prices accepted so far.
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
        self.rows = history.prices()
        self._history = history
        self._fetch = fetch
        self._answers: queue.SimpleQueue[tuple[Settings, OfferedPrices]] = queue.SimpleQueue()
        self._is_asked = False
        self._faults: tuple[str, ...] = ()
        self._settings = settings
        self._offered = list(written_prices(settings))
        self._next_fetch = clock.boot_seconds()

    def adopt(self, settings: Settings) -> None:
        """Go on with other settings; their prices come with `follow`."""
        self._settings = settings
        self._offered += written_prices(settings)
        if self._missing():
            self._next_fetch = clock.boot_seconds()

    def follow(self) -> bool:
        """Ask the catalogue when it is time, and accept what was offered; return whether a price is new."""
        self._take_answer()
        if not self._is_asked and clock.boot_seconds() >= self._next_fetch:
            self._is_asked = True
            threading.Thread(target=self._ask, args=(self._settings,), name="prices", daemon=True).start()
        before = self.rows
        while self._offered:
            try:
                self._accept(self._offered[0])
            except HistoryError:
                break  # the next tick tries again; that it cannot be written is told by who writes ticks
            del self._offered[0]
        return self.rows != before

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
        self._offered += offered.rows
        for fault in offered.faults:
            if fault not in self._faults:
                _log.warning("API prices: %s", fault)
        self._faults = offered.faults
        wait_seconds = _RETRY_SECONDS if offered.faults else _REFRESH_SECONDS
        # An answer to what was asked under other settings says nothing of references that came since.
        is_present = settings is self._settings or not self._missing()
        self._next_fetch = clock.boot_seconds() + (wait_seconds if is_present else 0.0)

    def _missing(self) -> set[str]:
        """Return the catalogue's references that no price was ever known of."""
        wanted = {r.name for r in self._settings.references if isinstance(r, CatalogueReference)}
        return wanted - {row.reference for row in (*self.rows, *self._offered)}

    def _accept(self, row: PriceRow) -> None:
        last = max(
            (old for old in self.rows if old.reference == row.reference),
            key=lambda old: old.valid_from_utc_seconds,
            default=None,
        )
        if last is not None and _rates(last) == _rates(row):
            return
        # The first price of a reference stands for all time before it; a later one only from its date on.
        accepted = replace(row, valid_from_utc_seconds=0.0) if last is None else row
        event = _told(last, row)
        self._history.accept_price(accepted, (event,))
        self.rows = (*self.rows, accepted)
        if last is not None:
            _log.warning("%s: %s", event.subject, event.text)


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
