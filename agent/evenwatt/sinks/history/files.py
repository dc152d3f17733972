"""The file of the history: whether it is there, and still the same."""

from pathlib import Path

from evenwatt.errors import HistoryError

__all__ = ["file_identity", "is_database", "is_there"]

_MAGIC = b"SQLite format 3\x00"


def file_identity(path: Path) -> tuple[int, int] | None:
    """Return device and inode of what a path leads to; None where that is nothing."""
    try:
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return found.st_dev, found.st_ino


def is_database(path: Path) -> bool:
    """Return whether a file is a SQLite database, such as a history.

    Raises:
        OSError: It cannot be read.
    """
    with path.open("rb") as file:
        return file.read(len(_MAGIC)) == _MAGIC


def is_there(path: Path) -> bool:
    """Return whether there is a history.

    Raises:
        HistoryError: This user may not look, or the path can be none.
    """
    try:
        return path.is_file()
    except OSError as error:
        advice = "see history.path"
        if isinstance(error, PermissionError):
            advice = "it is for the user that the agent runs as: try again as that user, or with sudo"
        raise HistoryError(f"{path}: cannot be looked up ({error.strerror}); {advice}") from error
