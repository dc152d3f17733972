"""What happens to alerts over time: they hold, fire, and end; as in Prometheus, evaluation by evaluation.

An alert is pending from the first evaluation at which it holds, fires once it has held for its time, and ends
once it has held no longer for its other time (Prometheus: `for` and `keep_firing_for`).
"""

from collections.abc import Iterable, Mapping

from msgspec import Struct, field
from msgspec.structs import replace

from evenwatt.snapshot.alerts.rules import RULES
from evenwatt.snapshot.alerts.values import AlertKey, Observation, Severity, Thresholds, alert_key

__all__ = ["Episode", "advanced", "firing_keys", "resumed"]


class Episode(Struct, frozen=True, kw_only=True):
    """One time that an alert holds.

    Attributes:
        since_utc_seconds: At which it held first.
        fired_utc_seconds: At which it began to fire; None: it is pending.
        quiet_since_utc_seconds: Since when it fires on although it holds no longer.
        ended_utc_seconds: At which it stopped firing.
        figures: The numbers as last seen.
        is_judged: Whether the numbers are of the last evaluation; an alert can also end because it can be
            judged no longer.
    """

    alert: str
    labels: Mapping[str, str]
    since_utc_seconds: float
    fired_utc_seconds: float | None = None
    quiet_since_utc_seconds: float | None = None
    ended_utc_seconds: float | None = None
    figures: Mapping[str, float | None] = field(default_factory=dict)
    cost_per_day: float | None = None
    is_judged: bool = True

    @property
    def key(self) -> AlertKey:
        """What it is about."""
        return alert_key(self.alert, self.labels)

    @property
    def severity(self) -> Severity:
        """Of its rule."""
        return RULES[self.alert].severity


def firing_keys(episodes: Mapping[AlertKey, Episode]) -> frozenset[AlertKey]:
    """Return the alerts that fire."""
    return frozenset(key for key, episode in episodes.items() if episode.fired_utc_seconds is not None)


def resumed(
    episodes: Iterable[Episode], *, now_utc_seconds: float, away_seconds: float
) -> dict[AlertKey, Episode]:
    """Return episodes as they go on after the agent was away: time that nobody watched held nothing.

    Args:
        episodes: As they were kept; those of rules that there are no longer are dropped.
        now_utc_seconds: The present.
        away_seconds: Since they were last evaluated.
    """
    away = max(away_seconds, 0.0)
    return {
        episode.key: _moved(episode, away, now_utc_seconds) for episode in episodes if episode.alert in RULES
    }


def advanced(
    episodes: Mapping[AlertKey, Episode],
    observed: Iterable[Observation],
    *,
    now_utc_seconds: float,
    thresholds: Thresholds,
) -> tuple[dict[AlertKey, Episode], tuple[Episode, ...]]:
    """Return the episodes after one more evaluation, and those that ended at it.

    Args:
        episodes: After the evaluation before.
        observed: What the rules say now.
        now_utc_seconds: When they say it.
        thresholds: Which know how long rules hold.
    """
    seen = {observation.key: observation for observation in observed}
    going_on: dict[AlertKey, Episode] = {}
    ended = []
    for key in dict.fromkeys([*episodes, *seen]):
        episode = _next(episodes.get(key), seen.get(key), now_utc_seconds, thresholds)
        if episode is None:
            continue
        if episode.ended_utc_seconds is None:
            going_on[key] = episode
        else:
            ended.append(episode)
    return going_on, tuple(ended)


def _moved(episode: Episode, away: float, now: float) -> Episode:
    if episode.fired_utc_seconds is None:
        return replace(episode, since_utc_seconds=min(episode.since_utc_seconds + away, now))
    if episode.quiet_since_utc_seconds is not None:
        return replace(episode, quiet_since_utc_seconds=min(episode.quiet_since_utc_seconds + away, now))
    return episode


def _next(
    episode: Episode | None, observation: Observation | None, now: float, thresholds: Thresholds
) -> Episode | None:
    """Return an episode after one more evaluation; None where there is none."""
    if observation is not None and observation.holds:
        return _held(episode, observation, now, thresholds)
    if episode is None or episode.fired_utc_seconds is None:
        return None
    seen = _with_figures(episode, observation)
    quiet_since = min(now if seen.quiet_since_utc_seconds is None else seen.quiet_since_utc_seconds, now)
    if now - quiet_since < RULES[episode.alert].ends_after(thresholds):
        return replace(seen, quiet_since_utc_seconds=quiet_since)
    return replace(seen, quiet_since_utc_seconds=quiet_since, ended_utc_seconds=now)


def _held(episode: Episode | None, observation: Observation, now: float, thresholds: Thresholds) -> Episode:
    if episode is None:
        episode = Episode(alert=observation.alert, labels=observation.labels, since_utc_seconds=now)
    # A clock that was set back must not make it hold from a time to come.
    since = min(episode.since_utc_seconds, now)
    fired = episode.fired_utc_seconds
    if fired is None and now - since >= RULES[episode.alert].holds_for(thresholds):
        fired = now
    return replace(
        _with_figures(episode, observation),
        since_utc_seconds=since,
        fired_utc_seconds=fired,
        quiet_since_utc_seconds=None,
    )


def _with_figures(episode: Episode, observation: Observation | None) -> Episode:
    if observation is None:
        return replace(episode, is_judged=False)
    return replace(
        episode, figures=observation.figures, cost_per_day=observation.cost_per_day, is_judged=True
    )
