"""The report gathered from a history, in numbers that a person can check, and what it says of flaws."""

import json
import math
import random
import re
from contextlib import closing
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest
from msgspec.structs import replace

from evenwatt.config import parse_settings
from evenwatt.economics.cost import PriceBook
from evenwatt.economics.running import SetupCost
from evenwatt.economics.scenarios import ScenarioName
from evenwatt.economics.sensitivity import Input
from evenwatt.errors import ReportError
from evenwatt.ledger import HostUse, MeterUse, SourceTotals, Usage
from evenwatt.model import UNALLOCATED, Event, State
from evenwatt.service.report.gathering import gathered_report
from evenwatt.service.report.window import AskedWindow
from evenwatt.sinks.history import CalibrationRow, History, PriceRow
from evenwatt.sinks.report.html import render_html
from evenwatt.sinks.report.json import render_json
from evenwatt.sinks.report.markdown import render_markdown
from evenwatt.snapshot.report.traffic import Shape
from evenwatt.snapshot.report.verdict import Outcome
from sink_fixtures import BOOK, FLAT, HOUR, MINUTE, book_with, idle, rule, served, tick

SETTINGS = """
currency: EUR
usd_rate: {rate: 1.0, date: 2026-11-01}
timezone: Europe/Berlin
electricity: {price_per_kwh: 0.36}
hardware: {purchase_price: 8760, lifetime_years: 1, maintenance_per_year: 0.5}
references: [{name: flat, input: 1.0, cached_input: 0.1, output: 5.0}]
engines:
  - {name: chat, url: "http://127.0.0.1:8000", capacity_tokens_per_second: 1000}
"""


def settings(text=SETTINGS):
    """Return settings."""
    return parse_settings(text.encode(), "config.yaml")


@pytest.fixture
def history(tmp_path):
    """An open history without a row."""
    with closing(History(tmp_path / "history.db", currency="EUR")) as opened:
        yield opened


def report(history, *, now, config=SETTINGS, **asked):
    """Return the report of a moment; without words, on the whole history."""
    asked = asked or {"window": "all"}
    return gathered_report(settings(config), history, AskedWindow(**asked), now_utc_seconds=now)


def write_busy_and_idle(history, **options):
    """Write a busy and an idle minute."""
    rows = {(HOUR, "chat", "small"): served(), (HOUR + MINUTE, "chat", "small"): idle()}
    history.write(tick(rows, **options))


def test_totals_by_hand(history):
    """Two minutes at 0.06 for hardware each, 7,200 J at 1e-7, 1.6 Mtok: 0.12072 in all."""
    write_busy_and_idle(history)
    totals = report(history, now=HOUR + 120).totals

    assert totals.tokens.total_tokens == 1_600_000
    assert (totals.costs.hardware, totals.costs.energy) == (pytest.approx(0.12), pytest.approx(0.00072))
    assert totals.costs.full == pytest.approx(0.12072)
    assert totals.kwh == pytest.approx(0.002)
    assert totals.gpu_kwh == pytest.approx(12_000 / 3.6e6)
    assert totals.host_kwh == pytest.approx(1_200 / 3.6e6)
    assert totals.cost_per_mtok.full_total == pytest.approx(0.12072 / 1.6)
    assert totals.cost_per_mtok.full_output == pytest.approx(0.12072 / 0.1)
    assert totals.cost_per_mtok.full_computed == pytest.approx(0.12072 / 1.1)
    assert totals.cost_per_mtok.energy_total == pytest.approx(0.00072 / 1.6)


