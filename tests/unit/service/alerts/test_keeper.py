"""The keeper of alerts: quiet hours by the clock of the site, and what a new start remembers."""

import pytest

from config_fixtures import settings_of
from evenwatt.model import Moment
from evenwatt.service.alerts.keeper import AlertKeeper, _is_quiet, thresholds_of
from evenwatt.service.alerts.kept import kept_document, kept_from
from evenwatt.sinks.history import History
from evenwatt.snapshot.alerts.episodes import Episode
from evenwatt.snapshot.alerts.telling import Book, Told
from evenwatt.snapshot.alerts.values import AlertState
from sink_fixtures import HOUR, gpu, snapshot

NIGHT = """
timezone: Europe/Berlin
alerts: {quiet_hours: {start: "22:00", end: "07:00"}}
"""
NOON = 1_768_993_200
"""2026-01-21 12:00 in Berlin."""


@pytest.mark.parametrize(
    ("hours", "is_quiet"), [(0, False), (9.9, False), (10, True), (18.9, True), (19, False)]
)
def test_quiet_hours_go_over_midnight_by_the_clock_of_the_site(hours, is_quiet):
    """They begin at ten in the evening there and end at seven."""
    assert _is_quiet(settings_of(NIGHT), NOON + hours * 3_600) is is_quiet


def test_the_window_is_a_week_where_there_is_one_and_else_the_longest():
    """Nobody has to write it."""
    assert thresholds_of(settings_of("")).window == "7d"
    assert thresholds_of(settings_of("windows: [1h, 24h, 72h]")).window == "72h"


def test_what_is_kept_comes_back():
    """Episodes, who was told what, what waits to be told, and gaps."""
    one = Episode(
        alert="EvenwattIdleBurn", labels={"engine": "a"}, since_utc_seconds=1.0, fired_utc_seconds=2.0
    )
    over = Episode(alert="EvenwattGpuLost", labels={}, since_utc_seconds=1.0, ended_utc_seconds=3.0)
    book = Book(told={one.key: Told(fired_utc_seconds=2.0, told_utc_seconds=3.0)}, ended=[over])

    kept = kept_from(kept_document({one.key: one}, {"phone": book}, [(5.0, "chat", 7.0)]))

    assert kept.episodes == (one,)
    assert kept.books == {"phone": book}
    assert kept.gap_steps == ((5.0, "chat", 7.0),)
    assert kept_from({}).episodes == ()


def test_what_fires_is_an_event_and_fires_on_after_a_new_start(tmp_path):
    """A critical alert of a lost GPU is told once; the next agent goes on with it."""
    told = []
    history = History(tmp_path / "h.db", currency="EUR")

    def keeper():
        return AlertKeeper(
            history,
            settings_of(""),
            stored=history.cursors().get("alerts", {}),
            last_utc_seconds=None,
            tell=lambda *event: told.append(event),
        )

    def lost(seconds):
        return snapshot(moment=moment(seconds), gpus=(gpu(fault="lost"),))

    first = keeper()
    for seconds in (0, 299, 300):
        shown = first.follow(lost(seconds))
    again = keeper().follow(lost(310))
    history.close()

    for each in (shown, again):
        (alert,) = [a for a in each.alerts if a.alert == "EvenwattGpuLost"]
        assert (alert.state, alert.since_utc_seconds) == (AlertState.FIRING, HOUR)
    assert [(kind, subject) for kind, subject, _ in told] == [("alert_firing", "EvenwattGpuLost")]


def moment(seconds):
    """Return a moment after the hour."""
    return Moment(utc_seconds=float(HOUR + seconds), boot_seconds=float(seconds), boot_id="boot")
