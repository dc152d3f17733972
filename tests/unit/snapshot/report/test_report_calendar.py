"""Days, the week, peaks and the shape of traffic, from hours in round numbers."""

import math
from datetime import date, datetime
from zoneinfo import ZoneInfo

import pytest

from evenwatt.snapshot.report.calendar import by_hour_of_week, days_of, hours_sum, week_of
from evenwatt.snapshot.report.hours import CellTokens, HourRow
from evenwatt.snapshot.report.localtime import hour_of_week, local_time
from evenwatt.snapshot.report.shapes import machine_cells, model_shapes, traffic_shape
from evenwatt.snapshot.report.traffic import Shape

BERLIN = ZoneInfo("Europe/Berlin")
MONDAY = int(datetime(2026, 10, 19, tzinfo=BERLIN).timestamp())
"""The Monday of the week that ends with 25 hours."""
WEEK_HOURS = 7 * 24 + 1


def hour(start, tokens=0, **values):
    """Return an hour at 100 W, of 1 for hardware and 0.5 for electricity, in which some output was served."""
    told = {
        "seconds": 3_600.0,
        "down_seconds": 0.0,
        "estimated_seconds": 0.0,
        "input_tokens": 0,
        "cached_input_tokens": None,
        "output_tokens": tokens,
        "joules": 360_000.0,
        "hardware_cost": 1.0,
        "energy_cost": 0.5,
        "labour_cost": 0.0,
        "other_cost": 0.0,
        "idle_cost": 0.0 if tokens else 1.5,
        "unpriced_seconds": None,
    }
    return HourRow(utc_seconds=start, **{**told, **values})


def week(tokens_at):
    """Return the hours of the week, with the tokens of each local (weekday, hour)."""
    local = local_time(BERLIN, MONDAY, MONDAY + WEEK_HOURS * 3_600)
    starts = [MONDAY + number * 3_600 for number in range(WEEK_HOURS)]
    numbers = local.hour_numbers(starts)
    rows = [
        hour(start, tokens_at(*divmod(hour_of_week(number), 24)))
        for start, number in zip(starts, numbers, strict=True)
    ]
    return rows, local


def week_map(rows, local, load=lambda _: None):
    """Return the week map of hours."""
    return week_of(by_hour_of_week(rows, local), load=load, is_approximate=False)


def test_days_add_up_their_hours():
    """A million tokens an hour: 24 in a day for 36, 25 on the day that is longer."""
    days = days_of(*week(lambda _, __: 1_000_000))

    assert [day.date for day in days] == [date(2026, 10, 19 + number) for number in range(7)]
    assert [day.tokens.output_tokens for day in days] == [24_000_000] * 6 + [25_000_000]
    assert days[6].seconds == days[6].accounted_seconds == 25 * 3_600
    assert days[0].costs.full == 36
    assert days[0].kwh == pytest.approx(2.4)
    assert [day.cost_per_mtok for day in days] == [1.5] * 7


def test_days_before_the_history_have_nothing():
    """A day without hours is there, with nothing accounted and nothing known."""
    rows, local = week(lambda _, __: 1)
    first, *_ = days_of(rows[24:], local)

    assert first.accounted_seconds == 0
    assert (first.kwh, first.costs.full, first.idle_cost, first.cost_per_mtok) == (None,) * 4


def test_a_day_with_unpriced_time_has_no_full_cost():
    """Hardware whose price came midway is not the whole of it."""
    rows, local = week(lambda _, __: 1)
    first, second, *_ = days_of([rows[0]._replace(unpriced_seconds=60.0), *rows[1:]], local)

    assert (first.costs.hardware, first.costs.full, first.idle_cost) == (None, None, None)
    assert second.costs.full == 36


def test_a_day_with_unpriced_energy_has_no_full_cost():
    """Electricity that was drawn without a price is not free."""
    rows, local = week(lambda _, __: 1)
    first, second, *_ = days_of([rows[0]._replace(unpriced_joules=3.6e6), *rows[1:]], local)

    assert (first.costs.energy, first.costs.full, first.idle_cost) == (None, None, None)
    assert second.costs.full == 36


def test_the_week_places_tokens_in_local_time():
    """Tokens of Tuesday, 9 o'clock, stand there; the hour that comes twice counts as two."""
    found = week_map(*week(lambda day, hour: 500_000 * ((day, hour) == (1, 9))))

    assert found.cell(1, 9).tokens_per_hour == 500_000
    assert found.cell(1, 9).cost_per_mtok == 3.0
    assert found.cell(1, 9).watts == 100
    assert found.cell(1, 10).tokens_per_hour == 0
    assert found.cell(1, 10).cost_per_mtok is None
    assert found.cell(6, 2).hours == 2
    assert [cell.weekday * 24 + cell.hour for cell in found.cells] == list(range(168))


def test_cells_that_never_were_are_not_known():
    """A window of one hour leaves 167 cells and 23 hours of the day without a value."""
    rows, local = week(lambda _, __: 1)
    found = week_map(rows[:1], local)

    assert [cell for cell in found.cells if cell.tokens_per_hour is not None] == [found.cell(0, 0)]
    assert sum(item.tokens_per_hour is not None for item in found.hours_of_day) == 1


