"""`evenwatt backup`: a copy of the history while the agent writes it."""

from pathlib import Path

from evenwatt.errors import ExchangeError
from evenwatt.service.exchange.tables import Advance
from evenwatt.sinks.exchange.files import whole_file
from evenwatt.sinks.history import writer_pid
from evenwatt.sinks.history.copying import copy_history

__all__ = ["back_up"]


def back_up(history: Path, target: Path, *, replace: bool, advance: Advance) -> int:
    """Copy a history, and return how many bytes the copy has.

    Args:
        history: Of the database.
        target: Where to; a folder takes the history's name.
        replace: Whether what is there already may be replaced, once the copy is whole.
        advance: Is told how much is copied.

    Raises:
        ExchangeError: It may not be written there.
        HistoryError: The history cannot be read, or is damaged.
    """
    if target.is_dir():
        target = target / history.name
    if target.exists():
        if (history.exists() and target.samefile(history)) or writer_pid(target) is not None:
            raise ExchangeError(f"{target}: is a history that is in use; name another file")
        if not replace:
            raise ExchangeError(f"{target}: is there already; name another file, or add --replace")
    with whole_file(target) as part:
        copy_history(history, part, advance=advance)
    return target.stat().st_size
