"""Prices by the time of day and the kind of day."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from evenwatt.economics.bands import Band, BandTariff, day_kinds

BERLIN = ZoneInfo("Europe/Berlin")
WORKDAYS = frozenset({"mon", "tue", "wed", "thu", "fri"})
NIGHT = Band(name="night", price_per_kwh=0.20, start_minute=22 * 60, end_minute=6 * 60)


def tariff(*bands, zone=BERLIN, holidays=()):
    """Return bands with a price of 0.30 outside of them."""
    return BandTariff(
        bands=bands,
        zone=zone,
        default_price_per_kwh=0.30,
        holidays=frozenset(map(date.fromisoformat, holidays)),
    )


def utc(text, zone=BERLIN):
    """Return the moment at which the clock of a zone shows something; the first of two in autumn."""
    return datetime.fromisoformat(text).replace(tzinfo=zone).timestamp()


@pytest.mark.parametrize(
    ("clock", "expected"),
    [
        ("2026-01-14 21:59:59", (0.30, None)),
        ("2026-01-14 22:00", (0.20, "night")),
        ("2026-01-15 00:00", (0.20, "night")),
        ("2026-01-15 05:59:59", (0.20, "night")),
        ("2026-01-15 06:00", (0.30, None)),
    ],
)
def test_a_band_goes_on_over_midnight(clock, expected):
    """From 22:00 to 06:00 is one night, its first second included and its end not."""
    assert tariff(NIGHT).step_at(utc(clock)) == expected


@pytest.mark.parametrize(
    ("clock", "is_night"),
    [
        ("2026-01-16 23:00", True),
        ("2026-01-17 05:00", True),
        ("2026-01-17 23:00", False),
        ("2026-01-19 05:00", False),
    ],
    ids=["friday evening", "saturday morning", "saturday evening", "monday morning"],
)
def test_a_night_belongs_to_the_day_on_which_it_starts(clock, is_night):
    """A band of working days that starts on Friday ends on Saturday; none starts on Sunday."""
    weekday_night = Band(name="night", price_per_kwh=0.20, start_minute=1_320, end_minute=360, days=WORKDAYS)

    assert (tariff(weekday_night).step_at(utc(clock))[1] == "night") is is_night


@pytest.mark.parametrize(
    ("clock", "band"),
    [
        ("2026-12-24 12:00", "peak"),
        ("2026-12-25 12:00", "rest"),
        ("2026-12-26 12:00", "rest"),
        ("2026-12-27 12:00", "sunday"),
        ("2026-12-28 12:00", "peak"),
    ],
    ids=["thursday", "holiday on a friday", "holiday on a saturday", "sunday", "monday"],
)
def test_a_holiday_is_no_working_day(clock, band):
    """On a holiday from Monday to Friday the bands of holidays hold and those of its weekday do not."""
    found = tariff(
        Band(name="sunday", price_per_kwh=0.22, days=frozenset({"sun"})),
        Band(name="rest", price_per_kwh=0.25, days=frozenset({"sat", "holiday"})),
        Band(name="peak", price_per_kwh=0.40, start_minute=480, end_minute=1_200, days=WORKDAYS),
        holidays=["2026-12-25", "2026-12-26"],
    )

    assert found.step_at(utc(clock))[1] == band


def test_a_weekend_band_goes_on_through_a_holiday():
    """A holiday on a Sunday is both."""
    assert day_kinds(date(2026, 12, 27), frozenset({date(2026, 12, 27)})) == {"sun", "holiday"}
    assert day_kinds(date(2026, 12, 28), frozenset({date(2026, 12, 28)})) == {"holiday"}


def test_the_first_band_that_fits_holds():
    """Where bands overlap, their order decides."""
    all_day = Band(name="all day", price_per_kwh=0.10)

    assert tariff(NIGHT, all_day).step_at(utc("2026-01-14 23:00")) == (0.20, "night")
    assert tariff(all_day, NIGHT).step_at(utc("2026-01-14 23:00")) == (0.10, "all day")


@pytest.mark.parametrize(
    ("day", "hours", "night_hours"),
    [("2026-03-28", 23, 7), ("2026-10-24", 25, 9), ("2026-06-10", 24, 8)],
    ids=["spring", "autumn", "summer"],
)
def test_a_night_is_as_long_as_the_clock_makes_it(day, hours, night_hours):
    """The night to the day that has 23 hours is an hour shorter, the one to the day of 25 an hour longer."""
    next_day = date.fromisoformat(day) + timedelta(days=1)
    minutes = range(int(utc(f"{next_day}")), int(utc(f"{next_day + timedelta(days=1)}")), 60)
    night = range(int(utc(f"{day} 22:00")), int(utc(f"{next_day} 06:00")), 60)

    assert len(minutes) == hours * 60
    assert len(night) == night_hours * 60
    assert {tariff(NIGHT).step_at(minute)[1] for minute in night} == {"night"}


def test_the_hour_that_comes_twice_has_the_same_price_twice():
    """A band until 02:30 ends twice in the night in which the clock is set back."""
    late = Band(name="late", price_per_kwh=0.10, start_minute=60, end_minute=150)
    begin = utc("2026-10-25 01:00")

    prices = [tariff(late).step_at(begin + 900 * quarter)[0] for quarter in range(13)]

    assert prices == [0.10] * 6 + [0.30] * 2 + [0.10] * 2 + [0.30] * 3


@pytest.mark.parametrize(
    ("zone", "first", "last"),
    [
        ("Europe/Berlin", date(2026, 3, 28), date(2026, 3, 30)),
        ("Europe/Berlin", date(2026, 10, 24), date(2026, 10, 26)),
        ("America/New_York", date(2026, 10, 31), date(2026, 11, 2)),
        ("Australia/Lord_Howe", date(2026, 4, 4), date(2026, 4, 6)),
        ("Asia/Kathmandu", date(2028, 2, 28), date(2028, 3, 1)),
        ("UTC", date(2028, 2, 28), date(2028, 3, 1)),
    ],
)
def test_every_minute_agrees_with_the_clock_on_the_wall(zone, first, last):
    """Around changes of the clock and the leap day, each minute has the price that its wall clock says."""
    odd = Band(name="odd", price_per_kwh=0.11, start_minute=1_328, end_minute=368, days=WORKDAYS)
    noon = Band(name="noon", price_per_kwh=0.22, start_minute=690, end_minute=825)
    found = tariff(odd, noon, zone=ZoneInfo(zone))

    def expected(moment):
        local = moment.astimezone(ZoneInfo(zone))
        clock, weekday = (local.hour, local.minute), local.weekday()
        if (clock >= (22, 8) and weekday < 5) or (clock < (6, 8) and weekday in {1, 2, 3, 4, 5}):
            return 0.11
        return 0.22 if (11, 30) <= clock < (13, 45) else 0.30

    begin = datetime(first.year, first.month, first.day, tzinfo=UTC)
    minutes = [begin + timedelta(minutes=number) for number in range((last - first).days * 1_440 + 1_440)]

    assert [found.step_at(minute.timestamp())[0] for minute in minutes] == [expected(m) for m in minutes]


def test_edges_are_where_the_price_changes_and_nowhere_else():
    """A night has two edges a day, whatever the stretches are in which they are worked out."""
    begin, end = utc("2026-01-01 12:00"), utc("2026-03-12 12:00")
    edges = list(tariff(NIGHT).edges(begin, end))
    changes = [edge for edge in edges if tariff(NIGHT).step_at(edge) != tariff(NIGHT).step_at(edge - 1)]

    assert len(changes) == 2 * 70
    assert all(begin < edge < end for edge in edges)


def test_outside_of_all_bands_a_price_may_be_unknown():
    """Without a price outside the bands there is none there."""
    bands = BandTariff(bands=(NIGHT,), zone=BERLIN)

    assert bands.step_at(utc("2026-01-14 12:00")) == (None, None)
