"""From news to what is sent: a title, a text, and the same as data for machines."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, tzinfo
from typing import Any

from msgspec import Struct

from evenwatt.sinks.alerts.words import WORDS, AlertWords, Said
from evenwatt.sinks.words import clean, duration, money
from evenwatt.snapshot.alerts.episodes import Episode
from evenwatt.snapshot.alerts.telling import News
from evenwatt.snapshot.alerts.values import Severity

__all__ = ["Letterhead", "message", "trial_message"]

_MOST_SHOWN = 12
_EXPIRES_SECONDS = 3_600
"""For which an Alertmanager believes that an alert fires, where it hears no more of it; it hears of it six
times as often."""
_TRIAL_SECONDS = 60


class Letterhead(Struct, frozen=True, kw_only=True):
    """What stands in every message of an agent.

    Attributes:
        host: Of the machine.
        zone: In which times are written.
        is_simulated: Whether nothing in it was measured.
        assumed: Settings that decide the cost and that nobody wrote.
    """

    host: str
    currency: str
    zone: tzinfo
    is_simulated: bool = False
    assumed: tuple[str, ...] = ()


def message(news: News, head: Letterhead, *, now_utc_seconds: float) -> dict[str, Any]:
    """Return what is sent, in all its forms, for JSON."""
    lines = list(_text(news, head, now_utc_seconds))
    alerts = [
        *(_alert(episode, head, now_utc_seconds) for episode in news.ended),
        *(_alert(episode, head, now_utc_seconds) for episode in (*news.firing, *news.still_firing)),
    ]
    return {
        "title": _title(news, head),
        "text": "\n".join(lines),
        "kind": _kind(news),
        "alerts": alerts,
    }


def trial_message(head: Letterhead, *, now_utc_seconds: float) -> dict[str, Any]:
    """Return a message that somebody asked for, to see whether it arrives."""
    text = "This is a test, sent by `evenwatt alerts test`. Nothing is wrong."
    labels = {"alertname": "EvenwattTest", "instance": head.host, "severity": Severity.INFO.value}
    alert = {
        "status": "firing",
        "labels": labels,
        "annotations": {"summary": f"evenwatt on {head.host}: a test", "description": text},
        "startsAt": _iso(now_utc_seconds),
        "endsAt": _iso(now_utc_seconds + _TRIAL_SECONDS),
        "fingerprint": _fingerprint(labels),
    }
    return {"title": f"[evenwatt {head.host}] test", "text": text, "kind": "info", "alerts": [alert]}


def _title(news: News, head: Letterhead) -> str:
    parts = [
        f"{word} {len(episodes)}"
        for word, episodes in (
            ("firing", news.firing),
            ("still firing", news.still_firing),
            ("resolved", news.ended),
        )
        if episodes
    ]
    if len(news.all) == 1:
        parts = [f"{parts[0].rpartition(' ')[0]}: {_headline(news.all[0], head)}"]
    simulated = "SIMULATED, " if head.is_simulated else ""
    return f"[evenwatt {head.host}] {simulated}{', '.join(parts)}"


def _text(news: News, head: Letterhead, now: float) -> Iterator[str]:
    if head.is_simulated:
        yield "SIMULATED: nothing in this message was measured."
    shown = [
        *(_firing_lines("FIRING", episode, head, now) for episode in news.firing),
        *(_firing_lines("STILL FIRING", episode, head, now) for episode in news.still_firing),
        *(_ended_lines(episode, head) for episode in news.ended),
    ]
    for number, lines in enumerate(shown[:_MOST_SHOWN]):
        if number:
            yield ""
        yield from lines
    if len(shown) > _MOST_SHOWN:
        yield f"... and {len(shown) - _MOST_SHOWN} more: evenwatt alerts"
    if head.assumed:
        yield ""
        yield f"Assumed, as nobody wrote it: {', '.join(map(clean, head.assumed))}."


def _firing_lines(word: str, episode: Episode, head: Letterhead, now: float) -> Iterator[str]:
    words = WORDS[episode.alert]
    yield f"{word} ({episode.severity.value}): {_headline(episode, head)}"
    yield from _numbers(episode, words, head)
    yield f"Since {_when(episode.since_utc_seconds, head)}, {duration(now - episode.since_utc_seconds)}."
    yield words.cost_sentence(episode.cost_per_day, head.currency)
    yield f"To do: {words.to_do}"
    yield f"More: {_runbook(episode)}"


def _ended_lines(episode: Episode, head: Letterhead) -> Iterator[str]:
    began, ended = episode.since_utc_seconds, episode.ended_utc_seconds or episode.since_utc_seconds
    yield f"RESOLVED: {_headline(episode, head)}: no longer so."
    if episode.is_judged:
        yield from _numbers(episode, WORDS[episode.alert], head)
    else:
        yield "It can no longer be judged: what it goes by is not known now, or it is settled."
    yield f"From {_when(began, head)} to {_when(ended, head)}, {duration(ended - began)}."


def _headline(episode: Episode, head: Letterhead) -> str:
    return clean(WORDS[episode.alert].headline(_said(episode, head)))


def _numbers(episode: Episode, words: AlertWords, head: Letterhead) -> Iterator[str]:
    if words.numbers is not None:
        yield clean(words.numbers(_said(episode, head)))


def _said(episode: Episode, head: Letterhead) -> Said:
    return Said(labels=episode.labels, figures=episode.figures, currency=head.currency)


def _alert(episode: Episode, head: Letterhead, now: float) -> dict[str, Any]:
    """Return an alert as Alertmanager takes it and hands it on."""
    labels = {
        "alertname": episode.alert,
        "instance": head.host,
        "severity": episode.severity.value,
        **episode.labels,
    }
    words, ended = WORDS[episode.alert], episode.ended_utc_seconds
    numbers = " ".join(_numbers(episode, words, head))
    annotations = {
        "summary": f"{head.host}: {_headline(episode, head)}",
        "description": f"{numbers} {words.to_do}".strip(),
        "runbook_url": _runbook(episode),
    }
    if episode.cost_per_day is not None:
        annotations["cost_per_day"] = f"{money(episode.cost_per_day)} {head.currency}"
    if head.is_simulated:
        annotations["simulated"] = "nothing in this was measured"
    if head.assumed:
        annotations["assumed"] = ", ".join(head.assumed)
    return {
        "status": "firing" if ended is None else "resolved",
        "labels": labels,
        "annotations": annotations,
        "startsAt": _iso(episode.fired_utc_seconds or episode.since_utc_seconds),
        "endsAt": _iso(now + _EXPIRES_SECONDS if ended is None else ended),
        "fingerprint": _fingerprint(labels),
    }


def _kind(news: News) -> str:
    firing: Iterable[Episode] = (*news.firing, *news.still_firing)
    severities = {episode.severity for episode in firing}
    if not severities:
        return "success"
    if Severity.CRITICAL in severities:
        return "failure"
    return "warning" if Severity.WARNING in severities else "info"


def _runbook(episode: Episode) -> str:
    return f"docs/alerts.md#{episode.alert.lower()}"


def _fingerprint(labels: Mapping[str, str]) -> str:
    text = "\xff".join(f"{name}\xff{labels[name]}" for name in sorted(labels))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _iso(utc_seconds: float) -> str:
    return datetime.fromtimestamp(utc_seconds, UTC).isoformat(timespec="milliseconds")


def _when(utc_seconds: float, head: Letterhead) -> str:
    return datetime.fromtimestamp(utc_seconds, head.zone).strftime("%Y-%m-%d %H:%M %Z")