def test_a_window_of_which_days_alone_are_kept(history):
    """Two days in July, of which the hours are forgotten, cost what they cost; what needs hours says so."""
    first = int(datetime(2026, 7, 6, tzinfo=UTC).timestamp())
    for at in range(first, first + 5 * 86_400, 6 * 3_600):
        history.write(tick({(at, "chat", "small"): served()}))
    while history.forget_some({"minute": first + 4 * 86_400, "hour": first + 3 * 86_400}):
        pass
    asked = {"now": first + 5 * 86_400, "first": "2026-07-07", "last": "2026-07-08"}
    found = report(history, **asked)

    assert found.totals.tokens.total_tokens == 8 * 1_600_000
    assert found.totals.costs.full == pytest.approx(8 * 0.0606)
    assert found.head.accounted_seconds == 8 * 60
    assert found.head.window.start_utc_seconds == first + 86_400
    assert found.head.window.end_utc_seconds == first + 3 * 86_400
    assert (
        "Before 2026-07-09 only days of UTC are kept (history.keep_hours_days): sums are of whole ones, and "
        "what is told by hour, day or week is of the time since then."
    ) in found.head.notes
    assert json.loads(render_json(found))["totals"]["tokens"]["total_tokens"] == 8 * 1_600_000
    assert render_markdown(found)
    assert render_html(found)
    asked["last"] = "2026-07-09"
    assert report(history, **asked).totals.tokens.total_tokens == 12 * 1_600_000


def test_states_by_hand(history):
    """A minute busy at 100 W and one idle at 20 W, each with its money."""
    write_busy_and_idle(history)
    active, loaded, empty = report(history, now=HOUR + 120).totals.states

    assert (active.state, active.seconds, active.watts) == (State.ACTIVE, 60, 100)
    assert (loaded.state, loaded.seconds, loaded.watts) == (State.IDLE_LOADED, 60, 20)
    assert (active.cost, loaded.cost, empty.cost) == (pytest.approx(0.0606), pytest.approx(0.06012), 0)
    assert empty.kwh is None


def test_comparison_by_hand(history):
    """The API takes 1.55 with our cache hits and 2.00 without, for what cost 0.12072 here."""
    write_busy_and_idle(history)
    found = report(history, now=HOUR + 120)
    (item,) = found.comparisons

    assert (item.reference, item.is_observed_cache) == ("flat", True)
    assert (item.api_cost, item.api_cost_no_cache) == (pytest.approx(1.55), pytest.approx(2.0))
    assert item.price_per_mtok == pytest.approx(1.55 / 1.6)
    assert item.ratio == pytest.approx(1.55 / 0.12072)
    assert item.saved == pytest.approx(1.55 - 0.12072)
    assert item.keep_saved == pytest.approx(1.55 - 0.00072)
    assert found.verdict.outcome is Outcome.CHEAPER
    assert found.verdict.sentence.startswith(
        "Over the whole history (2 minutes), a million tokens cost 0.0754 EUR here, "
    )


def test_load_and_break_even_by_hand(history):
    """1.1 M computed tokens in 120 s of 1,000 a second would be 917 % load; of 100,000 it is 9.17 %.

    Idle power is 20 W: of 0.00072 for electricity 2,400 J or 0.00024 are fixed, 0.00048 come with load.
    """
    write_busy_and_idle(history)
    config = SETTINGS.replace("tokens_per_second: 1000", "tokens_per_second: 100000")
    found = report(history, now=HOUR + 120, config=config)
    (item,) = found.comparisons

    load = 1_100_000 / 120 / 100_000
    assert found.load_ratio == pytest.approx(load)
    assert found.head.capacities[0].load_ratio == pytest.approx(load)
    assert item.break_even_load_ratio == pytest.approx(load * 0.12024 / (1.55 - 0.00048))
    assert found.curve.observed.cost_per_mtok == pytest.approx(0.12072 / 1.6)
    assert found.curve.points[-1].cost_per_mtok == pytest.approx((0.12024 + 0.00048 / load) / (1.6 / load))
    assert found.idle_power.observed_watts == 20
    assert found.decision.fixed_cost == pytest.approx(0.12024)
    assert found.decision.variable_cost == pytest.approx(0.00048)


def test_payback_counts_maintenance_as_running_cost(history):
    """A bill of 1.55 each two minutes is avoided; electricity and maintenance of 0.5/h are to be paid."""
    write_busy_and_idle(history)
    found = report(history, now=HOUR + 120)

    month = 730 * 30
    running = (0.00072 + 0.5 / 30) * month
    assert found.comparisons[0].payback_months == pytest.approx(8_760 / (1.55 * month - running))
    assert found.decision.bills[0].observed_cache == pytest.approx(1.55 * month)
    assert found.decision.own_cost_per_month == pytest.approx(0.12072 * month)


