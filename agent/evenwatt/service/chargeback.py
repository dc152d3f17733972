"""The bills of clients out of a history that an agent may be writing."""

from datetime import UTC, datetime

from evenwatt.clock import utc_seconds
from evenwatt.config import Settings
from evenwatt.ledger import TokenWeights
from evenwatt.sinks.chargeback import render_chargeback
from evenwatt.sinks.history.reader import HistoryReader
from evenwatt.snapshot import ClientBill, client_bills
from evenwatt.units import SECONDS_PER_MINUTE

__all__ = ["bills_since", "chargeback_since"]


def bills_since(
    history: HistoryReader, settings: Settings, since_utc_seconds: float
) -> tuple[ClientBill, ...]:
    """Return what each client had and its part of the cost, from the minute of a moment on.

    Raises:
        HistoryError: The history cannot be read.
    """
    minute = _minute(since_utc_seconds)
    weights = TokenWeights(
        input_weight=settings.attribution.input_token_weight,
        output_weight=settings.attribution.output_token_weight,
    )
    return client_bills(history.sums_since(minute), history.clients_since(minute), weights)


def chargeback_since(history: HistoryReader, settings: Settings, since_utc_seconds: float) -> str:
    """Return the same as CSV.

    Raises:
        HistoryError: The history cannot be read.
    """
    return render_chargeback(
        bills_since(history, settings, since_utc_seconds),
        from_utc=_shown(_minute(since_utc_seconds)),
        to_utc=_shown(utc_seconds()),
        currency=settings.currency,
    )


def _minute(seconds: float) -> int:
    return int(seconds // SECONDS_PER_MINUTE) * SECONDS_PER_MINUTE


def _shown(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, tz=UTC).isoformat(timespec="seconds")
