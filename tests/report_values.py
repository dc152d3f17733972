"""An example of a report with everything in it, for the tests of what renders one.

October 2026 of a machine in Berlin, the clocks going back on the 25th: two engines, three models, two GPUs;
quiet on weekends, dearer than one API and cheaper than the other. Its parts add up, as a real one's do.
"""

import math
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from msgspec.structs import replace

from evenwatt.economics.breakeven import (
    WindowSums,
    break_even_load,
    break_even_mtok_per_month,
    cost_line,
    cost_per_mtok_at_load,
    payback_months,
)
from evenwatt.economics.cost import Costs
from evenwatt.economics.fitting import PowerFit
from evenwatt.economics.scenarios import (
    FleetUse,
    QuietHours,
    StatePower,
    gpus_changed,
    sleeping,
    unloading,
)
from evenwatt.economics.sensitivity import Facts, sensitivities
from evenwatt.economics.tokens import Tokens
from evenwatt.model import UNALLOCATED, Assumption, State
from evenwatt.snapshot import ReferenceView
from evenwatt.snapshot.report.comparison import (
    Comparison,
    CostCurve,
    CurvePoint,
    Decision,
    IdlePower,
    MonthlyBill,
)
from evenwatt.snapshot.report.traffic import (
    HourOfDay,
    HourOfWeek,
    ModelShape,
    PeakToTrough,
    ReportDay,
    Shape,
    TrafficShape,
    WeekMap,
)
from evenwatt.snapshot.report.values import (
    EngineCapacity,
    Report,
    ReportHead,
    ReportRow,
    ReportTotals,
    ReportWindow,
    StateShare,
    UnitCosts,
)
from evenwatt.snapshot.report.verdict import Outcome, Verdict

__all__ = ["empty_report", "report"]

BERLIN = ZoneInfo("Europe/Berlin")
HOURS = 745
"""31 days, and the hour that comes twice."""
MONTHS = HOURS / 730
CURRENCY = "EUR"
HARDWARE, ENERGY, LABOUR, OTHER = 149.0, 74.5, 74.5, 37.25
"""Per hour: 0.20, 0.10, 0.10, 0.05."""
FULL = HARDWARE + ENERGY + LABOUR + OTHER
KWH = 248.3
LOAD = 0.3
IDLE_ENERGY = 37.25
WINDOW = ReportWindow(
    label="2026-10",
    start_utc_seconds=datetime(2026, 10, 1, tzinfo=BERLIN).timestamp(),
    end_utc_seconds=datetime(2026, 11, 1, tzinfo=BERLIN).timestamp(),
    zone_name="Europe/Berlin",
)
TOKENS = Tokens(input_tokens=300_000_000, cached_input_tokens=80_000_000, output_tokens=120_000_000)
CHEAP, DEAR = "openai:gpt-4o-mini", "anthropic:claude-haiku-4-5"


def report(**changes) -> Report:
    """Return the example, but for what is given."""
    return replace(_example(), **changes)


def empty_report() -> Report:
    """Return a report on a window in which the machine only cost: no token, no load, no comparison."""
    example = _example()
    nothing = Tokens()
    return replace(
        example,
        verdict=Verdict(
            outcome=Outcome.NO_TOKENS,
            sentence="No token was served in 2026-10; the machine cost 335.25 EUR all the same.",
        ),
        totals=replace(
            example.totals, tokens=nothing, requests={}, cost_per_mtok=UnitCosts(), input_cost_per_mtok=None
        ),
        load_ratio=None,
        rows=(_row("chat", "", 0.0, 0.0),),
        days=tuple(replace(day, tokens=nothing, cost_per_mtok=None) for day in example.days),
        week=WeekMap(
            cells=tuple(
                HourOfWeek(weekday=d, hour=h, hours=4.0, tokens_per_hour=0.0, watts=100.0)
                for d in range(7)
                for h in range(24)
            ),
            hours_of_day=tuple(HourOfDay(hour=h, hours=31.0, tokens_per_hour=0.0) for h in range(24)),
            peak=None,
        ),
        comparisons=(),
        curve=None,
        decision=replace(
            example.decision,
            bills=(),
            traffic=TrafficShape(shape=None, hours=HOURS, idle_hours_ratio=1.0),
            models=(),
        ),
    )


