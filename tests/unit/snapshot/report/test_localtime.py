"""Local days and hours of a span, right where the clocks are changed."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evenwatt.snapshot.report.localtime import date_of, hour_of_week, local_time

ZONES = (
    "Europe/Berlin",
    "Asia/Kolkata",
    "Australia/Lord_Howe",
    "America/Santiago",
    "UTC",
    "Africa/Casablanca",
)


def seconds(*moment, zone="UTC"):
    """Return the Unix time of a local moment."""
    return int(datetime(*moment, tzinfo=ZoneInfo(zone)).timestamp())


@pytest.mark.parametrize(
    ("month", "day", "hours"), [(3, 29, 23), (10, 25, 25), (7, 1, 24)], ids=["spring", "autumn", "summer"]
)
def test_days_are_as_long_as_they_were(month, day, hours):
    """The day on which the clocks are changed has 23 or 25 hours, and begins at local midnight."""
    start = seconds(2026, month, day, zone="Europe/Berlin")
    local = local_time(ZoneInfo("Europe/Berlin"), start, start + hours * 3_600)

    assert [(date_of(number), begun, length) for number, begun, length in local.days()] == [
        (date(2026, month, day), start, hours * 3_600)
    ]


def test_the_hour_that_comes_twice():
    """Both hours from 2 o'clock in autumn are the same hour of the week; in spring there is none."""
    autumn = seconds(2026, 10, 25, zone="Europe/Berlin")
    spring = seconds(2026, 3, 29, zone="Europe/Berlin")

    def hours(start):
        local = local_time(ZoneInfo("Europe/Berlin"), start, start + 5 * 3_600)
        numbers = local.hour_numbers([start + hour * 3_600 for hour in range(5)])
        return [hour_of_week(number) - 6 * 24 for number in numbers]

    assert hours(autumn) == [0, 1, 2, 2, 3]
    assert hours(spring) == [0, 1, 3, 4, 5]


@pytest.mark.parametrize(
    ("zone", "shift"),
    [("Europe/Berlin", 0), ("Asia/Kolkata", 1_800), ("Asia/Kathmandu", 900), ("America/St_Johns", 1_800)],
)
def test_where_local_hours_begin(zone, shift):
    """Local hours begin some minutes after those of UTC in zones of half and quarter hours."""
    local = local_time(ZoneInfo(zone), seconds(2026, 1, 1), seconds(2026, 1, 2))

    assert [piece.hour_shift_seconds for piece in local.pieces] == [shift]
    assert local.has_whole_hours == (not shift)


@given(
    zone=st.sampled_from(ZONES),
    start=st.integers(0, 2_000_000_000 // 60).map(lambda minute: minute * 60),
    minutes=st.integers(1, 60 * 24 * 400),
    at=st.floats(0, 1, exclude_max=True),
)
def test_agrees_with_the_library_of_zones(zone, start, minutes, at):
    """Day and hour of the week are those that the standard library says; days make up the span."""
    end = start + minutes * 60
    local = local_time(ZoneInfo(zone), start, end)
    moment = start + int(at * minutes) * 60
    there = datetime.fromtimestamp(moment, UTC).astimezone(ZoneInfo(zone))

    first, number = local.hour_numbers([start, moment])
    assert first <= number + 1  # an hour that comes twice
    assert date_of(number // 24) == there.date()
    assert hour_of_week(number) == there.weekday() * 24 + there.hour
    days = list(local.days())
    assert sum(length for *_, length in days) == end - start
    assert [date_of(number) for number, *_ in days] == [
        date_of(days[0][0]) + timedelta(days=count) for count in range(len(days))
    ]
