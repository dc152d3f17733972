"""The picture of cost against load: where things stand in it."""

import math

import pytest

from evenwatt.sinks.plan.chart import Chart, Mark, drawn

CURVE = [(percent / 100, 1 / (percent / 100)) for percent in range(1, 101)]
"""1 per Mtok at full load, 100 at a hundredth of it."""


def picture(*marks, planned=None, width=71, is_unicode=True, curve=CURVE):
    """Return the lines of a picture whose area is 60 columns wide and 15 rows high."""
    chart = Chart(curve=curve, marks=marks, planned=planned)
    return drawn(chart, width=width, height=15, is_unicode=is_unicode)


def area(lines):
    """Return what stands to the right of the axis."""
    return [line[10:] for line in lines[:15]]


def test_the_curve_falls_from_left_to_right():
    """In each column the curve is as low as, or lower than, in the column before."""
    rows = area(picture())
    lowest = [max(row for row in range(15) if rows[row][c : c + 1] == "●") for c in range(1, 60)]

    assert lowest == sorted(lowest)
    assert lowest[-1] > lowest[0]


def test_the_curve_has_no_holes_where_it_is_steep():
    """Every row between its highest and its lowest point holds a piece of it."""
    rows = [row for row, content in enumerate(area(picture())) if "●" in content]

    assert rows == list(range(rows[0], rows[-1] + 1))


def test_a_price_is_a_line_with_its_letter_and_its_mark():
    """The line is as wide as the picture; the mark stands at the break-even load."""
    (line,) = [row for row in area(picture(Mark(letter="A", price=2.0, even_load=0.5))) if row.endswith("A")]

    assert line.count("─") + line.count("●") == 59
    assert line.index("◆") == 29


def test_a_price_that_is_never_reached_has_no_mark():
    """A line without a meeting point is all that there is of it."""
    lines = picture(Mark(letter="A", price=0.5, even_load=math.inf))

    assert any(line.endswith("A") for line in lines)
    assert not any("◆" in line for line in lines)


def test_prices_in_one_row_keep_their_letters():
    """Two prices that the picture cannot tell apart are both named."""
    marks = (Mark(letter="A", price=2.0, even_load=0.5), Mark(letter="B", price=2.01, even_load=0.4975))

    assert any(line.endswith("AB") for line in picture(*marks))


def test_the_plan_is_a_point_on_the_curve():
    """What is planned stands at its load."""
    (line,) = [row for row in area(picture(planned=(0.25, 4.0))) if "▲" in row]

    assert line.index("▲") == 14


def test_ascii_is_enough():
    """A terminal without Unicode sees the same picture."""
    lines = picture(Mark(letter="A", price=2.0, even_load=0.5), planned=(0.25, 4.0), is_unicode=False)

    assert all(line.isascii() for line in lines)
    assert {"*", "-", "X", "O"} <= set("".join(lines))


@pytest.mark.parametrize("width", [46, 71, 110])
def test_no_line_is_wider_than_the_picture(width):
    """Axis, area and letter fit into what was asked for."""
    lines = picture(Mark(letter="A", price=2.0, even_load=0.5), width=width)

    assert max(map(len, lines)) <= width
    assert lines[-1].endswith("100%")


def test_what_costs_nothing_has_no_picture():
    """A paid machine that draws nothing has no cost to put on a logarithmic axis."""
    assert picture(curve=[(0.5, 0.0), (1.0, 0.0)]) == []


def test_a_free_api_is_no_line():
    """A price of 0 has no place on the axis, and hides nothing."""
    lines = picture(Mark(letter="A", price=0.0, even_load=math.inf))

    assert not any(line.endswith("A") for line in lines)
    assert any("●" in line for line in lines)