def _example() -> Report:
    line = cost_line(_window_sums(), LOAD)
    points = tuple(
        CurvePoint(load_ratio=percent / 100, cost_per_mtok=cost_per_mtok_at_load(line, percent / 100))
        for percent in range(1, 101)
    )
    comparisons = (_comparison(CHEAP, line, 0.3, 0.32), _comparison(DEAR, line, 1.84, 2.0))
    return Report(
        head=_head(),
        verdict=Verdict(
            outcome=Outcome.MIXED,
            sentence=(
                "Over 2026-10 a million tokens cost 0.67 EUR here: 2.7 times cheaper than "
                f"{DEAR} (saved 584.75 EUR) and 2.2 times dearer than {CHEAP} (lost 185.25 EUR)."
            ),
        ),
        totals=_totals(),
        load_ratio=LOAD,
        rows=(
            _row("chat", "large", 0.6, 0.5),
            _row("chat", "small", 0.15, 0.2),
            _row("code", "coder", 0.25, 0.2),
            _row(UNALLOCATED, "", 0.0, 0.1),
        ),
        days=tuple(_days()),
        week=_week(),
        comparisons=comparisons,
        curve=CostCurve(
            points=points,
            observed=CurvePoint(load_ratio=LOAD, cost_per_mtok=cost_per_mtok_at_load(line, LOAD)),
            api_prices={item.reference: item.price_per_mtok for item in comparisons},
            line=line,
            is_load_upper_bound=True,
        ),
        idle_power=IdlePower(
            used="observed",
            observed_watts=166.7,
            fit=PowerFit(
                idle_watts=160.2,
                joules_per_token=0.9,
                idle_watts_error=4.1,
                joules_per_token_error=0.05,
                r_squared=0.83,
                points=741,
            ),
        ),
        scenarios=_scenarios(),
        decision=_decision(comparisons),
    )


def _window_sums() -> WindowSums:
    return WindowSums(
        costs=Costs(hardware=HARDWARE, energy=ENERGY, labour=LABOUR, other=OTHER),
        tokens=TOKENS,
        seconds=HOURS * 3_600.0,
        idle_seconds=HOURS * 1_800.0,
        joules=KWH * 3.6e6,
        idle_joules=KWH * 3.6e6 / 4,
    )


def _head() -> ReportHead:
    return ReportHead(
        window=WINDOW,
        currency=CURRENCY,
        version="1.2.3",
        machine="gpu-box",
        generated_utc_seconds=WINDOW.end_utc_seconds + 3_600,
        simulated=False,
        month_hours=730.0,
        accounted_seconds=HOURS * 3_600.0,
        coverage_ratio=0.99,
        estimated_ratio=0.01,
        down_seconds=1_800.0,
        gaps=3,
        restarts=2,
        first_utc_seconds=WINDOW.start_utc_seconds,
        assumptions=(
            Assumption(
                setting="electricity.price_per_kwh",
                text="Electricity is assumed to cost 0.30 EUR per kWh.",
                line_to_write="electricity: {price_per_kwh: 0.30}",
            ),
        ),
        notes=("The capacity of code is only the most that was seen: its load is an upper bound.",),
        capacities=(
            EngineCapacity(engine="chat", tokens_per_second=400.0, source="calibrated", load_ratio=0.3),
            EngineCapacity(
                engine="code",
                tokens_per_second=200.0,
                source="peak_seen",
                load_ratio=0.2,
                is_lower_bound=True,
            ),
        ),
    )


def _totals() -> ReportTotals:
    return ReportTotals(
        tokens=TOKENS,
        requests={"completed": 250_000, "aborted": 1_200, "failed": 3},
        kwh=KWH,
        gpu_kwh=200.0,
        host_kwh=48.3,
        costs=Costs(hardware=HARDWARE, energy=ENERGY, labour=LABOUR, other=OTHER),
        unpriced_seconds=None,
        cost_per_mtok=_unit_costs(1.0, 1.0),
        states=(
            StateShare(state=State.ACTIVE, seconds=HOURS * 1_800.0, kwh=186.225, cost=186.25, watts=500.0),
            StateShare(state=State.IDLE_LOADED, seconds=HOURS * 1_500.0, kwh=54.1, cost=125.0, watts=174.0),
            StateShare(state=State.IDLE_EMPTY, seconds=HOURS * 300.0, kwh=7.975, cost=24.0, watts=128.5),
        ),
        input_cost_per_mtok=0.45,
        output_cost_per_mtok=1.67,
    )