def test_a_window_of_part_of_the_history(history):
    """Only what lies in the window counts, and what the history does not reach is not covered."""
    write_busy_and_idle(history)
    found = report(history, now=HOUR + 120, window="1h")

    assert found.head.window.seconds == 3_600
    assert found.head.coverage_ratio == pytest.approx(120 / 3_600)
    assert found.head.first_utc_seconds == HOUR
    assert found.verdict.outcome is Outcome.UNKNOWN
    assert "Too early to judge the last 1h, of which only 2 minutes were watched" in found.verdict.sentence
    assert any("begins 58 min after" in note for note in found.head.notes)


def test_no_tokens_has_cost_but_no_unit_cost(history):
    """An idle machine: money and watts, no ratio, no comparison, no curve."""
    history.write(tick({(HOUR, "chat", ""): idle()}))
    found = report(history, now=HOUR + 60)

    assert found.verdict.outcome is Outcome.NO_TOKENS
    assert found.totals.cost_per_mtok.full_total is None
    assert (found.comparisons, found.curve, found.load_ratio) == ((), None, None)
    assert found.week.peak is None
    assert found.totals.idle_cost == pytest.approx(found.totals.costs.full)


def test_without_hardware_price_nothing_is_pretended(history):
    """A part of the cost is not the whole: the verdict says which line to write."""
    config = SETTINGS.replace(
        "hardware: {purchase_price: 8760, lifetime_years: 1, maintenance_per_year: 0.5}", ""
    )
    write_busy_and_idle(history, book=book_with(FLAT, base=PriceBook(tariff=BOOK.tariff)))
    found = report(history, now=HOUR + 120, config=config)

    assert found.totals.costs.full is None
    assert found.totals.unpriced_seconds == 120
    assert found.verdict.outcome is Outcome.UNKNOWN
    assert found.verdict.line_to_write == "hardware: {purchase_price: PRICE, lifetime_years: 3}"
    assert [share.cost for share in found.totals.states] == [None] * 3
    assert found.comparisons[0].ratio is None


def test_flaws_are_told(history):
    """Gaps, restarts and estimated time stand in the head, with a note on what they mean."""
    write_busy_and_idle(
        history,
        estimated_seconds=30.0,
        events=tuple(
            Event(utc_seconds=HOUR + 1.0, kind=kind, subject="chat", text="")
            for kind in ("gap", "engine_restart")
        ),
        sources={"chat": SourceTotals(restarts=1)},
    )
    head = report(history, now=HOUR + 120).head

    assert (head.gaps, head.restarts) == (1, 1)
    assert head.estimated_ratio == 0.5
    assert head.coverage_ratio == pytest.approx(0.5)
    assert any("50.0% of the time" in note for note in head.notes)
    assert any("restarted once" in note for note in head.notes)


def test_the_busiest_engine_is_the_load_of_the_machine(history):
    """One engine at half its capacity, one at a quarter: the machine is full when the first one is."""
    rows = {
        (HOUR, "chat", "small"): served(read=30_000, wrote=0, cached=0, active_seconds=30.0),
        (HOUR, "code", "coder"): served(read=15_000, wrote=0, cached=0, active_seconds=30.0),
    }
    history.write(tick(rows))
    both = SETTINGS + '  - {name: code, url: "http://127.0.0.1:8001", capacity_tokens_per_second: 1000}\n'

    found = report(history, now=HOUR + 60, config=both)
    half_known = report(history, now=HOUR + 60)

    assert found.load_ratio == pytest.approx(0.5)
    assert [capacity.load_ratio for capacity in found.head.capacities] == [
        pytest.approx(0.5),
        pytest.approx(0.25),
    ]
    assert any("busiest engine" in note for note in found.head.notes)
    assert half_known.load_ratio is None
    assert half_known.curve is None


