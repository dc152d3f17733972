"""The local history in SQLite."""

from evenwatt.sinks.history.beside import history_beside
from evenwatt.sinks.history.lock import writer_pid
from evenwatt.sinks.history.prices import PriceOffer, PriceRow, effective_prices
from evenwatt.sinks.history.reader import CalibrationRow, HistoryReader
from evenwatt.sinks.history.store import History

__all__ = [
    "CalibrationRow",
    "History",
    "HistoryReader",
    "PriceOffer",
    "PriceRow",
    "effective_prices",
    "history_beside",
    "writer_pid",
]
