"""The state of alerts as it is kept in the history, over restarts."""

from collections.abc import Iterable, Mapping
from typing import Any

from msgspec import Struct, field, to_builtins

from evenwatt.snapshot.alerts.episodes import Episode
from evenwatt.snapshot.alerts.rules import RULES
from evenwatt.snapshot.alerts.telling import Book, Told
from evenwatt.snapshot.alerts.values import AlertKey, alert_key

__all__ = ["Kept", "kept_document", "kept_from"]

_VERSION = 1


class Kept(Struct):
    """What is known of alerts when the agent starts."""

    episodes: tuple[Episode, ...] = ()
    books: dict[str, Book] = field(default_factory=dict)
    gap_steps: tuple[tuple[float, str, float], ...] = ()


def kept_from(document: Mapping[str, Any]) -> Kept:
    """Return what a document says; nothing, where another version has written it."""
    if document.get("version") != _VERSION:
        return Kept()
    return Kept(
        episodes=_episodes(document["episodes"]),
        books={
            name: Book(
                told={
                    alert_key(alert, labels): Told(fired_utc_seconds=fired, told_utc_seconds=told)
                    for alert, labels, fired, told in book["told"]
                },
                ended=list(_episodes(book["ended"])),
            )
            for name, book in document["books"].items()
        },
        gap_steps=tuple((at, source, before) for at, source, before in document["gap_steps"]),
    )


def kept_document(
    episodes: Mapping[AlertKey, Episode],
    books: Mapping[str, Book],
    gap_steps: Iterable[tuple[float, str, float]],
) -> dict[str, Any]:
    """Return the document of a state, for JSON."""
    return {
        "version": _VERSION,
        "episodes": [to_builtins(episode) for episode in episodes.values()],
        "books": {
            name: {
                "told": [
                    [alert, dict(labels), told.fired_utc_seconds, told.told_utc_seconds]
                    for (alert, labels), told in book.told.items()
                ],
                "ended": [to_builtins(episode) for episode in book.ended],
            }
            for name, book in books.items()
        },
        "gap_steps": [list(step) for step in gap_steps],
    }


def _episodes(documents: Iterable[Mapping[str, Any]]) -> tuple[Episode, ...]:
    # A rule that a later release no longer has is over.
    return tuple(Episode(**document) for document in documents if document["alert"] in RULES)
