"""What labour and other fixed costs come to."""

import pytest

from evenwatt.economics.running import (
    HourlyLabour,
    MonthlyCost,
    SalariedLabour,
    labour_cost_per_second,
    other_cost_per_second,
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
