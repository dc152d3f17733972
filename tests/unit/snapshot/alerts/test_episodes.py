"""What happens to an alert over time: it is pending, fires, and ends; absence counts for neither."""

from msgspec.structs import replace

from evenwatt.config import Settings
from evenwatt.service.alerts.keeper import thresholds_of
from evenwatt.snapshot.alerts.episodes import advanced, firing_keys, resumed
from evenwatt.snapshot.alerts.values import Observation

ALERT = "EvenwattBelowBreakEven"
THRESHOLDS = replace(thresholds_of(Settings()), hold_seconds=60.0, resolve_after_seconds=30.0)


def seen(holds, value=0.5):
    """Return what the rule says of its one thing."""
    return Observation(
        alert=ALERT, labels={"reference": "a"}, holds=holds, figures={"break_even_ratio": value}
    )


def run(*moments, episodes=None):
    """Evaluate at moments, each with what is seen; return the episodes and what ended, last."""
    episodes, ended = episodes or {}, ()
    for now, observed in moments:
        episodes, ended = advanced(
            episodes, [] if observed is None else [observed], now_utc_seconds=now, thresholds=THRESHOLDS
        )
    return episodes, ended


def test_it_fires_once_it_has_held():
    """Before its time it is pending, and a moment of doubt begins that anew."""
    assert not firing_keys(run((0, seen(True)), (59, seen(True)))[0])
    assert firing_keys(run((0, seen(True)), (60, seen(True)))[0])
    assert not firing_keys(run((0, seen(True)), (50, seen(False)), (60, seen(True)))[0])


def test_it_ends_once_it_has_held_no_longer():
    """A moment of good news does not end it; its last numbers go with its end."""
    fires = ((0, seen(True)), (60, seen(True)))

    assert firing_keys(run(*fires, (70, seen(False)), (99, seen(False)))[0])
    assert firing_keys(run(*fires, (70, seen(False)), (90, seen(True)), (110, seen(False)))[0])
    episodes, (ended,) = run(*fires, (70, seen(False)), (100, seen(False, 1.2)))
    assert not episodes
    assert (ended.fired_utc_seconds, ended.ended_utc_seconds) == (60, 100)
    assert ended.figures == {"break_even_ratio": 1.2}
    assert ended.is_judged


def test_what_can_no_longer_be_judged_ends_and_says_so():
    """Missing data is no good news."""
    _, (ended,) = run((0, seen(True)), (60, seen(True)), (70, None), (100, None))

    assert not ended.is_judged


def test_time_in_which_nobody_looked_holds_nothing():
    """A pending alert goes on where it stood; one that fires fires on."""
    pending, _ = run((0, seen(True)), (50, seen(True)))
    back = resumed(pending.values(), now_utc_seconds=1_050.0, away_seconds=1_000.0)

    assert not firing_keys(run((1_050, seen(True)), episodes=back)[0])
    assert firing_keys(run((1_060, seen(True)), episodes=back)[0])
    firing, _ = run((0, seen(True)), (60, seen(True)))
    assert firing_keys(resumed(firing.values(), now_utc_seconds=1_060.0, away_seconds=1_000.0))


def test_a_clock_that_is_set_back_does_not_hold_an_alert_up():
    """The hold begins anew, and is not waited for until the calendar is there again."""
    assert firing_keys(run((10_000, seen(True)), (100, seen(True)), (160, seen(True)))[0])
