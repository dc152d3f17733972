"""From the window that a person asks about to the span of the history that holds it."""

from msgspec.structs import replace

from evenwatt.config import Settings
from evenwatt.errors import ReportError
from evenwatt.service.report.window import AskedWindow, report_window
from evenwatt.sinks.history import HistoryReader
from evenwatt.sinks.history.queries import HistorySpan, history_extent
from evenwatt.snapshot.report.values import ReportWindow

__all__ = ["asked_span"]


def asked_span(
    settings: Settings, reader: HistoryReader, asked: AskedWindow, *, now_utc_seconds: float
) -> tuple[tuple[int, int], ReportWindow, HistorySpan]:
    """Return where the history begins and ends, the window as it is kept, and its span.

    Args:
        settings: For the site's zone.
        reader: Of the history.
        asked: In a person's words.
        now_utc_seconds: The present, after which no window reaches.

    Raises:
        OptionError: The window means nothing.
        ReportError: The history holds nothing of it.
        HistoryError: It cannot be read.
    """
    extent = history_extent(reader)
    if extent is None:
        raise ReportError(f"{reader.path}: the history is empty; leave the agent running for some minutes")
    window = report_window(asked, now_utc_seconds=now_utc_seconds, zone=settings.timezone, extent=extent)
    span = HistorySpan(reader, int(window.start_utc_seconds), int(window.end_utc_seconds))
    if span.start >= span.end:
        raise ReportError(
            f"the minutes of {window.label} are not kept any more; ask for a window of whole hours, or of "
            "whole days where hours are not kept either"
        )
    kept = replace(window, start_utc_seconds=float(span.start), end_utc_seconds=float(span.end))
    return extent, kept, span
