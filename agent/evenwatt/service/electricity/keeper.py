"""Electricity prices from a feed: read beside the ticks, dated, stored, and kept when it falls silent."""

import logging
import queue
import threading
from bisect import bisect_right
from collections.abc import Callable

from msgspec import Struct
from msgspec.structs import replace

from evenwatt import clock
from evenwatt.config import ElectricityFeed, Settings
from evenwatt.errors import HistoryError, SourceError
from evenwatt.model import SourceHealth
from evenwatt.readings.electricity_feed import QuotedPrice, read_quotes
from evenwatt.readings.http import HttpClient, shown_url
from evenwatt.service.electricity.feeds import feed_spec
from evenwatt.service.electricity.quotes import by_start, feed_prices, lateness, replaced_starts, taken_up
from evenwatt.service.events import Tell
from evenwatt.sinks.history import ElectricityPriceRow, History
from evenwatt.units import SECONDS_PER_DAY, SECONDS_PER_MINUTE

__all__ = ["ElectricityKeeper", "Quotes"]

_SOURCE = "electricity"
"""The name under which the feed shows among the sources."""

_log = logging.getLogger("evenwatt")

_DEADLINE_SECONDS = 15.0
_RETRY_SECONDS = 60.0
_KEPT_SECONDS = 8 * SECONDS_PER_DAY
"""How far back prices are kept in memory: a tick is priced when it happens, or when the disk works again."""


class Quotes(Struct, frozen=True, kw_only=True):
    """How a look at the feed went.

    Attributes:
        prices: Empty where there is an error.
    """

    prices: tuple[QuotedPrice, ...] = ()
    error: str | None = None
    duration_seconds: float = 0.0


def _read_feed(settings: Settings, feed: ElectricityFeed) -> Quotes:
    """Read the feed once."""
    began = clock.boot_seconds()
    client = HttpClient(None if feed.api_key is None else feed.api_key.get_secret_value())
    try:
        prices = read_quotes(
            client,
            feed_spec(settings, feed),
            now_utc_seconds=clock.utc_seconds(),
            deadline_seconds=_DEADLINE_SECONDS,
        )
    except SourceError as error:
        return Quotes(error=str(error), duration_seconds=clock.boot_seconds() - began)
    finally:
        client.close()
    return Quotes(prices=prices, duration_seconds=clock.boot_seconds() - began)


