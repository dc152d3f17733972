"""Who has been told what: from the alerts as they are to the news for one notifier. Pure.

A notifier knows which alerts it was told of as firing. News is what differs from that, so nothing that
happens in between (a restart, a notifier that is dead for a week) loses a change or tells one twice.
"""

from collections.abc import Iterable, Mapping

from msgspec import Struct, field

from evenwatt.snapshot.alerts.episodes import Episode
from evenwatt.snapshot.alerts.values import AlertKey, Severity

__all__ = ["Book", "Manners", "News", "Told"]

_MOST_ENDED = 200
"""Ends that wait for a notifier; more are of no use to anybody."""

_SEVERITIES = tuple(Severity)


class Manners(Struct, frozen=True, kw_only=True):
    """How somebody wants to be told.

    Attributes:
        at_least: Alerts below this are not told.
        group_wait_seconds: For which changes are collected into one message.
        remind_seconds: After which what still fires is told again; None: never.
        keeps_quiet_hours: Whether news waits through quiet hours, unless some of it is critical.
    """

    at_least: Severity = Severity.WARNING
    group_wait_seconds: float = 30.0
    remind_seconds: float | None = 86_400.0
    keeps_quiet_hours: bool = True


class Told(Struct, frozen=True, kw_only=True):
    """That an alert was told as firing.

    Attributes:
        fired_utc_seconds: When that episode of it began to fire.
        told_utc_seconds: When it was told, last.
    """

    fired_utc_seconds: float
    told_utc_seconds: float


class News(Struct, frozen=True, kw_only=True):
    """What one message tells; empty: there is none."""

    firing: tuple[Episode, ...] = ()
    still_firing: tuple[Episode, ...] = ()
    ended: tuple[Episode, ...] = ()

    def __bool__(self) -> bool:
        """Whether there is any."""
        return bool(self.firing or self.still_firing or self.ended)

    @property
    def all(self) -> tuple[Episode, ...]:
        """What it is about."""
        return (*self.firing, *self.still_firing, *self.ended)


class Book(Struct):
    """What one notifier was told.

    Attributes:
        told: The alerts that it knows as firing.
        ended: What has ended since, and it was not told.
    """

    told: dict[AlertKey, Told] = field(default_factory=dict)
    ended: list[Episode] = field(default_factory=list)

    def note_ended(self, episodes: Iterable[Episode], manners: Manners) -> None:
        """Take down what has ended."""
        self.ended.extend(episode for episode in episodes if _matters(episode, manners))
        del self.ended[:-_MOST_ENDED]

    def news(
        self,
        episodes: Mapping[AlertKey, Episode],
        manners: Manners,
        *,
        now_utc_seconds: float,
        is_quiet: bool,
    ) -> News:
        """Return what is to be told now.

        Args:
            episodes: As they are.
            manners: How it wants to be told.
            now_utc_seconds: The present.
            is_quiet: Whether it is within quiet hours.
        """
        firing = [e for e in episodes.values() if e.fired_utc_seconds is not None and _matters(e, manners)]
        new = [episode for episode in firing if not self._knows(episode)]
        known = [episode for episode in firing if self._knows(episode)]
        changes = [*new, *self.ended]
        is_due = changes and now_utc_seconds - min(map(_changed_at, changes)) >= manners.group_wait_seconds
        is_reminder = any(self._is_old(episode, manners, now_utc_seconds) for episode in known)
        is_critical = any(episode.severity is Severity.CRITICAL for episode in changes)
        if is_quiet and manners.keeps_quiet_hours and not is_critical:
            return News()
        return News(
            firing=tuple(new) if is_due else (),
            still_firing=tuple(known) if is_reminder else (),
            ended=tuple(self.ended) if is_due else (),
        )

    def waiting(self, episodes: Mapping[AlertKey, Episode], manners: Manners) -> int:
        """Return how many changes it was not told."""
        new = [
            episode
            for episode in episodes.values()
            if episode.fired_utc_seconds is not None
            and _matters(episode, manners)
            and not self._knows(episode)
        ]
        return len(new) + len(self.ended)

    def note_told(self, news: News, *, now_utc_seconds: float) -> None:
        """Take down that news was taken."""
        for episode in news.ended:
            known = self.told.get(episode.key)
            if known is not None and known.fired_utc_seconds == episode.fired_utc_seconds:
                del self.told[episode.key]
        self.ended = [episode for episode in self.ended if episode not in news.ended]
        for episode in (*news.firing, *news.still_firing):
            if episode.fired_utc_seconds is not None:
                self.told[episode.key] = Told(
                    fired_utc_seconds=episode.fired_utc_seconds, told_utc_seconds=now_utc_seconds
                )

    def forget_unknown(self, episodes: Mapping[AlertKey, Episode]) -> None:
        """Forget what it was told of alerts that are neither firing nor waiting to be told as ended."""
        waiting = {episode.key for episode in self.ended}
        for key in [key for key in self.told if key not in episodes and key not in waiting]:
            del self.told[key]

    def _knows(self, episode: Episode) -> bool:
        known = self.told.get(episode.key)
        return known is not None and known.fired_utc_seconds == episode.fired_utc_seconds

    def _is_old(self, episode: Episode, manners: Manners, now: float) -> bool:
        known = self.told.get(episode.key)
        if known is None or manners.remind_seconds is None:
            return False
        return now - known.told_utc_seconds >= manners.remind_seconds


def _matters(episode: Episode, manners: Manners) -> bool:
    return _SEVERITIES.index(episode.severity) >= _SEVERITIES.index(manners.at_least)


def _changed_at(episode: Episode) -> float:
    return episode.ended_utc_seconds or episode.fired_utc_seconds or 0.0
