"""GPU sensors against a wall meter: the line, its quality, and when there is none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evenwatt.economics.sensor_fit import sensor_fit

LINE = [(watts, 60.0 + 1.1 * watts) for watts in range(50, 350, 20)]


def test_a_straight_line_is_found_exactly():
    """60 W beside the GPUs, and 1.1 J at the wall for each of the sensors."""
    fit = sensor_fit(LINE)

    assert (fit.factor, fit.base_watts) == (pytest.approx(1.1), pytest.approx(60.0))
    assert fit.r_squared == pytest.approx(1.0)
    assert fit.standard_error == pytest.approx(0.0, abs=1e-9)
    assert (fit.points, fit.spread_watts) == (15, 280.0)


def test_noise_shows_in_the_quality():
    """Ten watts up and down leave the slope and lower r², by the textbook's formula."""
    noisy = [(x, y + (10 if number % 2 else -10)) for number, (x, y) in enumerate(LINE)]
    fit = sensor_fit(noisy)

    assert fit.factor == pytest.approx(1.1, abs=0.03)
    assert 0.98 < fit.r_squared < 1.0
    assert fit.standard_error == pytest.approx(10 / (13**0.5) * 15**0.5 / 334.66, rel=0.05)


@pytest.mark.parametrize(
    ("points", "words"),
    [
        (LINE[:9], "9 whole minutes with both are too few"),
        ([(200.0 + n % 3, 300.0) for n in range(60)], "varied by 2 W only"),
        ([(50.0, 100.0)] * 59 + [(350.0, 400.0)], "varied by 0 W only"),
    ],
)
def test_without_variation_there_is_no_slope(points, words):
    """Too few minutes, a power that hardly changed, or one minute that stands out: refused in words."""
    assert words in sensor_fit(points)


@given(st.floats(0.8, 1.5), st.floats(0, 500))
def test_any_line_comes_back(factor, base):
    """Whatever the machine, its own line is found."""
    fit = sensor_fit([(x, base + factor * x) for x, _ in LINE])

    assert fit.factor == pytest.approx(factor, rel=1e-6)
    assert fit.base_watts == pytest.approx(base, abs=1e-3)
