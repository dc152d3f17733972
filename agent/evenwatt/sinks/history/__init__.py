"""The local history in SQLite."""

from typing import TYPE_CHECKING

from evenwatt.late import late_names
from evenwatt.sinks.history.prices import PriceOffer, PriceRow, effective_prices

if TYPE_CHECKING:
    from evenwatt.sinks.history.beside import history_beside
    from evenwatt.sinks.history.files import is_there
    from evenwatt.sinks.history.lock import writer_pid
    from evenwatt.sinks.history.reader import (
        CalibrationRow,
        ElectricityPriceRow,
        HistoryReader,
        PowerMinute,
    )
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

__getattr__ = late_names(
    __name__,
    {
        "CalibrationRow": "reader",
        "ElectricityPriceRow": "reader",
        "History": "store",
        "HistoryReader": "reader",
        "PowerMinute": "reader",
        "history_beside": "beside",
        "is_there": "files",
        "writer_pid": "lock",
    },
)
"""What needs a database: a plan is made without one."""
