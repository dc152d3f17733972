"""A line by least squares: the textbook's numbers."""

import pytest

from evenwatt.economics.line import fitted_line


def test_scatter_shows_in_the_errors():
    """Three points around y = x: slope 1, residuals 1, -2, 1, so s² = 6, sxx = 2, and r² = 1 - 6 / 8."""
    line = fitted_line([(-1, 0), (0, -2), (1, 2)])

    assert (line.slope, line.intercept) == (pytest.approx(1), pytest.approx(0))
    assert line.slope_error == pytest.approx(3**0.5)
    assert line.intercept_error == pytest.approx(2**0.5)
    assert line.r_squared == pytest.approx(0.25)


def test_without_variation_of_y_nothing_is_explained():
    """A flat line fits exactly, and there is no variance of which it could explain a share."""
    line = fitted_line([(0, 5), (1, 5), (2, 5)])

    assert (line.slope, line.slope_error, line.r_squared) == (0, 0, None)