def test_peak_and_trough_are_means_over_days():
    """Nothing but 8 to 9 o'clock is busier: 7 x 800 there, 100 elsewhere, the busiest hour on Friday."""
    rows, local = week(lambda day, hour: (1_400 if day == 4 else 700) if hour == 8 else 100)
    found = week_map(rows, local).peak

    assert (found.peak_hour, found.peak_tokens_per_hour) == (8, 800)
    assert (found.trough_hour, found.trough_tokens_per_hour, found.ratio) == (0, 100, 8)
    assert found.busiest_utc_seconds == MONDAY + (4 * 24 + 8) * 3_600
    assert found.busiest_over_mean == pytest.approx(1_400 / ((7 * 800 + 162 * 100) / 169))


def test_an_empty_trough_is_infinitely_far():
    """Where an hour of the day never sees a token, the ratio says so; without tokens there is no peak."""
    night = week_map(*week(lambda _, hour: int(hour >= 6))).peak
    nothing = week_map(*week(lambda _, __: 0)).peak

    assert night.ratio == math.inf
    assert math.isinf(night.ratio)
    assert nothing is None


def test_a_peak_needs_each_hour_of_the_day():
    """Of 23 hours nobody can say which of the day is the quietest; an hour in part is not the busiest."""
    rows, local = week(lambda _, __: 100)
    cut = rows[0]._replace(seconds=60.0, output_tokens=10_000)
    peak = week_map([cut, *rows[1:]], local).peak

    assert week_map(rows[:23], local).peak is None
    assert week_map(rows[:23], local).has_tokens
    assert (peak.busiest_utc_seconds, peak.busiest_tokens) == (MONDAY + 3_600, 100)


def test_load_is_asked_for_each_cell():
    """The load of a cell is that of all its hours together."""
    found = week_map(*week(lambda _, __: 36), load=lambda row: row.computed_tokens / row.seconds)

    assert found.cell(6, 2).load_ratio == pytest.approx(0.01)


def shape_of(tokens_at):
    """Return the shape of a week of traffic."""
    rows, local = week(tokens_at)
    return traffic_shape(*machine_cells(by_hour_of_week(rows, local)))


def test_even_traffic_is_steady():
    """The same in every hour: no variation, a third of it at night and two sevenths at weekends, or so."""
    found = shape_of(lambda _, __: 1_000)

    assert found.shape is Shape.STEADY
    assert (found.variation_ratio, found.explained_by_hour_ratio, found.idle_hours_ratio) == (0, 0, 0)
    assert found.night_ratio == pytest.approx(57 / 169)
    assert found.weekend_ratio == pytest.approx(49 / 169)


def test_office_hours_are_day_and_night():
    """What comes from 8 to 20 o'clock only is explained by the hour of the day alone."""
    found = shape_of(lambda _, hour: 1_000 * (8 <= hour < 20))

    assert found.shape is Shape.DAY_NIGHT
    assert found.explained_by_hour_ratio == pytest.approx(1)
    assert found.idle_hours_ratio == pytest.approx(85 / 169)
    assert found.night_ratio == 0


def test_one_busy_hour_is_a_burst():
    """A single hour with all of the tokens: 168 standard deviations of nothing, at no usual time."""
    found = shape_of(lambda day, hour: 1_000 * ((day, hour) == (2, 15)))

    assert found.shape is Shape.BURSTY
    assert found.variation_ratio == pytest.approx(168**0.5)
    assert found.idle_hours_ratio == pytest.approx(168 / 169)


def test_too_little_has_no_shape():
    """Less than two days, or not a token, is not judged."""
    rows, local = week(lambda _, __: 1_000)
    short = traffic_shape(*machine_cells(by_hour_of_week(rows[:47], local)))

    assert (short.shape, short.hours) == (None, 47)
    assert shape_of(lambda _, __: 0).shape is None
    assert traffic_shape({}, {}).hours == 0


def test_cut_hours_do_not_count_for_the_shape():
    """Half an hour at an end of the window would look like half the traffic."""
    rows, local = week(lambda _, __: 1_000)
    cut = [rows[0]._replace(seconds=1_800.0, output_tokens=500), *rows[1:]]

    assert traffic_shape(*machine_cells(by_hour_of_week(cut, local))).variation_ratio == 0


def test_models_that_work_round_the_clock_could_wait():
    """A steady model with tokens in all hours is batch-like; one with half of them in the day is not."""
    passed = dict.fromkeys(range(168), 1)
    steady = {cell: CellTokens(hours=1, tokens=10, squares=100.0) for cell in range(168)}
    office = {cell: CellTokens(hours=1, tokens=10, squares=100.0) for cell in range(168) if cell % 24 > 11}
    found = model_shapes(
        {("a", "steady"): steady, ("a", "office"): office},
        passed,
        {("a", "office"): 840, ("a", "steady"): 1_680, ("a", "idle"): 0},
    )

    assert [(shape.model, shape.is_batch_like) for shape in found] == [("steady", True), ("office", False)]
    assert [shape.token_share for shape in found] == [pytest.approx(2 / 3), pytest.approx(1 / 3)]


def test_a_sum_of_no_hours_knows_nothing():
    """Nothing plus nothing is not known."""
    assert hours_sum([]) == HourRow(0, *[None] * 13)