def test_a_reference_for_some_models_is_not_one_for_the_machine(history):
    """A machine is compared only with APIs that all of its tokens were priced at; a model with its own."""
    book = book_with(FLAT, rules=(rule("small", references=("flat",)), rule("*", references=())))
    rows = {
        (HOUR, "chat", "large"): served(active_seconds=30.0),
        (HOUR, "chat", "small"): served(active_seconds=30.0),
    }
    history.write(tick(rows, book=book))
    found = report(history, now=HOUR + 60)

    assert found.comparisons == ()
    assert [[item.reference for item in row.references] for row in found.rows] == [[], ["flat"]]
    assert found.verdict.outcome is Outcome.UNKNOWN
    assert any("only 50% of the tokens" in note for note in found.head.notes)


def write_weeks(history, weeks=3):
    """Write a minute of every hour: tokens from 8 to 20 h UTC, half as many in the last hour, idle else."""
    for hour in range(weeks * 168):
        at = HOUR + hour * 3_600
        of_day = datetime.fromtimestamp(at, UTC).hour
        rows = {(at, "chat", "small"): idle()}
        if 8 <= of_day < 20:
            wrote = 6_000 if of_day == 19 else 12_000
            rows = {(at, "chat", "small"): served(read=0, wrote=wrote, cached=None)}
        history.write(tick(rows))


def test_traffic_and_quiet_hours(history):
    """Three weeks of office hours: 20 W in quiet minutes at 0.36 per kWh could be slept through."""
    write_weeks(history)
    found = report(history, now=HOUR + 3 * 7 * 86_400)
    sleep, unload, more, less = found.scenarios

    assert sleep.name is ScenarioName.SLEEP
    assert sleep.saved_kwh == pytest.approx(3 * 7 * 12 * 1_200 / 3.6e6)
    assert sleep.saved_cost == pytest.approx(sleep.saved_kwh * 0.36)
    assert "with nothing in memory" in unload.unknown_because
    assert more.saved_cost == pytest.approx(-found.totals.costs.hardware - 504 * 1_200 * 1e-7)
    assert less.unknown_because == "there is only one GPU"
    assert found.week.peak.peak_tokens_per_hour == 12_000 * 60
    assert found.week.peak.ratio == math.inf
    assert found.week.cell(4, 9).tokens_per_hour == 12_000 * 60
    assert found.week.cell(4, 7).tokens_per_hour == 0


def test_parts_add_up_to_the_whole(history):
    """Days, rows and states each add up to the totals, tokens exactly and money and energy to 1e-9."""
    chance = random.Random(7)
    for hour in range(3 * 24 + 5):
        at = HOUR + hour * 3_600 + chance.randrange(60) * 60
        rows = {
            (at, engine, model): Usage(
                input_tokens=chance.randrange(10**7),
                cached_input_tokens=chance.randrange(10**6),
                output_tokens=chance.randrange(10**6),
                active_joules=chance.uniform(0, 1e5),
                idle_loaded_joules=chance.uniform(0, 1e4),
                active_seconds=chance.uniform(1, 20),
                idle_loaded_seconds=chance.uniform(1, 20),
                down_seconds=0.0,
            )
            for engine, model in (("chat", "small"), ("chat", "large"), ("code", "coder"))
        }
        rows[at, UNALLOCATED, ""] = Usage(idle_empty_joules=chance.uniform(0, 1e4), idle_empty_seconds=3.0)
        history.write(tick(rows))
    found = report(history, now=HOUR + 4 * 86_400)
    totals = found.totals

    for parts in (found.days, found.rows):
        assert sum(part.tokens.total_tokens for part in parts) == totals.tokens.total_tokens
        for component in ("hardware", "energy", "labour", "other"):
            total = sum(getattr(part.costs, component) or 0.0 for part in parts)
            assert total == pytest.approx(getattr(totals.costs, component), rel=1e-9)
        assert sum(part.kwh or 0.0 for part in parts) == pytest.approx(totals.kwh, rel=1e-9)
        assert sum(part.idle_cost or 0.0 for part in parts) == pytest.approx(totals.idle_cost, rel=1e-9)
    assert sum(share.cost for share in totals.states) == pytest.approx(totals.costs.full, rel=1e-9)
    assert sum(share.kwh for share in totals.states) == pytest.approx(totals.kwh, rel=1e-9)
    cells = [cell for cell in found.week.cells if cell.hours]
    assert sum(cell.tokens_per_hour * cell.hours for cell in cells) == pytest.approx(
        totals.tokens.total_tokens, rel=1e-9
    )
    assert sum(row.cost_share for row in found.rows) == pytest.approx(1, rel=1e-9)
    decided = found.decision
    assert decided.fixed_cost + decided.variable_cost == pytest.approx(totals.costs.full, rel=1e-9)


