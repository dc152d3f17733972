"""The local history in SQLite."""

from evenwatt.sinks.history.beside import history_beside
from evenwatt.sinks.history.lock import writer_pid
from evenwatt.sinks.history.prices import PriceOffer, PriceRow, effective_prices
from evenwatt.sinks.history.reader import HistoryReader
from evenwatt.sinks.history.store import History

__all__ = [
    "History",
    "HistoryReader",
    "PriceOffer",
    "PriceRow",
    "effective_prices",
    "history_beside",
    "writer_pid",
]
