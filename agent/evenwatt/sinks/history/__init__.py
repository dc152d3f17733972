"""The local history in SQLite."""

from evenwatt.sinks.history.beside import history_beside
from evenwatt.sinks.history.files import is_there
from evenwatt.sinks.history.lock import writer_pid
from evenwatt.sinks.history.prices import PriceOffer, PriceRow, effective_prices
from evenwatt.sinks.history.reader import CalibrationRow, ElectricityPriceRow, HistoryReader, PowerMinute
from evenwatt.sinks.history.store import History

__all__ = [
    "CalibrationRow",
    "ElectricityPriceRow",
    "History",
    "HistoryReader",
    "PowerMinute",
    "PriceOffer",
    "PriceRow",
    "effective_prices",
    "history_beside",
    "is_there",
    "writer_pid",
]