def _unit_costs(token_share, cost_share) -> UnitCosts:
    if not token_share:
        return UnitCosts()
    per = cost_share / token_share
    return UnitCosts(
        full_total=FULL / 500 * per,
        full_output=FULL / 120 * per,
        full_computed=FULL / 420 * per,
        energy_total=ENERGY / 500 * per,
        energy_output=ENERGY / 120 * per,
        energy_computed=ENERGY / 420 * per,
    )


def _row(engine, model, token_share, cost_share) -> ReportRow:
    own = _unit_costs(token_share, cost_share).full_total
    return ReportRow(
        engine=engine,
        model=model,
        tokens=Tokens(
            input_tokens=300_000_000 * token_share,
            cached_input_tokens=80_000_000 * token_share,
            output_tokens=120_000_000 * token_share,
        ),
        requests={"completed": int(250_000 * token_share)} if token_share else {},
        kwh=KWH * cost_share,
        costs=Costs(
            hardware=HARDWARE * cost_share,
            energy=ENERGY * cost_share,
            labour=LABOUR * cost_share,
            other=OTHER * cost_share,
        ),
        idle_cost=149.0 * cost_share,
        cost_per_mtok=_unit_costs(token_share, cost_share),
        load_ratio=0.2 if model == "coder" else None,
        token_share=token_share,
        cost_share=cost_share,
        references=()
        if own is None
        else tuple(
            ReferenceView(
                reference=name,
                price_per_mtok=price,
                price_per_mtok_no_cache=price * 1.1,
                ratio=price / own,
                break_even_load_ratio=math.inf if price < own else 0.15,
            )
            for name, price in ((CHEAP, 0.3), (DEAR, 1.84))
        ),
        input_cost_per_mtok=0.45 if model == "coder" else None,
        output_cost_per_mtok=1.67 if model == "coder" else None,
    )


def _days():
    first = date(2026, 10, 1)
    dates = [first + timedelta(days=number) for number in range(31)]
    weights = [0.25 if day.weekday() >= 5 else 1.0 for day in dates]
    for day, weight in zip(dates, weights, strict=True):
        start = datetime(day.year, day.month, day.day, tzinfo=BERLIN).timestamp()
        after = day + timedelta(days=1)
        seconds = datetime(after.year, after.month, after.day, tzinfo=BERLIN).timestamp() - start
        share = weight / sum(weights)
        passed = seconds / (HOURS * 3_600)
        full = (HARDWARE + LABOUR + OTHER) * passed + ENERGY * share
        yield ReportDay(
            date=day,
            start_utc_seconds=start,
            seconds=seconds,
            accounted_seconds=seconds,
            estimated_seconds=0.0,
            tokens=Tokens(
                input_tokens=300_000_000 * share,
                cached_input_tokens=80_000_000 * share,
                output_tokens=120_000_000 * share,
            ),
            kwh=KWH * share,
            costs=Costs(
                hardware=HARDWARE * passed,
                energy=ENERGY * share,
                labour=LABOUR * passed,
                other=OTHER * passed,
            ),
            idle_cost=149.0 * passed,
            cost_per_mtok=full / (500 * share),
        )


def _rate(weekday, hour):
    """Return tokens an hour: office hours on weekdays, little else, none in the small hours."""
    if hour < 5:
        return 0.0
    return (1_600_000.0 if 8 <= hour < 18 else 400_000.0) * (0.25 if weekday >= 5 else 1.0)


def _week() -> WeekMap:
    cells = tuple(
        HourOfWeek(
            weekday=weekday,
            hour=hour,
            hours=5.0 if weekday in {3, 4, 5} else 4.0,
            tokens_per_hour=_rate(weekday, hour),
            load_ratio=_rate(weekday, hour) / 2_200_000,
            cost_per_mtok=0.45 / (_rate(weekday, hour) / 1e6) if _rate(weekday, hour) else None,
            watts=120.0 + _rate(weekday, hour) / 4_000,
        )
        for weekday in range(7)
        for hour in range(24)
    )
    hours = tuple(
        HourOfDay(hour=hour, hours=31.0, tokens_per_hour=sum(_rate(d, hour) for d in range(7)) / 7)
        for hour in range(24)
    )
    peak = hours[10].tokens_per_hour
    return WeekMap(
        cells=cells,
        hours_of_day=hours,
        peak=PeakToTrough(
            peak_hour=10,
            peak_tokens_per_hour=peak,
            trough_hour=3,
            trough_tokens_per_hour=0.0,
            ratio=math.inf,
            busiest_utc_seconds=datetime(2026, 10, 14, 10, tzinfo=BERLIN).timestamp(),
            busiest_tokens=2_200_000.0,
            busiest_over_mean=2_200_000 / (500e6 / HOURS),
        ),
    )


