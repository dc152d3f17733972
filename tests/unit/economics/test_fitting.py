"""Idle power from history: a line through power against token rate, or a reason why there is none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evenwatt.economics.breakeven import WindowSums, cost_line
from evenwatt.economics.cost import Costs
from evenwatt.economics.fitting import FitRefused, PowerFit, PowerPoint, fitted_power, with_fitted_idle
from evenwatt.economics.tokens import Tokens


def points(*pairs, times=1):
    """Return points of (tokens per second, watts)."""
    return [PowerPoint(tokens_per_second=rate, watts=watts) for rate, watts in pairs] * times


def test_exact_line_is_found_again():
    """100 W without load and 2 J for each token come out of hours that lie on that line, without error."""
    fit = fitted_power(points((0, 100), (50, 200), (100, 300), times=8))

    assert isinstance(fit, PowerFit)
    assert (fit.idle_watts, fit.joules_per_token) == (pytest.approx(100), pytest.approx(2))
    assert fit.idle_watts_error == pytest.approx(0, abs=1e-6)
    assert fit.r_squared == pytest.approx(1)
    assert fit.points == 24


def test_scatter_shows_in_the_errors():
    """Hours 10 W above and below the line leave it where it was, and give the errors of the textbook.

    With x of -1 and 1 around a mean of 1 (30 each) and residuals of 10 W: s^2 = 60 x 100 / 58, sxx = 60.
    """
    fit = fitted_power(points((0, 90), (0, 110), (2, 290), (2, 310), times=15))

    variance = 60 * 100 / 58
    assert (fit.idle_watts, fit.joules_per_token) == (pytest.approx(100), pytest.approx(100))
    assert fit.joules_per_token_error == pytest.approx((variance / 60) ** 0.5)
    assert fit.idle_watts_error == pytest.approx((variance * (1 / 60 + 1 / 60)) ** 0.5)
    assert fit.r_squared == pytest.approx(1 - 60 * 100 / (60 * 100 + 60 * 100**2))


@pytest.mark.parametrize(
    ("given_points", "reason"),
    [
        (points((0, 100), (1, 200), times=11), "only 22 whole hours"),
        (points((0, 100), times=24), "no token was served"),
        (points((100, 300), (101, 301), times=20), "hardly varied"),
        (points((0, 300), (100, 200), times=20), "does not rise with load"),
        (points((10, 10), (20, 100), times=20), "does not rise with load"),
    ],
    ids=["too few", "no tokens", "one load", "falling power", "negative idle power"],
)
def test_refusals_say_why(given_points, reason):
    """Where a line would say nothing of idle power, there is none, and a sentence says why."""
    fit = fitted_power(given_points)

    assert isinstance(fit, FitRefused)
    assert reason in fit.reason


@given(
    idle_watts=st.floats(1, 1e4),
    joules_per_token=st.floats(0, 1e3),
    rates=st.lists(st.floats(0, 1e4), min_size=24, max_size=40),
)
def test_any_line_is_found_again(idle_watts, joules_per_token, rates):
    """Whatever line hours lie on, a fit is that line or none."""
    fit = fitted_power(points(*((rate, idle_watts + joules_per_token * rate) for rate in rates)))

    if isinstance(fit, PowerFit):
        scale = idle_watts + joules_per_token * max(rates)
        assert fit.idle_watts == pytest.approx(idle_watts, abs=1e-6 * scale)


def test_fitted_idle_makes_the_cost_line():
    """A machine never seen idle gets the fitted idle power: 100 of its 400 W are fixed, at 0.36 per kWh.

    An hour at 400 W costs 0.144: 0.036 of it is fixed, and 0.108 comes with load.
    """
    sums = WindowSums(
        costs=Costs(hardware=1.0, energy=0.144, labour=0.0, other=0.0),
        tokens=Tokens(input_tokens=1_000_000),
        seconds=3_600.0,
        joules=400 * 3_600.0,
    )
    fit = PowerFit(
        idle_watts=100.0,
        joules_per_token=1.0,
        idle_watts_error=0.0,
        joules_per_token_error=0.0,
        r_squared=1.0,
        points=24,
    )

    line = cost_line(with_fitted_idle(sums, fit), 0.5)
    unfitted = cost_line(sums, 0.5)

    assert line.fixed_cost_per_hour == pytest.approx(1.036)
    assert line.load_cost_per_hour == pytest.approx(0.216)
    assert unfitted.fixed_cost_per_hour == pytest.approx(1.144)
