"""The bills of clients for a window of a history that an agent may be writing."""

from evenwatt.config import Settings
from evenwatt.ledger import TokenWeights
from evenwatt.service.report.span import asked_span
from evenwatt.service.report.window import AskedWindow
from evenwatt.sinks.history import HistoryReader
from evenwatt.sinks.history.queries import history_settings
from evenwatt.snapshot.report.chargeback import Chargeback, client_bills

__all__ = ["chargeback_of"]


def chargeback_of(
    settings: Settings, reader: HistoryReader, asked: AskedWindow, *, now_utc_seconds: float
) -> Chargeback:
    """Return what each client had in a window, and its part of the cost.

    Args:
        settings: For the site's zone, and what tokens weigh.
        reader: Of the history.
        asked: The window, in a person's words.
        now_utc_seconds: The present, after which no window reaches.

    Raises:
        OptionError: The window means nothing.
        ReportError: The history holds nothing of it.
        HistoryError: It cannot be read.
    """
    _, window, span = asked_span(settings, reader, asked, now_utc_seconds=now_utc_seconds)
    held = history_settings(reader)
    weights = TokenWeights(
        input_weight=settings.attribution.input_token_weight,
        output_weight=settings.attribution.output_token_weight,
    )
    return Chargeback(
        window=window,
        currency=held.get("currency", settings.currency),
        simulated=held.get("readings") == "simulated",
        bills=client_bills(span.sums(), span.clients(), weights),
    )
