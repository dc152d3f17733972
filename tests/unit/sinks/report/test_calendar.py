"""Spans of days: what is summed up for a picture, and how dates read."""

from datetime import date, timedelta

import pytest
from msgspec.structs import replace

from evenwatt.sinks.report.calendar import day_spans, day_words, moment_words, span_words, window_words
from report_values import WINDOW, report


def days(count):
    """Return consecutive days from Thursday, 1 October 2026 on, each as the first of the example."""
    first = report().days[0]
    return [replace(first, date=first.date + timedelta(days=number)) for number in range(count)]


@pytest.mark.parametrize(
    ("count", "unit", "spans"),
    [(1, "day", 1), (62, "day", 62), (63, "week", 10), (365, "week", 53), (800, "month", 27)],
)
def test_long_windows_are_summed_up_by_week_and_month(count, unit, spans):
    """So that a bar has a width on a phone."""
    found, summed = day_spans(days(count))

    assert (unit, spans) == (found, len(summed))


@pytest.mark.parametrize("count", [31, 100, 800])
def test_spans_add_up_to_the_days(count):
    """No day is left out and none is counted twice."""
    _, spans = day_spans(days(count))

    assert sum(span.costs.full for span in spans) == pytest.approx(sum(day.costs.full for day in days(count)))
    assert sum(span.tokens.total_tokens for span in spans) == pytest.approx(
        sum(day.tokens.total_tokens for day in days(count))
    )


def test_weeks_begin_on_mondays():
    """The first span is the rest of the week in which the window begins."""
    _, spans = day_spans(days(100))

    assert (date(2026, 10, 1), date(2026, 10, 4)) == (spans[0].first, spans[0].last)
    assert date(2026, 10, 5) == spans[1].first


def test_what_is_not_known_of_a_day_is_not_known_of_its_week():
    """A part is not the whole."""
    known = days(100)
    known[1] = replace(known[1], costs=replace(known[1].costs, hardware=None), idle_cost=None)
    _, spans = day_spans(known)

    assert spans[0].costs.hardware is None
    assert spans[0].idle_cost is None
    assert spans[1].costs.hardware is not None


def test_dates_are_not_mistaken():
    """No reader takes the day for the month."""
    assert day_words(date(2026, 10, 7)) == "7 Oct 2026"
    assert span_words(date(2026, 10, 1), date(2026, 10, 31)) == "1 to 31 Oct 2026"
    assert span_words(date(2026, 10, 1), date(2026, 11, 2)) == "1 Oct to 2 Nov 2026"
    assert span_words(date(2026, 12, 31), date(2027, 1, 1)) == "31 Dec 2026 to 1 Jan 2027"


def test_whole_days_are_told_as_days():
    """A window from midnight to midnight names its days; another one its hours."""
    assert window_words(WINDOW) == "1 to 31 Oct 2026"
    later = replace(WINDOW, start_utc_seconds=WINDOW.start_utc_seconds + 3_600)
    assert window_words(later) == "1 Oct 2026, 01:00 to 1 Nov 2026, 00:00"


def test_moments_carry_their_zone():
    """The hour that comes twice is told apart."""
    twice = 1_792_890_000  # 2026-10-25 00:00 UTC

    assert moment_words(1_792_886_400, "Europe/Berlin") == "25 Oct 2026, 02:00 CEST"
    assert moment_words(1_792_886_400 + 3_600, "Europe/Berlin") == "25 Oct 2026, 02:00 CET"
    assert "UTC" in moment_words(twice, "No/Where")
