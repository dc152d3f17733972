"""The signature picture in characters, as plan and report share it."""

import math

import pytest
from msgspec.structs import replace

from evenwatt.sinks.curve.geometry import curve_of
from evenwatt.sinks.curve.terminal import LABEL_DISTANCE, curve_lines


def picture(*, encoding="utf-8", width=80, observed=(0.25, 4.0)):
    """Return 1 per Mtok at full load against a price of 2 and one that is never reached."""
    curve = curve_of(
        fixed_cost_per_hour=1.0,
        load_cost_per_hour=0.0,
        mtok_per_hour=1.0,
        observed=observed,
        prices=[("A dear", 2.0, 0.5), ("B cheap", 0.5, math.inf)],
        label_distance=LABEL_DISTANCE,
    )
    return curve_lines(curve, currency="EUR", observed="as planned", encoding=encoding, width=width)


def test_the_legend_says_what_the_marks_are():
    """The point, where prices are met, and those that never are."""
    _, legend = picture()

    assert legend == [
        "◆ as planned: 25.0%, 4.000 per Mtok",
        "● even with: A dear 50.0%",
        "never cheaper than B cheap",
    ]


def test_the_mark_stands_at_its_load():
    """The break-even at half load is in the middle of the picture, on the line of its price."""
    plot, _ = picture(width=111)
    (line,) = [line for line in plot if "●" in line]

    assert line.index("●") - 11 == pytest.approx(50, abs=1)


def test_without_a_demand_there_is_no_point():
    """A plan without tokens a day has only its curve."""
    plot, legend = picture(observed=None)

    assert not any("◆" in line for line in (*plot, *legend))


@pytest.mark.parametrize("width", [50, 80, 100])
def test_no_line_is_wider_than_the_picture(width):
    """Axis and area fit into what was asked for."""
    assert max(map(len, picture(width=width)[0])) <= width


def test_a_terminal_without_such_characters_has_no_picture():
    """The table behind it says the same."""
    assert picture(encoding="ascii") == ([], [])


def test_what_stands_at_the_very_edge_is_drawn():
    """Costs of twenty orders of magnitude put a price on the last line of the picture."""
    curve = curve_of(
        fixed_cost_per_hour=2.4e6,
        load_cost_per_hour=7e11,
        mtok_per_hour=3.6,
        observed=None,
        prices=[("tiny", 1e-6, math.inf)],
        label_distance=LABEL_DISTANCE,
    )
    edges = replace(curve, prices=tuple(replace(price, label_y=100.0) for price in curve.prices))

    plot, _ = curve_lines(edges, currency="EUR", observed="as planned", encoding="utf-8", width=80)

    assert "tiny" in plot[1]
