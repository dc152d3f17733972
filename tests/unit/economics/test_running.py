"""What labour and other fixed costs come to."""

import pytest

from evenwatt.economics.running import (
    HourlyLabour,
    MonthlyCost,
    SalariedLabour,
    SetupCost,
    labour_cost_per_second,
    other_cost_per_second,
    setup_cost_per_second,
)

MONTH_SECONDS = 730 * 3_600


@pytest.mark.parametrize(
    ("labour", "expected"),
    [
        (SalariedLabour(fte=0.25, salary_per_year=120_000), 2_500),
        (HourlyLabour(hours_per_month=8, rate_per_hour=90), 720),
        (None, 0),
    ],
    ids=["salaried", "hourly", "nobody is charged"],
)
def test_labour_of_a_month(labour, expected):
    """A quarter of 120,000 a year is 2,500 a month; 8 hours at 90 are 720."""
    assert labour_cost_per_second(labour) * MONTH_SECONDS == pytest.approx(expected)


def test_other_costs_add_up():
    """Colocation at 120 and support at 30 are 150 a month."""
    costs = [MonthlyCost(name="colocation", per_month=120), MonthlyCost(name="support", per_month=30)]

    assert other_cost_per_second(costs) * MONTH_SECONDS == pytest.approx(150)


def test_shorter_months_cost_more_by_the_second():
    """What is paid by the month is spread over the hours that the site gives a month."""
    cost = [MonthlyCost(name="colocation", per_month=720)]

    assert other_cost_per_second(cost, month_hours=720) * 3_600 == pytest.approx(1)
    assert labour_cost_per_second(
        HourlyLabour(hours_per_month=8, rate_per_hour=90), month_hours=720
    ) * 3_600 == pytest.approx(1)


@pytest.mark.parametrize(
    ("after_months", "expected"),
    [(-0.01, 0), (0, 60), (23.99, 60), (24, 0)],
    ids=["before", "first", "last", "over"],
)
def test_setting_up_costs_within_the_time_it_is_spread_over(after_months, expected):
    """1,440 over 24 months are 60 a month, from the day on which they begin to the end of them."""
    setup = SetupCost(cost=1_440, spread_months=24, begins_utc_seconds=1_000.0)
    at = 1_000.0 + after_months * MONTH_SECONDS

    assert setup_cost_per_second(setup, at) * MONTH_SECONDS == pytest.approx(expected)


def test_setting_up_follows_the_length_of_the_month():
    """In months of 720 hours 24 of them are over sooner, and add up to the same."""
    setup = SetupCost(cost=1_440, spread_months=24, begins_utc_seconds=0.0)

    assert setup_cost_per_second(setup, 0.0, month_hours=720) * 24 * 720 * 3_600 == pytest.approx(1_440)
    assert setup_cost_per_second(setup, 24 * 720 * 3_600, month_hours=720) == 0


def test_no_setup_costs_nothing():
    """The owner's decision not to charge it is a known 0."""
    assert setup_cost_per_second(None, 0.0) == 0
