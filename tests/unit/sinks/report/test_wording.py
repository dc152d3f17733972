"""What sentences leave out where a part is not known, and what they say of windows that are short."""

from msgspec.structs import replace

from evenwatt.economics.sensitivity import Input
from evenwatt.sinks.report.comparing import api_section, load_section
from evenwatt.sinks.report.deciding import change_section, decision_section
from evenwatt.sinks.report.overview import figures
from evenwatt.sinks.report.spending import money_section
from evenwatt.sinks.report.weekly import traffic_section
from report_values import report


def of_rows(change):
    """Return the example with its rows changed."""
    return report(rows=tuple(map(change, report().rows)))


def without_load(found):
    """Return a sensitivity as it is where no capacity is known."""
    return replace(found, value=None, break_even_value=None) if found.input is Input.LOAD else found


def test_the_engine_that_does_not_tell_its_cache_hits_is_named():
    """One of two is silent: the bounds differ, and for its tokens they do not."""
    example = of_rows(
        lambda row: (
            replace(row, tokens=replace(row.tokens, cached_input_tokens=None))
            if row.engine == "code"
            else row
        )
    )
    example = replace(
        example, comparisons=tuple(replace(item, is_observed_cache=False) for item in example.comparisons)
    )
    notes = api_section(example).notes

    assert any(note.startswith("With cache hits: our own hits") for note in notes)
    assert "No cache hits are told by code: its tokens are without cache in both bounds." in notes


def test_a_load_that_is_not_known_is_told_by_its_factor():
    """Without a capacity there is no load to name, only how much more or less of it."""
    example = report()
    comparisons = tuple(
        replace(item, sensitivities=tuple(map(without_load, item.sensitivities)))
        for item in example.comparisons
    )
    leads = change_section(replace(example, comparisons=comparisons)).leads

    assert any("2.64 times the load" in lead for lead in leads)
    assert not any(" - " in lead or "(now -)" in lead for lead in leads)


def test_power_without_load_that_is_not_known_is_no_input():
    """A row of hyphens says nothing."""
    example = report()
    comparisons = tuple(
        replace(
            item,
            sensitivities=tuple(
                replace(found, value=None, break_even_value=None)
                for found in item.sensitivities
                if found.input is Input.IDLE_POWER
            ),
        )
        for item in example.comparisons
    )
    section = change_section(replace(example, comparisons=comparisons))

    assert not any("power without load, W" in row.cells for table in section.tables for row in table.rows)


def test_a_month_is_not_told_from_less_than_a_day():
    """Of twelve hours no monthly figure is given, and the bills say what they are scaled from."""
    example = report()
    short = replace(example, head=replace(example.head, accounted_seconds=43_200.0))

    assert any("for a month like this" in figure.note for figure in figures(example))
    assert not any("for a month like this" in figure.note for figure in figures(short))
    assert [len(row.cells) for row in money_section(short).tables[0].rows] == [4] * 5
    assert decision_section(short).tables[0].title == (
        "A month like this window, extrapolated from 12 h, EUR"
    )


def test_peaks_need_a_day():
    """Tokens without a peak: too few hours were seen to say which is the busiest."""
    example = report()
    section = traffic_section(replace(example, week=replace(example.week, peak=None)))

    assert "Which hour is busiest shows once each hour of the day was seen." in section.leads
    assert not any("busiest single hour" in note for note in section.notes)


def test_what_load_drew_is_not_told_where_idle_power_is_not_known():
    """All electricity counts as fixed then: that is a bound, and no finding."""
    example = report()
    unknown = replace(example, idle_power=replace(example.idle_power, used="none"))

    assert any("without a single token" in lead for lead in money_section(example).leads)
    assert money_section(unknown).leads == ()


def test_an_hour_costs_the_same_where_idle_power_is_not_known():
    """No difference is told between no load and full load where none was seen."""
    example = report()
    unknown = replace(example, idle_power=replace(example.idle_power, used="none"))
    note = load_section(unknown).notes[0]

    assert note.startswith("An hour costs")
    assert "without load and" not in note
    assert "the same at any load" in note


def test_a_state_that_never_was_has_no_energy_to_know():
    """An idle state without time shows nothing, where a state that was not measured shows a hyphen."""
    example = report()
    states = tuple(
        replace(share, seconds=0.0, kwh=None, watts=None, cost=0.0) if number else share
        for number, share in enumerate(example.totals.states)
    )
    section = money_section(replace(example, totals=replace(example.totals, states=states)))

    assert [row.cells[3] for row in section.tables[1].rows] == ["186.22", "", ""]
