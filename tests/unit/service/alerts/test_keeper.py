"""The keeper of alerts: quiet hours by the clock of the site, and what a new start remembers."""

import errno
import os
import time
from contextlib import closing

import pytest

from config_fixtures import settings_of
from evenwatt.model import Moment
from evenwatt.service.alerts import courier
from evenwatt.service.alerts.keeper import AlertKeeper, _is_quiet, thresholds_of
from evenwatt.service.alerts.kept import kept_document, kept_from
from evenwatt.sinks.history import History
from evenwatt.snapshot.alerts.episodes import Episode
from evenwatt.snapshot.alerts.telling import Book, Told
from evenwatt.snapshot.alerts.values import AlertState
from message_receiver import MessageReceiver
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


@pytest.mark.parametrize(
    ("ends_utc_seconds", "clocks"),
    [(1_774_760_400, "are set forward"), (1_792_908_000, "are set back")],
)
def test_quiet_hours_end_by_the_clock_also_in_the_night_when_clocks_change(ends_utc_seconds, clocks):
    """It is a night of eight hours or of ten, and over at seven."""
    night = settings_of(NIGHT)
    hours = {"are set forward": 8, "are set back": 10}[clocks]

    for seconds_from_end, is_quiet in (
        (-1, True),
        (0, False),
        (-3_600 * hours, True),
        (-3_600 * hours - 1, False),
    ):
        assert _is_quiet(night, ends_utc_seconds + seconds_from_end) is is_quiet


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


@pytest.fixture
def history(tmp_path):
    """A new history."""
    with closing(History(tmp_path / "h.db", currency="EUR")) as opened:
        yield opened


class Site:
    """Keepers, one after the other, on one history, and what they tell."""

    def __init__(self, history):
        self.told = []
        self._history = history

    def keeper(self, text=""):
        """Return one that has just started."""
        return AlertKeeper(
            self._history,
            settings_of(text),
            stored=self._history.cursors().get("alerts", {}),
            last_utc_seconds=None,
            tell=lambda *event: self.told.append(event),
        )

    def kinds(self):
        """Return the kinds of what was told."""
        return [kind for kind, _, _ in self.told]


@pytest.fixture
def site(history):
    """Where keepers are."""
    return Site(history)


def lost(seconds):
    """Return what is known so many seconds after the hour of a machine whose GPU is lost."""
    return snapshot(moment=moment(seconds), gpus=(gpu(fault="lost"),))


def moment(seconds):
    """Return a moment after the hour."""
    return Moment(utc_seconds=float(HOUR + seconds), boot_seconds=float(seconds), boot_id="boot")


def telling(url):
    """Return a configuration that tells somebody at once."""
    return f"alerts: {{group_wait: 0s, notify: [{{name: hook, webhook: {url}}}]}}"


def follow_until(keeper, condition):
    """Let a keeper look at a GPU that is lost until something is so."""
    until = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < until
        keeper.follow(lost(301))
        time.sleep(0.05)


def test_what_fires_is_an_event_and_fires_on_after_a_new_start(site):
    """A critical alert of a lost GPU is told once; the next agent goes on with it."""
    first = site.keeper()
    for seconds in (0, 299, 300):
        shown = first.follow(lost(seconds))
    again = site.keeper().follow(lost(310))

    for each in (shown, again):
        (alert,) = [a for a in each.alerts if a.alert == "EvenwattGpuLost"]
        assert (alert.state, alert.since_utc_seconds) == (AlertState.FIRING, HOUR)
    assert [(kind, subject) for kind, subject, _ in site.told] == [("alert_firing", "EvenwattGpuLost")]


def test_a_notifier_that_was_mended_is_told_at_once(site):
    """The failures of its old address are no reason to let the new one wait."""
    with MessageReceiver() as receiver:
        keeper = site.keeper(telling("http://127.0.0.1:1/"))
        receiver.status = 403
        keeper.adopt(settings_of(telling(f"{receiver.url}/wrong")))
        for seconds in (0, 300):
            keeper.follow(lost(seconds))
        follow_until(keeper, lambda: "notifier_down" in site.kinds())
        receiver.status = 200
        keeper.adopt(settings_of(telling(f"{receiver.url}/right")))
        follow_until(keeper, lambda: receiver.at("/right"))
        follow_until(keeper, lambda: keeper.follow(lost(302)).notifiers[0].up)
        keeper.close()

    (document,) = receiver.at("/right")
    assert [alert["labels"]["alertname"] for alert in document["alerts"]] == ["EvenwattGpuLost"]
    assert keeper.follow(lost(303)).notifiers[0].waiting == 0


def test_that_no_process_can_be_started_is_told(site, monkeypatch):
    """A machine without a free process tells nobody anything, and its history says so, once."""
    monkeypatch.setattr(courier.subprocess, "Popen", _no_process)
    keeper = site.keeper(telling("http://127.0.0.1:1/"))
    for seconds in (0, 300, 301):
        shown = keeper.follow(lost(seconds))

    assert site.kinds() == ["alert_firing", "notifier_down"]
    assert shown.notifiers[0].error == "no process can be started: Resource temporarily unavailable"
    assert shown.notifiers[0].waiting == 1


def _no_process(*_, **__):
    raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
