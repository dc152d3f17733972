"""How the log of a long-running command is written: for a terminal, for the journal, or as JSON.

The journal takes a line's level from a number before it (sd-daemon(3)), and adds the time by itself.
"""

import json
import logging
import os
import sys
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated

import typer

__all__ = ["LogFormat", "LogFormatOption", "log_to_stderr"]


class LogFormat(StrEnum):
    """The form of the log."""

    AUTO = "auto"
    """As fits where it goes: the journal, or somebody who reads it."""
    JSON = "json"
    """One object a line."""


LogFormatOption = Annotated[
    LogFormat,
    typer.Option(
        envvar="EVENWATT_LOG_FORMAT", help="Of the log: `auto` fits a terminal or the journal; `json`."
    ),
]


def log_to_stderr(form: LogFormat = LogFormat.AUTO) -> None:
    """Log to stderr, from INFO on."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_formatter(form))
    logging.basicConfig(level=logging.INFO, handlers=[handler])


def _formatter(form: LogFormat) -> logging.Formatter:
    is_journal = _is_journal()
    if form is LogFormat.JSON:
        written: logging.Formatter = _JsonFormatter()
    elif is_journal:
        written = logging.Formatter("%(message)s")
    else:
        written = logging.Formatter("%(asctime)s %(levelname)s %(message)s", datefmt="%H:%M:%S")
    return _JournalFormatter(written) if is_journal else written


class _JournalFormatter(logging.Formatter):
    """Begins each line with its level, also those of a traceback; the journal takes it off again."""

    def __init__(self, written: logging.Formatter) -> None:
        super().__init__()
        self._written = written

    def format(self, record: logging.LogRecord) -> str:
        prefix = f"<{_priority(record.levelno)}>"
        return "\n".join(prefix + line for line in self._written.format(record).splitlines() or [""])


class _JsonFormatter(logging.Formatter):
    """One object a line."""

    def format(self, record: logging.LogRecord) -> str:
        fields = {
            "utc": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            fields["traceback"] = self.formatException(record.exc_info)
        return json.dumps(fields, ensure_ascii=False)


def _is_journal() -> bool:
    """Return whether stderr is the journal itself, and not a file or another program."""
    device, _, inode = os.environ.get("JOURNAL_STREAM", "").partition(":")
    try:
        stderr = os.fstat(sys.stderr.fileno())
    except (OSError, ValueError):
        return False
    return (device, inode) == (str(stderr.st_dev), str(stderr.st_ino))


def _priority(level: int) -> int:
    """Return the number that syslog(3) has for a level of Python's."""
    numbers = ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6))
    return next((number for least, number in numbers if level >= least), 7)