def test_the_day_the_clocks_go_back(history):
    """25 October 2026 in Berlin has 25 hours; a token in each hour, 25 in all, two of them from 2 o'clock."""
    begin = int(datetime(2026, 10, 25, tzinfo=ZoneInfo("Europe/Berlin")).timestamp())
    for hour in range(-2, 27):
        row = {(begin + hour * 3_600, "chat", "small"): served(read=1, wrote=0, cached=0)}
        history.write(tick(row))
    found = report(history, now=begin + 27 * 3_600, first="2026-10-25", last="2026-10-25")

    (day,) = found.days
    assert (day.date, day.seconds, day.tokens.total_tokens) == (date(2026, 10, 25), 25 * 3_600, 25)
    assert found.week.cell(6, 2).hours == pytest.approx(2 / 60)
    assert found.week.cell(6, 3).hours == pytest.approx(1 / 60)


def test_days_of_half_hour_zones_are_exact(history):
    """Midnight in India is half past 18 h UTC: the minutes before and after it are of two days."""
    midnight = int(datetime(2027, 1, 15, tzinfo=ZoneInfo("Asia/Kolkata")).timestamp())
    for minute in (-2, -1, 0):
        row = {(midnight + minute * 60, "chat", "small"): served(read=1, wrote=0, cached=0)}
        history.write(tick(row))
    config = SETTINGS.replace("Europe/Berlin", "Asia/Kolkata")
    found = report(history, now=midnight + 60, config=config)

    assert [(day.date, day.tokens.total_tokens) for day in found.days] == [
        (date(2027, 1, 14), 2),
        (date(2027, 1, 15), 1),
    ]
    assert not found.week.is_approximate


def test_idle_power_is_fitted_where_the_machine_never_idled(history):
    """Two days of whole hours at 100 W and 0.5 J for each token, never idle: the fit finds both."""
    for hour in range(48):
        rate = 100 + 10 * (hour % 24)
        rows = {
            (HOUR + hour * 3_600 + minute * 60, "chat", "small"): served(
                read=rate * 60, wrote=0, cached=0, active_joules=60 * (100 + 0.5 * rate)
            )
            for minute in range(60)
        }
        history.write(tick(rows))
    found = report(history, now=HOUR + 48 * 3_600)

    assert found.idle_power.used == "fitted"
    assert found.idle_power.observed_watts is None
    assert found.idle_power.fit.idle_watts == pytest.approx(100)
    assert found.idle_power.fit.joules_per_token == pytest.approx(0.5)
    assert found.decision.traffic.shape is Shape.STEADY
    assert found.decision.fixed_cost == pytest.approx(48 * (3.6 + 0.036))
    assert found.decision.models[0].is_batch_like
    idle_power = next(s for s in found.comparisons[0].sensitivities if s.input is Input.IDLE_POWER)
    assert idle_power.value == pytest.approx(100)


def test_another_currency_than_the_configuration_has_no_purchase(tmp_path):
    """A history in USD read with a configuration in EUR keeps its money; a price in EUR is left out."""
    with closing(History(tmp_path / "history.db", currency="USD")) as history:
        write_busy_and_idle(history)
        found = report(history, now=HOUR + 120)

    assert found.head.currency == "USD"
    assert (found.comparisons[0].payback_months, found.comparisons[0].keep_saved) == (None, None)


def test_simulated_is_marked(tmp_path):
    """What was made up says so in the head and in the verdict."""
    with closing(History(tmp_path / "history.db", currency="EUR", simulated=True)) as history:
        write_busy_and_idle(history)
        found = report(history, now=HOUR + 120)

    assert found.head.simulated
    assert found.verdict.sentence.startswith("SIMULATED")