def _comparison(name, line, price, price_no_cache) -> Comparison:
    bill, bill_no_cache = price * 500, price_no_cache * 500
    facts = Facts(
        api_cost=bill,
        hardware_cost=HARDWARE,
        energy_cost=ENERGY,
        labour_cost=LABOUR,
        other_cost=OTHER,
        idle_energy_cost=IDLE_ENERGY,
        load_ratio=LOAD,
        api_price_per_mtok=price,
        price_per_kwh=ENERGY / KWH,
        idle_watts=166.7,
        month_share=MONTHS,
    )
    return Comparison(
        reference=name,
        price_per_mtok=price,
        price_per_mtok_no_cache=price_no_cache,
        api_cost=bill,
        api_cost_no_cache=bill_no_cache,
        own_cost=FULL,
        ratio=bill / FULL,
        ratio_no_cache=bill_no_cache / FULL,
        saved=bill - FULL,
        saved_no_cache=bill_no_cache - FULL,
        break_even_load_ratio=break_even_load(line, price),
        break_even_mtok_per_month=break_even_mtok_per_month(line, price),
        payback_months=payback_months(
            purchase_price=5_000.0,
            api_bill_per_month=bill / MONTHS,
            running_cost_per_month=(FULL - HARDWARE) / MONTHS,
        ),
        keep_saved=bill - (FULL - HARDWARE),
        is_observed_cache=True,
        price_per_mtok_batch=price / 2,
        api_cost_batch=bill / 2,
        sensitivities=sensitivities(facts),
    )


def _scenarios():
    fleet = FleetUse(
        costs=Costs(hardware=HARDWARE, energy=ENERGY, labour=LABOUR, other=OTHER),
        tokens=500e6,
        month_share=MONTHS,
        gpus=2,
        gpu_idle_watts=100.0,
        up_seconds=HOURS * 3_600.0,
        price_per_kwh=ENERGY / KWH,
        load_ratio=LOAD,
    )
    quiet = QuietHours(hours=155.0, kwh=18.6, cost=5.58, looked_at="hours of the week over 4 weeks")
    return (
        sleeping(fleet, quiet),
        unloading(
            fleet,
            StatePower(seconds=HOURS * 1_500.0, joules=54.1 * 3.6e6),
            StatePower(seconds=HOURS * 300.0, joules=7.975 * 3.6e6),
        ),
        gpus_changed(fleet, added=1),
        gpus_changed(replace(fleet, load_ratio=None), added=-1),
    )


def _decision(comparisons) -> Decision:
    shape = TrafficShape(
        shape=Shape.DAY_NIGHT,
        hours=HOURS,
        variation_ratio=0.95,
        explained_by_hour_ratio=0.62,
        idle_hours_ratio=0.208,
        night_ratio=0.06,
        weekend_ratio=0.09,
    )
    steady = TrafficShape(
        shape=Shape.STEADY,
        hours=HOURS,
        variation_ratio=0.2,
        explained_by_hour_ratio=0.1,
        idle_hours_ratio=0.0,
        night_ratio=0.33,
        weekend_ratio=0.28,
    )
    return Decision(
        month_share=MONTHS,
        bills=tuple(
            MonthlyBill(
                reference=item.reference,
                observed_cache=item.api_cost / MONTHS,
                no_cache=item.api_cost_no_cache / MONTHS,
            )
            for item in comparisons
        ),
        own_cost_per_month=FULL / MONTHS,
        fixed_cost=FULL - (ENERGY - IDLE_ENERGY),
        variable_cost=ENERGY - IDLE_ENERGY,
        traffic=shape,
        models=(
            ModelShape(engine="chat", model="large", traffic=shape, token_share=0.6, is_batch_like=False),
            ModelShape(engine="code", model="coder", traffic=steady, token_share=0.25, is_batch_like=True),
            ModelShape(engine="chat", model="small", traffic=shape, token_share=0.15, is_batch_like=False),
        ),
    )
