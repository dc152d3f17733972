"""Pictures of characters: zero, peak and not known are three different things."""

import pytest

from evenwatt.sinks.report.sketch import shade, sparkline, week_lines
from report_values import report


def test_sparkline_goes_from_zero_to_the_greatest():
    """Zero is the lowest bar, the greatest the highest, and a blank is not known."""
    assert sparkline([0.0, 5.0, 10.0, None]) == "▁▅█ "


def test_sparklines_share_a_scale():
    """With the same limit, half of it is half as high."""
    assert sparkline([5.0], most=10.0) == "▅"


def test_sparkline_of_nothing():
    """Without a value that is not zero, everything is at the bottom."""
    assert sparkline([0.0, 0.0]) == "▁▁"
    assert sparkline([]) == ""


@pytest.mark.parametrize(("value", "drawn"), [(None, " "), (0.0, "·"), (0.1, "░"), (30.0, "▒"), (100.0, "█")])
def test_shades(value, drawn):
    """Nothing, little and the peak are told apart."""
    assert shade(value, 100.0) == drawn


@pytest.mark.parametrize("wide", [1, 2, 3, 4])
def test_week_is_eight_lines_of_one_width(wide):
    """A line of hours and one for each weekday; no line is longer than its 24 hours."""
    lines = week_lines(report().week, wide=wide)

    assert [line[:3] for line in lines[1:]] == ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]
    assert {len(line) for line in lines[1:]} == {5 + 24 * wide}
    assert len(lines[0]) <= 5 + 24 * wide
