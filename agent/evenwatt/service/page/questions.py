"""Answers to what the page and programs ask of the history: reports, clients, stretches of time, events.

Everything is read over a connection of its own, as the commands do: the agent's ticks are not held up.
What only questions need is imported when the first one comes: an agent whose page nobody opens never pays.
"""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from msgspec import to_builtins

from evenwatt import clock
from evenwatt.config import Settings
from evenwatt.errors import HistoryError, OptionError, ReportError
from evenwatt.sinks.web import Page, Question, json_page

if TYPE_CHECKING:
    from evenwatt.sinks.history import HistoryReader

__all__ = ["QUESTIONS", "PageQuestions"]

_REPORT: Final = "/api/v1/report"
_CLIENTS: Final = "/api/v1/clients"
_HISTORY: Final = "/api/v1/history"
_EVENTS: Final = "/api/v1/events"

QUESTIONS: Final[Mapping[str, Question | None]] = {
    _REPORT: Question(_REPORT, (("window", "7d"),)),
    _CLIENTS: None,
    _HISTORY: None,
    _EVENTS: None,
}
"""The paths that are looked up, and of each what the page asks for first."""

_WINDOW = re.compile(r"([1-9][0-9]{0,2})([hd])|month")
_MOST_HOURS = 31 * 24
"""A longer report takes half a second and ten megabytes: `evenwatt report` makes one outside of the agent."""
_NOTHING_YET: Final = (
    "the history holds nothing of this time; it has something after the first minutes of metering"
)
_POINTS = range(10, 2_001)
_LIMIT = range(1, 501)
_SECONDS = re.compile(r"[0-9]{1,11}(\.[0-9]{1,3})?")


class _Refused(Exception):
    """A parameter that means nothing."""


class PageQuestions:
    """Answers questions of one agent's history.

    Args:
        settings: For what the history does not hold.
        history_path: Of the history.
    """

    def __init__(self, settings: Settings, history_path: Path) -> None:
        self._settings = settings
        self._path = history_path
        self._by_path: Mapping[str, Callable[[HistoryReader, dict[str, str]], Page]] = {
            _REPORT: self._report,
            _CLIENTS: self._clients,
            _HISTORY: self._history,
            _EVENTS: self._events,
        }

    def adopt(self, settings: Settings) -> None:
        """Answer by other settings from now on."""
        self._settings = settings

    def __call__(self, question: Question) -> Page:
        """Return the answer, which may be a refusal in words."""
        from evenwatt.sinks.history import history_beside  # noqa: PLC0415 -- see the module

        asked = dict(question.parameters)
        try:
            with history_beside(self._path) as reader:
                return self._by_path[question.path](reader, asked)
        except (_Refused, OptionError) as error:
            return json_page({"error": str(error)}, 400)
        except ReportError:
            return json_page({"error": _NOTHING_YET}, 404)
        except HistoryError as error:
            return json_page({"error": str(error)}, 503)

    def _report(self, reader: "HistoryReader", asked: dict[str, str]) -> Page:
        from evenwatt.service.report.gathering import gathered_report  # noqa: PLC0415 -- see the module
        from evenwatt.service.report.window import AskedWindow  # noqa: PLC0415
        from evenwatt.sinks.report.json import render_json  # noqa: PLC0415

        window = AskedWindow(window=_window(asked))
        _refuse_unknown(asked)
        report = gathered_report(self._settings, reader, window, now_utc_seconds=clock.utc_seconds())
        return Page(
            body=render_json(report).encode(),
            content_type="application/json",
            sentence=report.verdict.sentence,
        )

    def _clients(self, reader: "HistoryReader", asked: dict[str, str]) -> Page:
        from evenwatt.service.report.chargeback import chargeback_of  # noqa: PLC0415 -- see the module
        from evenwatt.service.report.window import AskedWindow  # noqa: PLC0415
        from evenwatt.sinks.report.json import plain  # noqa: PLC0415

        window = AskedWindow(window=_window(asked))
        _refuse_unknown(asked)
        bills = chargeback_of(self._settings, reader, window, now_utc_seconds=clock.utc_seconds())
        return json_page(plain(bills))

    def _history(self, reader: "HistoryReader", asked: dict[str, str]) -> Page:
        from evenwatt.service.page.columns import columns_of  # noqa: PLC0415 -- see the module
        from evenwatt.sinks.history.series import history_series  # noqa: PLC0415

        start, end = _moment(asked, "from"), _moment(asked, "to")
        points = _whole(asked, "points", _POINTS, 600)
        _refuse_unknown(asked)
        if start is not None and end is not None and start >= end:
            raise _Refused(f"from: got {start:g}, expected a moment before `to` ({end:g})")
        series = history_series(reader, start, end, most_points=points)
        if series is None:
            return json_page({"error": _NOTHING_YET}, 404)
        return json_page(columns_of(series))

    def _events(self, reader: "HistoryReader", asked: dict[str, str]) -> Page:
        limit = _whole(asked, "limit", _LIMIT, 100)
        _refuse_unknown(asked)
        return json_page({"events": [to_builtins(event) for event in reader.events(limit=limit)]})


def _window(asked: dict[str, str]) -> str:
    text = asked.pop("window", "7d")
    match = _WINDOW.fullmatch(text)
    hours = 0 if match is None or match[1] is None else int(match[1]) * (24 if match[2] == "d" else 1)
    if match is None or hours > _MOST_HOURS:
        raise _Refused(
            f"window: got {text[:40]!r}, expected hours or days up to 31d such as 24h or 7d, or month; "
            "`evenwatt report` tells of longer ones"
        )
    return text


def _moment(asked: dict[str, str], name: str) -> float | None:
    text = asked.pop(name, None)
    if text is not None and not _SECONDS.fullmatch(text):
        raise _Refused(f"{name}: got {text[:40]!r}, expected seconds since 1970 in UTC")
    return None if text is None else float(text)


def _whole(asked: dict[str, str], name: str, allowed: range, default: int) -> int:
    text = asked.pop(name, str(default))
    if not (text.isascii() and text.isdigit() and len(text) <= 6 and int(text) in allowed):  # noqa: PLR2004 -- no int of a million digits
        raise _Refused(f"{name}: got {text[:40]!r}, expected {allowed[0]} to {allowed[-1]}")
    return int(text)


def _refuse_unknown(asked: dict[str, str]) -> None:
    if asked:
        raise _Refused(f"there is no parameter {min(asked)[:40]!r} here; /api/v1/openapi.json lists them")