class ElectricityKeeper:
    """Keeps the prices of the settings' electricity feed; without one it does nothing.

    Used from the tick's thread; the feed is read in another, so that nothing here waits for it. What a minute
    that is past was billed at stands: a price that comes to be known later, or is told otherwise later, is
    for the minutes to come.
    """

    def __init__(
        self,
        history: History,
        settings: Settings,
        *,
        last_utc_seconds: float | None = None,
        read: Callable[[Settings, ElectricityFeed], Quotes] = _read_feed,
    ) -> None:
        """Begin with what was read before.

        Args:
            history: Where prices are kept.
            settings: Whose feed is read.
            last_utc_seconds: Up to when the history is accounted for; what came after it is yet to be priced.
            read: Reads the feed; may take its time.

        Raises:
            HistoryError: The history cannot be read.
        """
        self._history = history
        self._settings = settings
        self._read = read
        since = clock.utc_seconds() - _KEPT_SECONDS
        self._known = by_start(history.electricity_prices(min(since, last_utc_seconds or since)))
        self._unwritten: list[ElectricityPriceRow] = []
        self._answers: queue.SimpleQueue[tuple[Settings, Quotes]] = queue.SimpleQueue()
        self._is_asked = False
        self._next_read = clock.boot_seconds()
        self._was_stale: bool | None = None
        self._health = self._new_health()
        self.prices = feed_prices(self._known)

    @property
    def health(self) -> tuple[SourceHealth, ...]:
        """How the feed fares; empty where there is none."""
        return () if self._settings.electricity.feed is None else (self._health,)

    def adopt(self, settings: Settings) -> None:
        """Go on with other settings; another feed is read at the next tick."""
        if settings.electricity.feed != self._settings.electricity.feed:
            self._next_read = clock.boot_seconds()
            self._settings = settings
            self._health = self._new_health()
        self._settings = settings

    def follow(self, tell: Tell) -> bool:
        """Read the feed when it is time, and take up what came; return whether a price is new."""
        feed = self._settings.electricity.feed
        if feed is None:
            self._was_stale = None
            return False
        is_new = self._take_answer(feed)
        if not self._is_asked and clock.boot_seconds() >= self._next_read:
            self._is_asked = True
            arguments = (self._settings, feed)
            threading.Thread(target=self._ask, args=arguments, name=_SOURCE, daemon=True).start()
        self._write()
        self._tell_staleness(tell)
        return is_new

    def _ask(self, settings: Settings, feed: ElectricityFeed) -> None:
        try:
            quotes = self._read(settings, feed)
        except Exception as fault:  # noqa: BLE001 -- a fault of ours must not end the asking; it is told
            _log.exception("internal fault while reading electricity prices; please report it")
            quotes = Quotes(error=f"internal fault: {fault!r}; please report it")
        self._answers.put((settings, quotes))

    def _take_answer(self, feed: ElectricityFeed) -> bool:
        if self._answers.empty():
            return False
        settings, quotes = self._answers.get_nowait()
        self._is_asked = False
        if settings.electricity.feed != feed:
            return False  # it answers what was asked under other settings; the new feed is read next
        now = clock.utc_seconds()
        news = tuple(taken_up(self._known, quotes.prices, now))
        for start in replaced_starts(self._known, news, now):
            del self._known[start]
        self._known.update((quote.start_utc_seconds, quote) for quote in news)
        source = shown_url(feed.url)
        self._unwritten += (_row(quote, source) for quote in news)
        self._prune(now)
        self.prices = feed_prices(self._known)
        error = quotes.error or (lateness(quotes.prices, now) if quotes.prices else None)
        self._note(replace(quotes, error=error), now)
        wait_seconds = _RETRY_SECONDS if error else feed.refresh_minutes * SECONDS_PER_MINUTE
        self._next_read = clock.boot_seconds() + wait_seconds
        return bool(news)

    def _prune(self, now: float) -> None:
        kept = bisect_right(self.prices.starts_utc_seconds, now - _KEPT_SECONDS)
        for start in self.prices.starts_utc_seconds[: max(kept - 1, 0)]:
            self._known.pop(start, None)

    def _write(self) -> None:
        if not self._unwritten:
            return
        try:
            self._history.accept_electricity_prices(self._unwritten, accepted_utc_seconds=clock.utc_seconds())
        except HistoryError:
            return  # the next tick tries again; that it cannot be written is told by who writes ticks
        self._unwritten.clear()

    # --- how it fares --------------------------------------------------------------------------------------

    def _new_health(self) -> SourceHealth:
        feed = self._settings.electricity.feed
        return SourceHealth(
            source=_SOURCE,
            kind="feed",
            address="" if feed is None else shown_url(feed.url),
            up=False,
            error="not read yet",
        )

    def _note(self, quotes: Quotes, now: float) -> None:
        """Take down how the last look went; told once for each change."""
        before, is_up = self._health, quotes.error is None
        if is_up and not before.up:
            _log.info("electricity prices are read from %s", before.address)
        if quotes.error is not None and (before.up or before.read_duration_seconds is None):
            _log.warning("electricity prices: %s", quotes.error)
        self._health = replace(
            before,
            up=is_up,
            error=quotes.error,
            last_success_utc_seconds=now if is_up else before.last_success_utc_seconds,
            read_duration_seconds=quotes.duration_seconds,
        )

    def _tell_staleness(self, tell: Tell) -> None:
        now = clock.utc_seconds()
        begun = bisect_right(self.prices.starts_utc_seconds, now)
        if not begun or self._health.read_duration_seconds is None:
            return  # what was never read is not known, and not stale; what is being read may be fresh
        is_stale = now >= self.prices.ends_utc_seconds[begun - 1]
        if is_stale and not self._was_stale:
            last = self.prices.prices_per_kwh[begun - 1]
            why = self._health.error or "its prices end here"
            text = f"the feed has no price for now; the last known one, {last:g} per kWh, is kept ({why})"
            tell("electricity_stale", _SOURCE, text)
        elif self._was_stale and not is_stale:
            tell("electricity_fresh", _SOURCE, "the feed has the price for now again")
        self._was_stale = is_stale


def _row(quote: QuotedPrice, source: str) -> ElectricityPriceRow:
    return ElectricityPriceRow(
        start_utc_seconds=quote.start_utc_seconds,
        end_utc_seconds=quote.end_utc_seconds,
        price_per_kwh=quote.price_per_kwh,
        source=source,
    )
