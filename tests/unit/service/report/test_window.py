"""Which span a report is asked about, and what is said of words that mean none."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from evenwatt.errors import OptionError, ReportError
from evenwatt.service.report.window import AskedWindow, in_words, report_window

BERLIN = ZoneInfo("Europe/Berlin")


def moment(*parts):
    """Return the Unix time of a moment in Berlin."""
    return int(datetime(*parts, tzinfo=BERLIN).timestamp())


NOW = moment(2026, 11, 25, 12, 30)
EXTENT = (moment(2026, 9, 15), NOW)


def window(now=NOW + 42.5, extent=EXTENT, **asked):
    """Return the window that is asked for at noon and a half."""
    return report_window(AskedWindow(**asked), now_utc_seconds=now, zone=BERLIN, extent=extent)


@pytest.mark.parametrize(
    ("asked", "start", "end", "label"),
    [
        ({}, NOW - 30 * 86_400, NOW, "30d"),
        ({"window": "24h"}, NOW - 86_400, NOW, "24h"),
        ({"window": "month"}, moment(2026, 11, 1), NOW, "month"),
        ({"window": "year"}, moment(2026, 1, 1), NOW, "year"),
        ({"window": "all"}, EXTENT[0], NOW, "all"),
        ({"month": "2026-10"}, moment(2026, 10, 1), moment(2026, 11, 1), "2026-10"),
        ({"month": "2026-11"}, moment(2026, 11, 1), NOW, "2026-11"),
        ({"first": "2026-10-24", "last": "2026-10-25"}, moment(2026, 10, 24), moment(2026, 10, 26), None),
        ({"first": "2026-11-01"}, moment(2026, 11, 1), NOW, "2026-11-01 to now"),
        ({"first": "2026-11-25", "last": "2026-12-31"}, moment(2026, 11, 25), NOW, None),
    ],
)
def test_windows_in_whole_minutes_up_to_now(asked, start, end, label):
    """Lengths end now, days and months are those of the site, and none reaches beyond the present."""
    found = window(**asked)

    assert (found.start_utc_seconds, found.end_utc_seconds) == (start, end)
    assert found.label == (label or f"{asked['first']} to {asked['last']}")
    assert found.zone_name == "Europe/Berlin"


def test_december_is_followed_by_january():
    """The month after December is in another year."""
    found = window(now=moment(2027, 2, 1), extent=(EXTENT[0], moment(2027, 2, 1)), month="2026-12")

    assert found.end_utc_seconds == moment(2027, 1, 1)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"window": "fortnight"}, "--window: got 'fortnight', expected hours or days"),
        ({"window": "0d"}, "--window: got '0d'"),
        ({"window": "7d", "month": "2026-10"}, "exclude each other"),
        ({"month": "2026-13"}, "--month: got '2026-13'"),
        ({"month": "October"}, "--month: got 'October'"),
        ({"last": "2026-10-01"}, "--to needs --from"),
        ({"first": "01.10.2026"}, "--from: got '01.10.2026', expected a date such as 2026-10-01"),
        ({"first": "2026-02-30"}, "--from: got '2026-02-30'"),
        ({"first": "2026-10-02", "last": "2026-10-01"}, "not before --from (2026-10-02)"),
        ({"first": "9999-12-31"}, "--from: got '9999-12-31'"),
    ],
)
def test_words_that_mean_nothing(asked, said):
    """Each fault says what was found and what is expected."""
    with pytest.raises(OptionError) as caught:
        window(**asked)

    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("month", "said"),
    [
        ("2026-12", "2026-12 has not begun yet; it is 2026-11-25 12:30 CET"),
        ("2026-08", "before the history begins (2026-09-15 00:00 CEST)"),
    ],
)
def test_windows_of_which_nothing_is_known(month, said):
    """A month that is asked for rightly can still be one without a history."""
    with pytest.raises(ReportError) as caught:
        window(month=month)

    assert said in str(caught.value)


def test_a_window_after_the_history_ended():
    """With the agent stopped for a day, the last hour holds nothing."""
    with pytest.raises(
        ReportError, match=r"holds nothing of 1h: it ends at 2026-11-24 12:30 CET\. Is the agent"
    ):
        window(extent=(EXTENT[0], NOW - 86_400), window="1h")


@pytest.mark.parametrize(
    ("label", "words"),
    [
        ("7d", "the last 7d"),
        ("month", "this month so far"),
        ("year", "this year so far"),
        ("all", "the whole history"),
        ("2026-10", "2026-10"),
    ],
)
def test_labels_in_words(label, words):
    """A label stands in a sentence as a person would say it."""
    assert in_words(label) == words


@pytest.mark.parametrize("asked", [{"window": "24h"}, {"month": "2026-11"}, {"window": "all"}])
def test_history_begun_this_minute(asked):
    """In the first minute of a history every span up to now is told to wait, as there is no whole minute."""
    with pytest.raises(ReportError, match="no whole minute yet; ask again in a minute"):
        window(extent=(NOW, NOW + 60), **asked)
