"""A span of the history: its sums and hours, from minutes where they are kept and hours where not."""

from contextlib import closing
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from evenwatt.ledger import SourceTotals
from evenwatt.model import Event
from evenwatt.sinks.history import History
from evenwatt.sinks.history.queries import HistorySpan, history_extent, history_settings
from evenwatt.snapshot.report.hours import CellTokens
from evenwatt.snapshot.report.localtime import local_time
from sink_fixtures import HOUR, MINUTE, idle, served, tick

UTC = ZoneInfo("UTC")
KOLKATA = ZoneInfo("Asia/Kolkata")
DAY = (HOUR // 86_400 + 1) * 86_400


@pytest.fixture
def history(tmp_path):
    """An open history without a row."""
    with closing(History(tmp_path / "history.db", currency="EUR")) as opened:
        yield opened


def write(history, *minutes, model="small", **columns):
    """Write busy minutes of one token each, counted from `HOUR`."""
    for minute in minutes:
        row = served(read=1, wrote=0, cached=None, **columns)
        history.write(tick({(HOUR + minute * MINUTE, "chat", model): row}))


def forget(history, *, minutes, hours=0):
    """Forget what is older than two moments."""
    while history.forget_some({"minute": minutes, "hour": hours}):
        pass


def tokens(span):
    """Return the tokens of a span by model."""
    return {model: usage.input_tokens for (_, model), usage in span.sums().usage.items()}


def hours_of(span, zone=UTC):
    """Return (start after HOUR in minutes, tokens) of each hour, and whether some are approximate."""
    hours, is_approximate = span.hours(local_time(zone, span.start, span.end))
    return [((row.utc_seconds - HOUR) // MINUTE, row.total_tokens) for row in hours], is_approximate


def test_extent_is_from_the_first_minute_to_the_end_of_the_last(history):
    """An empty history has no extent; what is forgotten leaves that of hours, and of days."""
    assert history_extent(history) is None
    write(history, 10, 130)

    assert history_extent(history) == (HOUR + 10 * MINUTE, HOUR + 131 * MINUTE)

    forget(history, minutes=HOUR + 60 * MINUTE)
    assert history_extent(history) == (HOUR, HOUR + 131 * MINUTE)

    forget(history, minutes=HOUR + 180 * MINUTE)
    assert history_extent(history) == (HOUR, HOUR + 180 * MINUTE)

    write(history, 24 * 60)
    forget(history, minutes=DAY, hours=DAY)
    assert history_extent(history) == (DAY - 86_400, HOUR + 24 * 60 * MINUTE + MINUTE)

    forget(history, minutes=DAY + 86_400, hours=DAY + 86_400)
    assert history_extent(history) == (DAY - 86_400, DAY + 86_400)


def test_a_span_has_what_lies_in_it(history):
    """Cut hours at both ends come from minutes, what is outside does not count, at the edges neither."""
    write(history, 9, 10, 59, 60, 100, 119, 120, 129, 130)

    span = HistorySpan(history, HOUR + 10 * MINUTE, HOUR + 130 * MINUTE)

    assert not span.is_snapped
    assert tokens(span) == {"small": 7}
    assert span.sums().host.seconds == 7 * 60
    assert span.sums().api["chat", "small", "flat"].tokens == 7
    assert hours_of(span) == ([(10, 2), (60, 3), (120, 2)], False)
    assert span.gpus() == (1, 7 * 6_000.0)


def test_a_span_within_one_hour(history):
    """A quarter of an hour is taken from its minutes."""
    write(history, 14, 15, 29, 30)

    assert tokens(HistorySpan(history, HOUR + 15 * MINUTE, HOUR + 30 * MINUTE)) == {"small": 2}


def test_where_minutes_are_forgotten_spans_end_with_hours(history):
    """Two spans that meet within an hour of which no minutes are left share nothing and lose nothing."""
    write(history, 5, 65, 125, 185)
    forget(history, minutes=HOUR + 180 * MINUTE)
    middle = HOUR + 90 * MINUTE

    first, second = HistorySpan(history, HOUR, middle), HistorySpan(history, middle, HOUR + 190 * MINUTE)

    assert (first.end, second.start) == (HOUR + 60 * MINUTE, HOUR + 60 * MINUTE)
    assert first.is_snapped
    assert (tokens(first), tokens(second)) == ({"small": 1}, {"small": 3})


def test_where_hours_are_forgotten_spans_have_the_days_that_are_their_own(history):
    """Between midnights of Berlin lie days of UTC whose noons do; spans that meet share none of them."""
    write(history, *range(0, 5 * 24 * 60, 6 * 60))
    forget(history, minutes=DAY + 3 * 86_400, hours=DAY + 2 * 86_400)
    first, second, third = (DAY + days * 86_400 - 7_200 for days in (-1, 1, 3))

    one, other = HistorySpan(history, first, second), HistorySpan(history, second, third)

    assert (one.start, one.end) == (DAY - 86_400, DAY + 86_400)
    assert (other.start, other.end) == (DAY + 86_400, third)
    assert one.is_snapped
    assert tokens(one) == {"small": 3 + 4}
    assert tokens(other) == {"small": 4 + 4}
    assert hours_of(one) == ([], False)
    assert (one.hours_from, other.hours_from) == (DAY + 2 * 86_400, DAY + 2 * 86_400)
    assert HistorySpan(history, third, third + 86_400).hours_from is None


def test_local_hours_of_half_hour_zones_come_from_minutes(history):
    """In India hours begin half past those of UTC: minutes place what hours could not."""
    write(history, 10, 29, 30, 89, 90)

    span = HistorySpan(history, HOUR, HOUR + 120 * MINUTE)

    assert hours_of(span, KOLKATA) == ([(0, 2), (30, 2), (90, 1)], False)


def test_local_hours_without_minutes_are_approximate(history):
    """Where the minutes are forgotten, an hour of UTC counts as the local hour in which it begins."""
    write(history, 10, 29, 30, 89, 90)
    forget(history, minutes=HOUR + 120 * MINUTE)

    span = HistorySpan(history, HOUR, HOUR + 120 * MINUTE)

    assert hours_of(span, KOLKATA) == ([(0, 3), (30, 2)], True)
    assert sum(count for _, count in hours_of(span, KOLKATA)[0]) == 5


def test_an_hour_adds_up_all_that_was_used(history):
    """A busy and an idle model, and what is not known stays so."""
    history.write(
        tick(
            {
                (HOUR, "chat", "small"): served(read=10, wrote=2, cached=5),
                (HOUR, "chat", "large"): idle(),
            }
        )
    )
    (row,), _ = HistorySpan(history, HOUR, HOUR + 3_600).hours(local_time(UTC, HOUR, HOUR + 3_600))

    assert (row.input_tokens, row.cached_input_tokens, row.output_tokens) == (10, 5, 2)
    assert (row.total_tokens, row.computed_tokens) == (17, 12)
    assert row.joules == 7_200
    assert row.hardware_cost == pytest.approx(0.12)
    assert row.energy_cost == pytest.approx(0.00072)
    assert row.idle_cost == pytest.approx(0.06012)
    assert row.unpriced_seconds is None


def test_model_hours_add_up_by_local_hour_of_the_week(history):
    """Friday, 8 o'clock UTC, and a week later: 1 and 2 tokens, whose squares are 1 and 4; Berlin is ahead."""
    write(history, 0, 7 * 24 * 60, 7 * 24 * 60 + 1, 60)
    span = HistorySpan(history, HOUR, HOUR + 8 * 86_400)

    in_utc = span.model_hours(local_time(UTC, span.start, span.end))
    in_berlin = span.model_hours(local_time(ZoneInfo("Europe/Berlin"), span.start, span.end))

    assert datetime.fromtimestamp(HOUR, UTC).strftime("%A %H") == "Friday 08"
    assert in_utc == {
        ("chat", "small"): {
            4 * 24 + 8: CellTokens(hours=2, tokens=3, squares=5.0),
            4 * 24 + 9: CellTokens(hours=1, tokens=1, squares=1.0),
        }
    }
    assert set(in_berlin["chat", "small"]) == {4 * 24 + 9, 4 * 24 + 10}


def test_events_are_counted_by_kind(history):
    """Only those of the span count."""
    events = tuple(
        Event(utc_seconds=HOUR + second, kind=kind, subject="chat", text="")
        for second, kind in ((0, "gap"), (59.9, "gap"), (60, "gap"), (1, "engine_restart"))
    )
    rows = {(HOUR, "chat", "small"): served()}
    history.write(tick(rows, events=events, sources={"chat": SourceTotals(restarts=1)}))

    assert HistorySpan(history, HOUR, HOUR + 60).event_counts() == {"gap": 2, "engine_restart": 1}


def test_settings_tell_whose_history_it_is(history):
    """Currency and kind of readings are those that it was begun with."""
    assert history_settings(history) == {"currency": "EUR", "readings": "measured", "timezone": "UTC"}