def test_an_empty_history_has_no_report(history):
    """There is nothing to report yet, and the error says what to do."""
    with pytest.raises(ReportError, match="the history is empty; leave the agent running"):
        report(history, now=HOUR)


def test_a_window_of_forgotten_minutes_has_no_report(history):
    """Half an hour since midnight, of which the minutes are gone, cannot be told."""
    history.write(tick({(HOUR + 600, "chat", "small"): served()}))
    history.forget_some({"minute": HOUR + 3_600, "hour": 0})
    config = SETTINGS.replace("Europe/Berlin", "America/Los_Angeles")

    with pytest.raises(ReportError, match="minutes of 2027-01-15 to now are not kept any more"):
        report(history, now=HOUR + 1_800, config=config, first="2027-01-15")


def test_time_down_is_told(history):
    """A machine that was off draws nothing and is not idle: its watts are of the time that it was on."""
    rows = {
        (HOUR, "chat", "small"): Usage(idle_empty_joules=3_000.0, idle_empty_seconds=60.0, down_seconds=30.0)
    }
    history.write(tick(rows))
    history.write(tick({}, hosts={HOUR: HostUse(down_seconds=30.0)}))
    found = report(history, now=HOUR + 60)

    assert found.head.down_seconds == 30
    assert found.totals.states[2].watts == 100


def flat_row(at, **rates):
    """Return an accepted price of `flat` from a moment on."""
    standard = {"input_usd_per_mtok": 1.0, "cached_input_usd_per_mtok": 0.1, "output_usd_per_mtok": 5.0}
    return PriceRow(
        reference="flat",
        valid_from_utc_seconds=at,
        accepted_utc_seconds=at,
        source="a list",
        **{**standard, **rates},
    )


def test_batch_price_is_a_scenario_of_its_own(history):
    """At half the price for everything, what would have been 1.55 is 0.775."""
    half = {
        "batch_input_usd_per_mtok": 0.5,
        "batch_cached_input_usd_per_mtok": 0.05,
        "batch_output_usd_per_mtok": 2.5,
    }
    write_busy_and_idle(history)
    history.settle_prices([flat_row(0.0, **half)])
    (item,) = report(history, now=HOUR + 120).comparisons

    assert item.api_cost_batch == pytest.approx(0.775)
    assert item.price_per_mtok_batch == pytest.approx(0.775 / 1.6)


def test_batch_price_that_came_midway_is_no_price_for_all(history):
    """From the second minute on there is a batch price: of tokens before it nothing is pretended."""
    history.write(tick({(HOUR + m * MINUTE, "chat", "small"): served() for m in range(2)}))
    batch = {"batch_input_usd_per_mtok": 0.5, "batch_output_usd_per_mtok": 2.5}
    history.settle_prices([flat_row(0.0), flat_row(HOUR + 60.0, **batch)])
    (whole,) = report(history, now=HOUR + 120).comparisons
    (later,) = report(history, now=HOUR + 120, first="2027-01-15").comparisons

    assert whole.api_cost_batch is None
    assert later.api_cost_batch is None


def test_calibrated_capacity_is_taken_where_none_is_configured(history):
    """A load run kept with the history tells the capacity, and the report names it as its source."""
    write_busy_and_idle(history)
    history.add_calibration(
        CalibrationRow(
            utc_seconds=float(HOUR),
            kind="capacity",
            subject="chat",
            result={
                "model": "small",
                "tokens_per_second": 100_000.0,
                "prefill_tokens_per_second": None,
                "decode_tokens_per_second": None,
                "still_growing": False,
                "mixed_load_by_phases": None,
            },
            settings={},
        )
    )
    config = SETTINGS[: SETTINGS.index("engines:")]
    (capacity,) = report(history, now=HOUR + 120, config=config).head.capacities

    assert (capacity.source, capacity.tokens_per_second) == ("calibrated", 100_000)
    assert capacity.load_ratio == pytest.approx(1_100_000 / 120 / 100_000)


