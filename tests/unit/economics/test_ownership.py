"""What having the hardware costs."""

import pytest

from evenwatt.economics.ownership import (
    Owned,
    OwnedParts,
    Rented,
    Sunk,
    bought_by,
    end_of_life_utc_seconds,
    hardware_cost,
    hardware_cost_per_second,
    owned_cost_between,
    owned_parts,
    rent_per_hour_of_month,
    written_off,
)

YEAR_SECONDS = 8_760 * 3_600
BOUGHT = 1_700_000_000.0
ONE_A_SECOND = Owned(
    purchase_price=2 * YEAR_SECONDS, lifetime_years=2, purchased_utc_seconds=BOUGHT, maintenance_per_year=0.0
)


@pytest.mark.parametrize(
    ("age_seconds", "expected"),
    [(-1, 0.0), (0, 1.0), (2 * YEAR_SECONDS - 1, 1.0), (2 * YEAR_SECONDS, 0.0)],
    ids=["before the purchase", "first second", "last second", "after its life"],
)
def test_owned_hardware_costs_within_its_life_only(age_seconds, expected):
    """Depreciation begins with the purchase and ends with the lifetime."""
    assert hardware_cost_per_second(ONE_A_SECOND, BOUGHT + age_seconds) == pytest.approx(expected)


def test_hardware_bought_at_an_unknown_time_goes_on_costing():
    """Without the day of the purchase there is no end of life, and no free second is made up."""
    owned = Owned(purchase_price=YEAR_SECONDS, lifetime_years=1)

    assert end_of_life_utc_seconds(owned) is None
    assert hardware_cost_per_second(owned, BOUGHT + 50 * YEAR_SECONDS) == pytest.approx(1.0)


def test_end_of_life_counts_years_of_8760_hours():
    """The life ends after its hours, so that its costs add up to the price whatever the calendar does."""
    assert end_of_life_utc_seconds(ONE_A_SECOND) == BOUGHT + 2 * YEAR_SECONDS


def test_residual_value_lowers_and_maintenance_raises_the_cost():
    """(P - R) / Y plus m P each year: 1,000 less 400 over 3 years, and 5 % of 1,000 a year, are 250."""
    owned = Owned(purchase_price=1_000, residual_value=400, lifetime_years=3, maintenance_per_year=0.05)

    assert hardware_cost(owned, utc_seconds=0.0, seconds=YEAR_SECONDS) == pytest.approx(250)


@pytest.mark.parametrize(
    ("hardware", "expected"),
    [
        (Rented(rent_per_hour=3.6), 0.1),
        (Rented(rent_per_hour=3.6, is_active_only=True), 0.04),
        (Owned(purchase_price=YEAR_SECONDS / 1_000, lifetime_years=1), 0.1),
        (Sunk(), 0.0),
    ],
    ids=["always on", "active", "owned", "sunk"],
)
def test_only_a_rent_that_ends_with_the_use_leaves_down_time_out(hardware, expected):
    """Of 100 s with 60 s down, only the machine that is given back is paid for 40 s."""
    cost = hardware_cost(hardware, utc_seconds=0.0, seconds=100, down_seconds=60)

    assert cost == pytest.approx(expected)


@pytest.mark.parametrize(("month_hours", "expected"), [(730, 2.0), (720, 1_460 / 720)])
def test_monthly_rent_follows_the_length_of_the_month(month_hours, expected):
    """1,460 a month is 2 an hour in months of 730 hours."""
    assert rent_per_hour_of_month(1_460, month_hours) == pytest.approx(expected)


SERVER = Owned(name="server", purchase_price=4 * YEAR_SECONDS, lifetime_years=4, purchased_utc_seconds=BOUGHT)
GPUS = Owned(
    name="gpus",
    purchase_price=6 * YEAR_SECONDS,
    lifetime_years=3,
    purchased_utc_seconds=BOUGHT + 2 * YEAR_SECONDS,
)


@pytest.mark.parametrize(
    ("age_years", "expected", "over"),
    [
        (-0.1, 0, ()),
        (1, 1, ()),
        (2, 1 + 2, ()),
        (4, 2, (SERVER,)),
        (4.5, 2, (SERVER,)),
        (5, 0, (SERVER, GPUS)),
    ],
    ids=["before", "server alone", "both", "server written off", "still", "both written off"],
)
def test_each_part_costs_within_its_own_life(age_years, expected, over):
    """A server of 1 a second, and two years later GPUs of 2 a second, each until its life is over."""
    hardware = OwnedParts(parts=(SERVER, GPUS))
    at = BOUGHT + age_years * YEAR_SECONDS

    assert hardware_cost(hardware, utc_seconds=at, seconds=10, down_seconds=5) == pytest.approx(10 * expected)
    assert written_off(hardware, at) == over


@pytest.mark.parametrize(
    ("hardware", "expected"),
    [
        (OwnedParts(parts=(SERVER, GPUS)), (SERVER, GPUS)),
        (SERVER, (SERVER,)),
        (Rented(rent_per_hour=1), ()),
        (Sunk(), ()),
        (None, ()),
    ],
    ids=["parts", "one", "rented", "sunk", "not known"],
)
def test_what_was_bought_is_told_part_by_part(hardware, expected):
    """Only what is owned has parts."""
    assert owned_parts(hardware) == expected


def test_what_has_no_date_is_never_written_off():
    """Without the day of the purchase there is no end."""
    assert written_off(Owned(purchase_price=1, lifetime_years=1), BOUGHT) == ()


def test_a_part_that_is_to_come_was_not_bought():
    """A year after the server there are no GPUs yet; what is written off was bought all the same."""
    hardware = OwnedParts(parts=(SERVER, GPUS))

    assert bought_by(hardware, BOUGHT + YEAR_SECONDS) == (SERVER,)
    assert bought_by(hardware, BOUGHT + 90 * YEAR_SECONDS) == (SERVER, GPUS)
    assert bought_by(Sunk(), BOUGHT) == ()


@pytest.mark.parametrize(
    ("begin", "end", "expected"),
    [(-100, 0, 0), (-100, 100, 100), (50, 80, 30), (2 * YEAR_SECONDS - 10, 2 * YEAR_SECONDS + 10, 10)],
    ids=["before", "from the purchase on", "within", "until the end"],
)
def test_a_stretch_costs_what_lies_within_the_life(begin, end, expected):
    """One a second, for as long as the part lives."""
    assert owned_cost_between(ONE_A_SECOND, BOUGHT + begin, BOUGHT + end) == pytest.approx(expected)


def test_a_part_without_a_date_costs_all_of_a_stretch():
    """What has neither beginning nor end costs throughout."""
    ageless = Owned(purchase_price=YEAR_SECONDS, lifetime_years=1)

    assert owned_cost_between(ageless, 0.0, 60.0) == pytest.approx(60)
