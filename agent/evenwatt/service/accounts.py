"""The history as a tick uses it: what is written, what waits to be, and what it all adds up to."""

from collections.abc import Iterable, Mapping
from datetime import tzinfo

from evenwatt.config import Window
from evenwatt.economics.capacity import Capacity
from evenwatt.economics.cost import PriceBook, model_rule
from evenwatt.errors import HistoryError
from evenwatt.ledger import Posting, merged_postings
from evenwatt.service.billing import priced
from evenwatt.service.events import Tell
from evenwatt.service.windows import SumsSince, window_views
from evenwatt.sinks.history import History
from evenwatt.snapshot import ApiBill, HistoryHealth, Sums, WindowView, sums_with, tokens_of, with_outlook

__all__ = ["Accounts", "price_back"]

_EVENTS_SHOWN = 20


class Accounts:
    """Writes each tick once, sooner or later, and knows what views show.

    A history that cannot be written or read is a state, told when it begins and ends; never a reason to stop.

    Attributes:
        totals: Of the life of the history, with the ticks that wait to be written.
        source_totals: As last read.
        events: The latest ones, newest first, as last read.
        event_totals: How many of each kind there are, as last read.
        windows: As last worked out.
    """

    def __init__(self, history: History, *, tell: Tell) -> None:
        """Begin where the history stands.

        Raises:
            HistoryError: It cannot be read.
        """
        self._history = history
        self._tell = tell
        self._written = history.totals()
        self._sums_since = SumsSince(history)
        self._pending: Posting | None = None
        self._pending_ticks = 0
        self._error: str | None = None
        self._compared_with: PriceBook | None = None
        self._set_aside = history.set_aside
        self.totals: Sums = self._written
        self.source_totals = history.source_totals()
        self.events = history.events(limit=_EVENTS_SHOWN)
        self.event_totals = history.event_totals()
        self._edition = history.edition()
        self.windows: tuple[WindowView, ...] = ()

    @property
    def health(self) -> HistoryHealth:
        """Whether ticks reach the disk."""
        return HistoryHealth(
            path=str(self._history.path),
            up=self._error is None,
            pending_ticks=self._pending_ticks,
            error=self._error,
            set_aside=None if self._history.set_aside is None else str(self._history.set_aside),
        )

    def post(self, posting: Posting, book: PriceBook) -> None:
        """Write a tick with those that could not be written before, in one transaction."""
        waiting = posting if self._pending is None else merged_postings(self._pending, posting)
        tick = priced(waiting, book)
        self.totals = sums_with(self._written, tick)
        try:
            self._history.write(tick)
        except HistoryError as error:
            self._pending = waiting
            self._pending_ticks += 1
            if self._history.set_aside not in {None, self._set_aside}:
                self._set_aside = self._history.set_aside
                self._tell("history_corrupt", "history", f"it was corrupt; set aside as {self._set_aside}")
            self._fail(f"{error}; ticks are kept in memory until it can be written", error)
            return
        if self._pending is not None:
            kept = self._pending_ticks
            self._pending, self._pending_ticks, self._error = None, 0, None
            self._tell(
                "history_back", "history", f"the history is written again; {kept} ticks were kept in memory"
            )
        self._written = self.totals
        self._sums_since.add(tick)

    def look_up(
        self,
        book: PriceBook,
        windows: Iterable[Window],
        *,
        now_utc_seconds: float,
        zone: tzinfo,
        capacities: Mapping[str, Capacity],
    ) -> None:
        """Take what views show from the history; while ticks wait to be written, it stays as it was.

        Args:
            book: Its references are compared with the tokens so far, once for each new book.
            windows: As `window_views` takes them, like all that follows.
            now_utc_seconds: Where they end.
            zone: In which the month begins.
            capacities: By engine, what it can sustain.
        """
        if self._pending is not None:
            return
        try:
            if book is not self._compared_with:
                price_back(self._history, book, self._written)
                self._sums_since.forget()
                self._compared_with = book
            self.totals = self._written = self._history.totals()
            self.source_totals = self._history.source_totals()
            self._look_up_events()
            views = window_views(
                self._sums_since, windows, now_utc_seconds=now_utc_seconds, zone=zone, capacities=capacities
            )
            self.windows = tuple(with_outlook(view, book) for view in views)
        except HistoryError as error:
            self._fail(f"{error}; what it adds up to is shown as it was", error)
            return
        if self._error is not None:
            self._error = None
            self._tell("history_back", "history", "the history is read again")

    def _look_up_events(self) -> None:
        """Take the events; all are counted anew only where there are new ones, whoever wrote them."""
        events, edition = self._history.events(limit=_EVENTS_SHOWN), self._history.edition()
        if (events, edition) != (self.events, self._edition):
            self.event_totals = self._history.event_totals()
            self.events, self._edition = events, edition

    def _fail(self, told: str, error: HistoryError) -> None:
        if self._error is None:
            self._tell("history_down", "history", told)
        self._error = str(error)


def price_back(history: History, book: PriceBook, totals: Sums) -> None:
    """Compare tokens with references that they were not, or not all, compared with when they were served.

    Raises:
        HistoryError: It cannot be written; it can be done again.
    """
    names = dict.fromkeys(price.name for price in book.references)
    for (engine, model), usage in totals.usage.items():
        rule = model_rule(book, model)
        tokens = tokens_of(usage).total_tokens
        for name in names:
            is_compared = rule.references is None or name in rule.references
            bill = totals.api.get((engine, model, name), ApiBill())
            if is_compared and bill.tokens != tokens:
                dated = [price for price in book.references if price.name == name]
                history.price_back(
                    dated,
                    engine=engine,
                    model=model,
                    token_ratio=rule.token_ratio,
                    has_cache_write_surcharge=book.has_cache_write_surcharge,
                )