def test_energy_of_the_gpus_alone_is_told(history):
    """Without a meter of the rest of the machine there is no host energy, and a note says so."""
    write_busy_and_idle(history, meters={})
    without = report(history, now=HOUR + 120)
    later = {(HOUR + 120, "chat", "small"): served()}
    history.write(tick(later, meters={(HOUR + 120, "rapl"): MeterUse(energy_joules=3.6e6)}))
    found = report(history, now=HOUR + 180)

    assert without.totals.host_kwh is None
    assert any("GPUs alone" in note for note in without.head.notes)
    assert found.totals.host_kwh == 1
    assert not any("GPUs alone" in note for note in found.head.notes)


def test_it_renders_as_json(history):
    """All of it is plain: no infinity and no number that is none gets into the document."""
    write_weeks(history, weeks=1)
    text = render_json(report(history, now=HOUR + 7 * 86_400))

    assert "Infinity" not in text
    assert "NaN" not in text


PARTS = """hardware:
  parts:
    - name: server
      purchase_price: 8760
      lifetime_years: 1
      maintenance_per_year: 0.5
      purchased: 2020-01-01
    - name: 2 gpus
      purchase_price: 17520
      lifetime_years: 2
      maintenance_per_year: 0.25
      purchased: 2026-10-01
setup: {cost: 1460, spread_months: 12, begins: 2026-10-01}"""


def test_parts_have_lives_of_their_own(history):
    """The server is paid but written off; the GPUs' maintenance of 0.5 an hour runs; a new one is 1.5."""
    write_busy_and_idle(history)
    config = SETTINGS.replace(
        "hardware: {purchase_price: 8760, lifetime_years: 1, maintenance_per_year: 0.5}", PARTS
    )
    found = report(history, now=HOUR + 120, config=config)
    more = next(scenario for scenario in found.scenarios if scenario.name is ScenarioName.ONE_GPU_MORE)

    month = 730 * 30
    running = (0.00072 + 0.5 / 30) * month
    assert found.comparisons[0].payback_months == pytest.approx(26_280 / (1.55 * month - running))
    assert more.saved_cost == pytest.approx(-(1.5 / 30 + 120 * 20 * 10 / 12 * 1e-7), rel=1e-3)
    assert "what 2 gpus did when new" in more.assumes[0]
    assert any(note.startswith("Server: written off since 2020-12-31") for note in found.head.notes)


def test_a_set_up_cost_that_was_metered_is_noted(history):
    """Labour that holds what was paid once says so; a setting that came after the metering does not."""
    setup = SetupCost(cost=1_460, spread_months=12, begins_utc_seconds=HOUR - 86_400.0)
    config = f"{SETTINGS}setup: {{cost: 1460, spread_months: 12, begins: 2027-01-14}}"
    history.write(tick({(HOUR, "chat", "small"): served()}))
    before = report(history, now=HOUR + 60, config=config).head.notes
    history.write(tick({(HOUR + MINUTE, "chat", "small"): served()}, book=replace(BOOK, setup=setup)))
    after = report(history, now=HOUR + 120, config=config).head.notes

    expected = "Labour holds the set-up cost of 1,460.00 EUR, spread over 12 months from 2027-01-14 on."
    assert expected not in before
    assert expected in after


def test_energy_without_a_price_is_no_free_energy(history):
    """7,200 J for which no price was known: no full cost, and a note of how much."""
    write_busy_and_idle(history, book=book_with(FLAT, base=PriceBook(hardware=BOOK.hardware)))
    found = report(history, now=HOUR + 120)

    assert found.totals.unpriced_kwh == pytest.approx(0.002)
    assert (found.totals.costs.energy, found.totals.costs.full) == (None, None)
    assert [day.costs.energy for day in found.days] == [None]
    assert found.verdict.outcome is Outcome.UNKNOWN
    assert any("0.00 kWh no electricity price was known" in note for note in found.head.notes)


def test_who_tells_host_energy_is_told(history):
    """The meter by its name; without one, that the rest of the machine was not measured."""
    write_busy_and_idle(history)
    (told,) = [note for note in report(history, now=HOUR + 120).head.notes if "beside its GPUs" in note]

    assert re.fullmatch(r"What the machine drew beside its GPUs is told by [a-z]+\.", told)
