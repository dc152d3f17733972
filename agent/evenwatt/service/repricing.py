"""Money of a span worked out anew from its physics: after a price was wrong, or only to ask what if."""

from collections.abc import Callable, Sequence
from datetime import datetime, tzinfo

from msgspec.structs import replace

from evenwatt import clock
from evenwatt.config import Settings
from evenwatt.errors import OptionError, ReportError
from evenwatt.model import Event
from evenwatt.service.billing import priced_rows
from evenwatt.service.pricing import all_assumptions, price_book, stored_gpu_names
from evenwatt.service.report.window import AskedWindow, report_window
from evenwatt.sinks.history import writer_pid
from evenwatt.sinks.history.pieces import Piece
from evenwatt.sinks.history.queries import history_extent, history_settings
from evenwatt.sinks.history.repricing import PricedRows, RepricedHistory
from evenwatt.snapshot import ApiBill
from evenwatt.snapshot.repricing import MoneySums, Repricing

__all__ = ["Repricer"]

Progress = Callable[[int], None]
"""Told the seconds of the history that are done since it was told last."""


class Repricer:
    """Reprices one span of one history.

    API bills are those of the prices that the history has accepted, at the rate and rules of the settings.
    """

    def __init__(
        self,
        settings: Settings,
        history: RepricedHistory,
        asked: AskedWindow,
        *,
        changes: Sequence[str] = (),
    ) -> None:
        """Find the span and the prices.

        Args:
            settings: The prices, with what the command line says.
            history: Opened for it.
            asked: The span, in a person's words.
            changes: What the command line says, for the record.

        Raises:
            OptionError: The words mean no span, or the settings have another currency.
            ReportError: The history holds nothing of it, or no hours any more.
            HistoryError: It cannot be read.
            SourceError: The public holidays of a tariff are not known.
        """
        self._settings = settings
        self._history = history
        self._changes = tuple(changes)
        extent = history_extent(history)
        if extent is None:
            raise ReportError(f"{history.path}: the history is empty; there is nothing to reprice")
        held = history_settings(history)
        self._currency = held.get("currency", settings.currency)
        self._is_simulated = held.get("readings") == "simulated"
        if self._currency != settings.currency:
            raise OptionError(
                f"{history.path}: its money is in {self._currency}, the configuration's in "
                f"{settings.currency}; name the configuration that it was written with: --config FILE"
            )
        window = report_window(
            asked, now_utc_seconds=clock.utc_seconds(), zone=settings.timezone, extent=extent
        )
        self._window = window
        self._begin = max(int(window.start_utc_seconds), extent[0])
        self._find_pieces()
        gpu_names = stored_gpu_names(history.cursors())
        self._assumptions = tuple(assumed.text for assumed in all_assumptions(settings, gpu_names))
        self._book = price_book(
            settings,
            history.prices(),
            gpu_names,
            electricity=history.electricity_prices(self._start),
        )

    def _find_pieces(self) -> None:
        """Cut the span into what is repriced at once; the agent goes on forgetting what is old."""
        zone, window = self._settings.timezone, self._window
        first = self._history.first_second(zone)
        if window.end_utc_seconds <= first:
            raise ReportError(
                f"the hours of {window.label} are not kept any more, and the prices of a day cannot be told "
                f"apart in it; money can be corrected from {_words(first, zone)} on"
            )
        self._is_cut = window.start_utc_seconds < first and self._history.kept().hours_from > 0
        self.pieces = tuple(self._history.pieces(max(self._begin, first), int(window.end_utc_seconds)))
        self._start, self._end = self.pieces[0].start, self.pieces[-1].end

    @property
    def seconds(self) -> int:
        """How much of the history there is to do."""
        return self._end - self._start

    def difference(self, progress: Progress) -> Repricing:
        """Work out what would be written, and write nothing.

        Raises:
            HistoryError: The history cannot be read.
        """
        before, after = MoneySums(), MoneySums()
        for piece in self.pieces:
            written = self._history.priced(piece)
            priced = self._priced(piece, self._history, written)
            before.add(written.money, written.bills)
            after.add(priced.money, priced.bills)
            after.add({}, _left_alone(written, self._references))
            progress(piece.end - piece.start)
        return self._told(before, after)

    def write(self, progress: Progress) -> Repricing:
        """Write the money anew, piece by piece, with a record of what it was as an event.

        It can be ended at any moment and begun again: what is written then is right, and recorded.

        Raises:
            ReportError: No hours of it are kept any more by now.
            HistoryError: The history cannot be written, or what was to be rewritten next is forgotten; what
                was done before stays done.
        """
        self._find_pieces()
        before, after = MoneySums(), MoneySums()
        now = clock.utc_seconds()
        number: int | None = None

        def price(piece: Piece, history: RepricedHistory) -> tuple[PricedRows, Sequence[str], Event]:
            written = history.priced(piece)
            priced = self._priced(piece, history, written)
            before.add(written.money, written.bills)
            after.add(priced.money, priced.bills)
            after.add({}, _left_alone(written, self._references))
            return priced, self._references, self._event(before, after, piece.end, now)

        for piece in self.pieces:
            began = clock.boot_seconds()
            number = self._history.reprice(piece, self._settings.timezone, price, number)
            progress(piece.end - piece.start)
            if writer_pid(self._history.path) is not None:
                # Its tick asks for the database again and again for a second: half of the time is its.
                clock.sleep(clock.boot_seconds() - began)
        return self._told(before, after)

    @property
    def _references(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(price.name for price in self._book.references))

    def _priced(self, piece: Piece, history: RepricedHistory, written: PricedRows) -> PricedRows:
        money, bills = priced_rows(history.usage(piece), self._book, row_seconds=piece.row_seconds)
        return PricedRows(
            money=money, bills={key: _in_part(bill, written.bills.get(key)) for key, bill in bills.items()}
        )

    def _told(self, before: MoneySums, after: MoneySums) -> Repricing:
        by_hours = [piece.end for piece in self.pieces if piece.level == "hour"]
        return Repricing(
            start_utc_seconds=float(self._start),
            end_utc_seconds=float(self._end),
            zone_name=self._window.zone_name,
            currency=self._currency,
            changes=self._changes,
            before=before,
            after=after,
            is_simulated=self._is_simulated,
            assumptions=self._assumptions,
            kept_from_utc_seconds=float(self._start) if self._is_cut else None,
            hours_until_utc_seconds=float(by_hours[-1]) if by_hours else None,
        )

    def _event(self, before: MoneySums, after: MoneySums, until: int, now: float) -> Event:
        zone = self._settings.timezone
        done = "" if until == self._end else f" (up to {_words(until, zone)} so far)"
        changes = f" with {', '.join(self._changes)}" if self._changes else ""
        parts = "; ".join((*_money_words(before, after), *_bill_words(before, after)))
        return Event(
            utc_seconds=now,
            kind="reprice",
            subject="history",
            text=(
                f"money from {_words(self._start, zone)} to {_words(self._end, zone)}{done} was worked out "
                f"anew{changes}, in {self._currency}, before -> after: {parts}"
            ),
        )


