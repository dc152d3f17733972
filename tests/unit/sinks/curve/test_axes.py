"""Axes: round numbers, evenly or by logarithm."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evenwatt.sinks.curve.axes import linear_axis, log_axis


@pytest.mark.parametrize(
    ("most", "values"),
    [
        (10.0, [0, 2.5, 5, 7.5, 10]),
        (11.5, [0, 5, 10, 15]),
        (0.32, [0, 0.1, 0.2, 0.3, 0.4]),
        (0.0, [0, 0.25, 0.5, 0.75, 1]),
    ],
)
def test_even_axis_ends_at_a_round_number(most, values):
    """The ticks are round and the last is not below the greatest value."""
    axis = linear_axis(most)

    assert values == pytest.approx([tick.value for tick in axis.ticks])


def test_log_axis_has_one_two_five():
    """Two decades are written as 1, 2, 5."""
    assert pytest.approx([tick.value for tick in log_axis(0.9, 60.0).ticks]) == [1, 2, 5, 10, 20, 50]


def test_log_axis_of_many_decades_has_powers_of_ten():
    """More decades have fewer values each, so that they stay legible."""
    assert pytest.approx([tick.value for tick in log_axis(0.01, 1000.0).ticks]) == [
        0.01,
        0.1,
        1,
        10,
        100,
        1000,
    ]


@given(st.floats(1e-6, 1e6), st.floats(1.5, 1e4), st.floats(-1e7, 1e7))
def test_nothing_is_drawn_outside(least, factor, value):
    """Whatever the value, its place lies on the axis, and ticks rise from one end to the other."""
    for axis in (linear_axis(least * factor), log_axis(least, least * factor)):
        places = [tick.position for tick in axis.ticks]

        assert 0 <= axis.position(value) <= 100
        assert places == sorted(places)
        assert all(-1e-6 <= place <= 100 + 1e-6 for place in places)


def test_middle_of_a_decade():
    """On a logarithmic axis the geometric mean stands in the middle."""
    assert pytest.approx(log_axis(1.0, 100.0).position(10.0)) == 50
