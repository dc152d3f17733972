"""The signature picture: what stands where on it."""

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evenwatt.sinks.curve.geometry import curve_of


def drawn(prices=(), *, fixed=3.20, load_cost=0.0, mtok=7.1111, observed=(0.2, 2.25)):
    """Return the curve of a rented machine: 0.45 per Mtok at full load, 2.25 at a fifth of it."""
    return curve_of(
        fixed_cost_per_hour=fixed,
        load_cost_per_hour=load_cost,
        mtok_per_hour=mtok,
        observed=observed,
        prices=prices,
        label_distance=6.0,
    )


def test_curve_falls_to_the_cost_at_full_load():
    """The right end of the curve is what a million tokens cost at full load."""
    points = drawn().points

    assert pytest.approx(points[-1].load) == 1.0
    assert pytest.approx(points[-1].cost, rel=1e-3) == 0.45
    assert all(before.cost > after.cost for before, after in pairwise(points))


def test_break_even_mark_lies_on_line_and_curve():
    """Where the price is 0.80, both cost the same at 56.25 % load: there is the mark."""
    (line,) = drawn([("api", 0.80, 0.5625)]).prices

    assert (pytest.approx(line.mark.x), line.mark.cost) == (56.25, 0.80)
    assert line.mark.y == line.y
    assert not line.is_never


def test_never_has_no_mark():
    """A price below the cost at full load has a line and no mark; it says never."""
    (line,) = drawn([("api", 0.2625, math.inf)]).prices

    assert line.mark is None
    assert line.is_never


def test_not_known_is_not_never():
    """Where the break-even is not known there is no mark, and no word of never."""
    (line,) = drawn([("api", 0.80, None)]).prices

    assert line.mark is None
    assert not line.is_never


def test_labels_stand_where_the_curve_does_not():
    """A line that is crossed early is labelled at its end; one crossed late, or never, at its beginning."""
    sides = {
        line.name: line.is_label_left
        for line in drawn([("early", 3.0, 0.15), ("late", 0.5, 0.9), ("never", 0.2, math.inf)]).prices
    }

    assert sides == {"early": False, "late": True, "never": True}


@given(st.lists(st.floats(0.01, 100.0), min_size=1, max_size=9))
def test_labels_do_not_overlap(prices):
    """Labels on one side are a line of text apart, in the order of their prices."""
    lines = drawn([(str(number), price, None) for number, price in enumerate(prices)]).prices

    for is_left in (True, False):
        places = [line.label_y for line in lines if line.is_label_left is is_left]
        assert all(after - before >= 6.0 - 1e-9 for before, after in pairwise(places))
        assert all(place <= 94.0 + 1e-9 for place in places)


def test_the_label_of_the_window_gives_way():
    """Where a price is labelled at its height, the label of what was observed stands above it."""
    curve = drawn([("api", 2.25, 0.2)], observed=(0.2, 2.25))

    assert curve.observed_label_y == pytest.approx(curve.observed.y + 6.0)
    assert drawn([], observed=(0.2, 2.25)).observed_label_y == pytest.approx(drawn().observed.y)


@given(
    st.floats(1e-4, 1e4), st.floats(0, 1e4), st.floats(1e-4, 1e4), st.floats(1e-6, 2.0), st.floats(1e-3, 1e3)
)
def test_everything_is_on_the_picture(fixed, load_cost, mtok, load, price):
    """Curve, observed point and lines are within the plot, whatever a machine costs."""
    observed = (load, (fixed / load + load_cost) / mtok)
    curve = drawn([("api", price, None)], fixed=fixed, load_cost=load_cost, mtok=mtok, observed=observed)

    for point in (*curve.points, curve.observed):
        assert 0 <= point.x <= 100
        assert 0 <= point.y <= 100
    assert 0 <= curve.prices[0].y <= 100
    assert curve.points[-1].load == pytest.approx(curve.loads.most)
    assert curve.loads.most >= load * (1 - 1e-9)


def test_no_curve_of_a_machine_that_serves_nothing():
    """Without tokens at full load, or without any cost, there is nothing to draw."""
    assert drawn(mtok=0.0) is None
    assert drawn(fixed=0.0) is None
