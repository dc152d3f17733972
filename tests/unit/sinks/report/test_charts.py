"""Where bars and cells stand: parts fill wholes, and what is not known is not drawn as nothing."""

import itertools

import pytest
from msgspec.structs import replace

from evenwatt.sinks.report.charts import api_bars, day_bars, splits
from evenwatt.sinks.report.heat import heat_cells
from report_examples import a_year, one_day, unknown_hardware
from report_values import empty_report, report


def test_bars_are_stacked_without_gaps():
    """Each part begins where the one below ends, and the top is the day's cost on the axis."""
    drawn = day_bars(report())
    bar, day = drawn.bars[0], report().days[0]

    below = 0.0
    for part in bar.segments:
        assert part.start == pytest.approx(below)
        below += part.length
    assert below == pytest.approx(drawn.costs.position(day.costs.full))
    assert bar.idle == pytest.approx(drawn.costs.position(day.idle_cost))


def test_bars_fill_the_width_in_order():
    """Bars stand side by side and none leaves the plot."""
    bars = day_bars(a_year()).bars

    assert all(one.left + one.width < other.left for one, other in itertools.pairwise(bars))
    assert bars[0].left > 0
    assert bars[-1].left + bars[-1].width < 100


def test_time_before_the_history_says_so():
    """A quarter without history is an empty stretch with words, not a quarter without costs."""
    drawn = day_bars(a_year())

    assert drawn.before.words == "not in the history"
    assert drawn.bars[0].segments == ()
    assert "not in the history" in drawn.bars[0].words
    assert day_bars(report()).before is None


def test_what_is_missing_is_named():
    """Without a hardware price the bars are of the rest, and the caption can say which part is missing."""
    drawn = day_bars(unknown_hardware())

    assert drawn.missing == "hardware"
    assert not drawn.has_idle
    assert "hardware" not in [name for name, _ in drawn.components]


def test_splits_fill_the_whole():
    """Components and states each add up to all of the cost; a narrow part has no words in it."""
    components, states = splits(report())

    for split in (components, states):
        assert sum(part.length for part in split.segments) == pytest.approx(100, abs=0.01)
    assert [part.words for part in states.segments] == ["56%", "37%", ""]


def test_no_split_of_a_cost_that_is_not_known():
    """A part of the cost is not drawn as if it were the whole."""
    assert splits(unknown_hardware()) == ()


def test_shades_go_to_the_peak():
    """The busiest hours are fully dark, hours without tokens are empty, and little is still seen."""
    cells = {(cell.weekday, cell.hour): cell for cell in heat_cells(report())}

    assert len(cells) == 168
    assert cells[0, 10].shade == pytest.approx(1.0)
    assert cells[0, 3].shade == 0.0
    assert cells[5, 6].shade == pytest.approx(0.1 + 0.9 / 16)
    assert cells[0, 10].words == "Monday, 10:00 to 11:00: 1,600 thousand tokens an hour"


def test_hours_that_were_not_watched_are_told_from_quiet_ones():
    """An hour that the history does not hold has no shade at all."""
    (unwatched,) = [cell for cell in heat_cells(one_day()) if (cell.weekday, cell.hour) == (0, 0)]

    assert unwatched.shade is None
    assert "not in the history" in unwatched.words


def test_no_heat_without_tokens():
    """A week without tokens is not drawn."""
    assert heat_cells(empty_report()) == ()


def test_api_bars_span_both_bounds():
    """A bar goes to the price with cache hits and on to the one without; batch and own cost beside it."""
    drawn = api_bars(report())
    bar = drawn.bars[0]

    assert (bar.least, bar.most) == (
        pytest.approx(drawn.prices.position(0.30)),
        pytest.approx(drawn.prices.position(0.32)),
    )
    assert bar.batch == pytest.approx(drawn.prices.position(0.15))
    assert drawn.own == pytest.approx(drawn.prices.position(335.25 / 500))
    assert bar.words == "0.3000, without cache 0.3200, batch 0.1500"


def test_no_api_no_bars():
    """Without a price of any API there is nothing to compare."""
    assert api_bars(replace(report(), comparisons=())) is None