def _in_part(bill: ApiBill, written: ApiBill | None) -> ApiBill:
    """Return a bill whose bound with cache hits is for the tokens that it was for.

    An hour does not tell any more in which of its minutes the engine told its hits; the bound moves as the
    other one does.
    """
    if written is None or written.tokens != bill.tokens or not 0 < written.observed_tokens < bill.tokens:
        return bill
    if bill.no_cache is None or not written.no_cache or written.observed_cache is None:
        return bill
    observed_cache = written.observed_cache * bill.no_cache / written.no_cache
    return replace(bill, observed_tokens=written.observed_tokens, observed_cache=observed_cache)


def _left_alone(written: PricedRows, references: Sequence[str]) -> dict[tuple[int, str, str, str], ApiBill]:
    return {key: bill for key, bill in written.bills.items() if key[3] not in references}


def _money_words(before: MoneySums, after: MoneySums) -> list[str]:
    return [
        f"{engine}/{model} "
        + ", ".join(
            f"{name} {_figure(getattr(old, name))} -> {_figure(getattr(after.money[engine, model], name))}"
            for name in ("hardware", "energy", "labour", "other")
        )
        for (engine, model), old in before.money.items()
    ]


def _bill_words(before: MoneySums, after: MoneySums) -> list[str]:
    empty = ApiBill()
    return [
        f"{engine}/{model} at {reference} "
        f"{_figure(before.bills.get((engine, model, reference), empty).no_cache)} -> "
        f"{_figure(after.bills.get((engine, model, reference), empty).no_cache)}"
        for engine, model, reference in dict.fromkeys((*before.bills, *after.bills))
    ]


def _figure(value: float | None) -> str:
    return "not known" if value is None else f"{value:.12g}"


def _words(utc_seconds: float, zone: tzinfo) -> str:
    return datetime.fromtimestamp(utc_seconds, zone).strftime("%Y-%m-%d %H:%M %Z")
