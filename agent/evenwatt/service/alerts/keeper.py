"""Judges at each tick, keeps what is so, and has those told who want to know."""

from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any

from msgspec import Struct, field
from msgspec.structs import replace

from evenwatt import clock
from evenwatt.config import Settings
from evenwatt.config.alerts import Notifier, verdict_window
from evenwatt.errors import HistoryError
from evenwatt.service.alerts.courier import Courier
from evenwatt.service.alerts.kept import kept_document, kept_from
from evenwatt.service.alerts.orders import letterhead, order_for
from evenwatt.service.events import Tell
from evenwatt.sinks.alerts.messages import Letterhead, message
from evenwatt.sinks.alerts.words import WORDS, Said
from evenwatt.sinks.history import History
from evenwatt.snapshot import Snapshot
from evenwatt.snapshot.alerts.episodes import Episode, advanced, firing_keys, resumed
from evenwatt.snapshot.alerts.gaps import RecentGaps
from evenwatt.snapshot.alerts.rules import RULES, Case, Rule, observations
from evenwatt.snapshot.alerts.telling import Book, Manners, News
from evenwatt.snapshot.alerts.values import (
    AlertKey,
    AlertState,
    AlertView,
    NotifierHealth,
    Observation,
    Thresholds,
)

__all__ = ["AlertKeeper", "thresholds_of"]

_ALERTMANAGER_SECONDS = 600.0
"""How often an Alertmanager hears that an alert still fires."""
_PATIENCE_SECONDS = 1.0


class _Desk(Struct):
    """One notifier: how it is told, what it was told, and what is on its way to it."""

    notifier: Notifier
    manners: Manners
    book: Book = field(default_factory=Book)
    courier: Courier = field(default_factory=Courier)
    on_its_way: News = field(default_factory=News)
    waiting: int = 0


class AlertKeeper:
    """The agent's own alerts; used from its one thread, and nothing here waits for a network."""

    CURSOR = "alerts"

    def __init__(
        self,
        history: History,
        settings: Settings,
        *,
        stored: Mapping[str, Any],
        last_utc_seconds: float | None,
        tell: Tell,
    ) -> None:
        """Go on from what was kept.

        Args:
            history: Where the state is kept.
            settings: As loaded.
            stored: The cursor that was kept under `CURSOR`.
            last_utc_seconds: When the agent last looked, before it started.
            tell: Takes what becomes an event.

        Raises:
            HistoryError: The history cannot be read.
        """
        kept = kept_from(stored)
        self._history = history
        self._can_keep = True
        self._tell = tell
        self._last_utc_seconds = last_utc_seconds
        self._resumes: tuple[Episode, ...] | None = kept.episodes
        self._episodes: dict[AlertKey, Episode] = {}
        self._gaps = RecentGaps(history.source_totals(), kept.gap_steps)
        self._desks: dict[str, _Desk] = {}
        self._books = kept.books
        self._mark: object = None
        self.adopt(settings)

    def adopt(self, settings: Settings) -> None:
        """Take up a new configuration; a notifier that stays goes on with what it was told."""
        self._settings = settings
        self._thresholds = thresholds_of(settings)
        before, self._desks = self._desks, {}
        for notifier in settings.alerts.notify:
            manners = _manners(notifier, settings)
            desk = before.get(notifier.name)
            if desk is not None and desk.notifier == notifier:
                del before[notifier.name]
                desk.manners = manners
            else:
                # One that is told another way now does not rest for the failures of the old one.
                book = self._books.pop(notifier.name, Book()) if desk is None else desk.book
                desk = _Desk(notifier=notifier, manners=manners, book=book)
            self._desks[notifier.name] = desk
        for desk in before.values():
            desk.courier.close(patience_seconds=0.0)

    def follow(self, snapshot: Snapshot) -> Snapshot:
        """Return a snapshot with its alerts, once those that changed are on their way."""
        now = snapshot.moment.utc_seconds
        if self._resumes is not None:
            away = 0.0 if self._last_utc_seconds is None else now - self._last_utc_seconds
            self._episodes = resumed(self._resumes, now_utc_seconds=now, away_seconds=away)
            self._resumes = None
        case = Case(
            snapshot=snapshot,
            thresholds=self._thresholds,
            firing=firing_keys(self._episodes),
            gap_seconds=self._gaps.seconds(snapshot.source_totals, now),
        )
        observed = tuple(observations(case))
        self._episodes, ended = advanced(
            self._episodes, observed, now_utc_seconds=now, thresholds=self._thresholds
        )
        self._note_changes(case, ended)
        head = letterhead(self._settings, snapshot)
        for desk in self._desks.values():
            self._serve(desk, ended, head, now)
        self._can_keep = snapshot.history.up  # else each try would hold up the tick, and the end of the agent
        self._keep()
        return replace(
            snapshot,
            alerts=_views(case, observed, self._episodes),
            notifiers=tuple(_health(desk) for desk in self._desks.values()),
        )

    def close(self) -> None:
        """End; what is on its way gets a moment, and what was not taken is told after the next start."""
        for desk in self._desks.values():
            if desk.courier.close(patience_seconds=_PATIENCE_SECONDS / len(self._desks)):
                desk.book.note_told(desk.on_its_way, now_utc_seconds=clock.utc_seconds())
        self._keep()

    def _note_changes(self, case: Case, ended: tuple[Episode, ...]) -> None:
        for key in firing_keys(self._episodes) - case.firing:
            self._tell("alert_firing", key[0], self._words(self._episodes[key], case))
        for episode in ended:
            self._tell("alert_resolved", episode.alert, self._words(episode, case))

    def _words(self, episode: Episode, case: Case) -> str:
        words = WORDS[episode.alert]
        said = Said(labels=episode.labels, figures=episode.figures, currency=case.snapshot.currency)
        parts = [words.headline(said)]
        if words.numbers is not None and episode.is_judged:
            parts.append(words.numbers(said))
        return ". ".join(part.rstrip(".") for part in parts)

    def _serve(self, desk: _Desk, ended: tuple[Episode, ...], head: Letterhead, now: float) -> None:
        desk.book.note_ended(ended, desk.manners)
        was_up = desk.courier.up
        if desk.courier.finished():
            desk.book.note_told(desk.on_its_way, now_utc_seconds=now)
        desk.book.forget_unknown(self._episodes)
        desk.waiting = desk.book.waiting(self._episodes, desk.manners)
        if desk.courier.is_free:
            self._send_news(desk, head, now)
        if desk.courier.up is False and was_up is not False:
            told = f"it took no message, and is tried again: {desk.courier.error}"
            self._tell("notifier_down", desk.notifier.name, told)
        if desk.courier.up and was_up is False:
            self._tell("notifier_back", desk.notifier.name, "it takes messages again")

    def _send_news(self, desk: _Desk, head: Letterhead, now: float) -> None:
        news = desk.book.news(
            self._episodes,
            desk.manners,
            now_utc_seconds=now,
            is_quiet=_is_quiet(self._settings, now),
        )
        if news:
            desk.on_its_way = news
            desk.courier.send(order_for(desk.notifier, message(news, head, now_utc_seconds=now)))

    def _keep(self) -> None:
        """Keep the state where it has changed; a history that cannot be written is told elsewhere."""
        books = {name: desk.book for name, desk in self._desks.items()}
        mark = (
            tuple(
                (key, e.since_utc_seconds, e.fired_utc_seconds, e.quiet_since_utc_seconds)
                for key, e in self._episodes.items()
            ),
            tuple((name, tuple(book.told.items()), len(book.ended)) for name, book in books.items()),
            tuple(self._gaps.steps),
        )
        if mark == self._mark or not self._can_keep:
            return
        with suppress(HistoryError):
            self._history.keep_cursor(self.CURSOR, kept_document(self._episodes, books, self._gaps.steps))
            self._mark = mark


