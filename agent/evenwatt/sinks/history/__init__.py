"""The local history in SQLite."""

from evenwatt.sinks.history.lock import writer_pid
from evenwatt.sinks.history.store import History, PriceRow

__all__ = ["History", "PriceRow", "writer_pid"]