def thresholds_of(settings: Settings) -> Thresholds:
    """Return what rules compare with."""
    alerts = settings.alerts
    return Thresholds(
        window=verdict_window(alerts, settings.windows).label,
        hold_seconds=alerts.hold,
        resolve_after_seconds=alerts.resolve_after,
        minimum_coverage_ratio=alerts.minimum_coverage,
        hysteresis_ratio=alerts.hysteresis,
        idle_cost_per_day=alerts.idle_cost_per_day,
        cost_jump_ratio=alerts.cost_jump_ratio,
        budget_per_month=alerts.budget_per_month,
        month_hours=settings.month_hours,
        gap_seconds=alerts.gap_seconds,
        energy_disagreement_ratio=alerts.energy_disagreement,
        disabled=frozenset(alerts.disabled),
    )


def _manners(notifier: Notifier, settings: Settings) -> Manners:
    alerts = settings.alerts
    if notifier.kind == "alertmanager":
        return Manners(
            at_least=notifier.severity,
            group_wait_seconds=0.0,
            remind_seconds=_ALERTMANAGER_SECONDS,
            keeps_quiet_hours=False,
        )
    return Manners(
        at_least=notifier.severity,
        group_wait_seconds=alerts.group_wait,
        remind_seconds=alerts.remind_every,
    )


def _is_quiet(settings: Settings, now: float) -> bool:
    hours = settings.alerts.quiet_hours
    if hours is None:
        return False
    clock_time = datetime.fromtimestamp(now, settings.timezone).strftime("%H:%M")
    if hours.start < hours.end:
        return hours.start <= clock_time < hours.end
    return clock_time >= hours.start or clock_time < hours.end


def _views(
    case: Case, observed: tuple[Observation, ...], episodes: Mapping[AlertKey, Episode]
) -> tuple[AlertView, ...]:
    views: list[AlertView] = []
    judged = {observation.alert for observation in observed}
    for rule in RULES.values():
        if rule.alert in case.thresholds.disabled:
            continue
        own = [_active_view(rule, episode) for episode in episodes.values() if episode.alert == rule.alert]
        reason = None if rule.alert in judged else rule.why_not(case) or None
        state = AlertState.OK if reason is None else AlertState.UNJUDGED
        views += own or [
            AlertView(alert=rule.alert, severity=rule.severity, labels={}, state=state, reason=reason)
        ]
    return tuple(views)


def _active_view(rule: Rule, episode: Episode) -> AlertView:
    is_firing = episode.fired_utc_seconds is not None
    return AlertView(
        alert=rule.alert,
        severity=rule.severity,
        labels=episode.labels,
        state=AlertState.FIRING if is_firing else AlertState.PENDING,
        since_utc_seconds=episode.since_utc_seconds,
        figures=episode.figures,
        cost_per_day=episode.cost_per_day,
    )


def _health(desk: _Desk) -> NotifierHealth:
    courier = desk.courier
    return NotifierHealth(
        notifier=desk.notifier.name,
        kind=desk.notifier.kind,
        up=courier.up,
        waiting=desk.waiting,
        error=courier.error,
        last_success_utc_seconds=courier.last_success_utc_seconds,
    )
