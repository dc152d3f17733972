"""Reports for the golden files: the example, and what may be missing, absurd or hostile in one."""

import math
from datetime import date, datetime, timedelta

from msgspec.structs import replace

from evenwatt.economics.cost import Costs
from evenwatt.model import Assumption
from evenwatt.snapshot.report.comparison import IdlePower
from evenwatt.snapshot.report.traffic import TrafficShape
from evenwatt.snapshot.report.values import UnitCosts
from evenwatt.snapshot.report.verdict import Outcome, Verdict
from report_values import BERLIN, empty_report, report

__all__ = ["EXAMPLES", "HOSTILE"]

HOSTILE = (
    "<script>alert(1)</script>",
    "</style></svg><img src=x onerror=alert(1)>",
    "| a | b `c` **d** _e_ [f](http://g) @team #1",
    "\x1b[31mred\x1b[0m\nline\u202eabc",
    "[red]not[/red] :smile: {{ 7 * 7 }} &amp; \"quoted\" 'too'",
    "x" * 200,
)


def unknown_hardware():
    """Return a report of a machine whose price nobody wrote and no preset knows."""
    example = report()
    line = "hardware: {mode: owned, purchase_price: 2800, lifetime_years: 3}"
    return replace(
        example,
        verdict=Verdict(
            outcome=Outcome.UNKNOWN,
            sentence="Whether an API would have been cheaper is not known: the hardware has no price.",
            line_to_write=line,
        ),
        head=replace(
            example.head,
            assumptions=(
                *example.head.assumptions,
                Assumption(
                    setting="hardware",
                    text="The price of Imaginary X1 is not known: there is no hardware cost.",
                    line_to_write=line,
                ),
            ),
        ),
        totals=replace(
            example.totals,
            costs=replace(example.totals.costs, hardware=None),
            unpriced_seconds=example.head.accounted_seconds,
            cost_per_mtok=replace(
                example.totals.cost_per_mtok, full_total=None, full_output=None, full_computed=None
            ),
            states=tuple(replace(share, cost=None) for share in example.totals.states),
            input_cost_per_mtok=None,
            output_cost_per_mtok=None,
        ),
        rows=tuple(
            replace(
                row,
                costs=replace(row.costs, hardware=None),
                idle_cost=None,
                cost_share=None,
                cost_per_mtok=UnitCosts(energy_total=row.cost_per_mtok.energy_total),
                references=tuple(
                    replace(view, ratio=None, break_even_load_ratio=None) for view in row.references
                ),
            )
            for row in example.rows
        ),
        days=tuple(
            replace(day, costs=replace(day.costs, hardware=None), idle_cost=None, cost_per_mtok=None)
            for day in example.days
        ),
        comparisons=tuple(
            replace(
                item,
                own_cost=None,
                ratio=None,
                ratio_no_cache=None,
                saved=None,
                saved_no_cache=None,
                break_even_load_ratio=None,
                break_even_mtok_per_month=None,
                payback_months=None,
                price_per_mtok_batch=None,
                api_cost_batch=None,
                sensitivities=(),
            )
            for item in example.comparisons
        ),
        curve=None,
        idle_power=IdlePower(used="none", refused="the load hardly varied"),
        decision=replace(example.decision, own_cost_per_month=None, fixed_cost=None, variable_cost=None),
    )


def never():
    """Return a report of a machine that no load would make cheaper than an API."""
    example = report()
    return replace(
        example,
        verdict=Verdict(
            outcome=Outcome.DEARER,
            sentence="Own tokens never become cheaper than an API here: even full load would not pay.",
        ),
        rows=tuple(
            replace(row, tokens=replace(row.tokens, cached_input_tokens=None)) for row in example.rows
        ),
        comparisons=tuple(
            replace(
                item,
                price_per_mtok=item.price_per_mtok / 10,
                price_per_mtok_no_cache=item.price_per_mtok / 10,
                price_per_mtok_batch=None,
                api_cost=item.api_cost / 10,
                api_cost_no_cache=item.api_cost / 10,
                api_cost_batch=None,
                ratio=item.ratio / 10,
                ratio_no_cache=item.ratio / 10,
                saved=item.api_cost / 10 - item.own_cost,
                saved_no_cache=item.api_cost / 10 - item.own_cost,
                break_even_load_ratio=math.inf,
                break_even_mtok_per_month=math.inf,
                payback_months=math.inf,
                is_observed_cache=False,
                sensitivities=tuple(
                    replace(found, break_even_factor=math.inf, break_even_value=math.inf)
                    for found in item.sensitivities
                ),
            )
            for item in example.comparisons
        ),
        curve=replace(
            example.curve,
            api_prices={name: price / 10 for name, price in example.curve.api_prices.items()},
            is_load_upper_bound=False,
        ),
    )


def hostile():
    """Return a simulated report in which everything that can be foreign is hostile."""
    example = report()
    names = iter(HOSTILE * 9)
    references = {item.reference: next(names) for item in example.comparisons}
    return replace(
        example,
        head=replace(
            example.head,
            simulated=True,
            machine=HOSTILE[0],
            notes=HOSTILE,
            assumptions=(Assumption(setting="x", text=HOSTILE[2], line_to_write=HOSTILE[3]),),
            capacities=tuple(replace(item, engine=next(names)) for item in example.head.capacities),
        ),
        verdict=replace(example.verdict, sentence=f"Cheaper than {HOSTILE[1]} and {HOSTILE[2]}."),
        rows=tuple(
            replace(
                row,
                engine=next(names),
                model=next(names),
                references=tuple(
                    replace(view, reference=references[view.reference]) for view in row.references
                ),
            )
            for row in example.rows
        ),
        comparisons=tuple(
            replace(item, reference=references[item.reference]) for item in example.comparisons
        ),
        curve=replace(
            example.curve,
            api_prices={references[name]: price for name, price in example.curve.api_prices.items()},
        ),
        decision=replace(
            example.decision,
            bills=tuple(
                replace(bill, reference=references[bill.reference]) for bill in example.decision.bills
            ),
            models=tuple(
                replace(shape, engine=next(names), model=next(names)) for shape in example.decision.models
            ),
        ),
    )


def one_day():
    """Return a report of a single day, watched from noon on, too short for shapes and scenarios."""
    example = report()
    day = example.days[0]
    noon = day.start_utc_seconds + 43_200
    return replace(
        example,
        head=replace(
            example.head,
            window=replace(
                example.head.window, label="24h", end_utc_seconds=day.start_utc_seconds + day.seconds
            ),
            accounted_seconds=43_200.0,
            coverage_ratio=0.5,
            estimated_ratio=0.0,
            first_utc_seconds=noon,
            gaps=0,
            restarts=1,
            down_seconds=0.0,
            assumptions=(),
            notes=(),
            capacities=(),
        ),
        load_ratio=None,
        rows=example.rows[:1],
        days=(replace(day, accounted_seconds=43_200.0),),
        week=replace(
            example.week,
            cells=tuple(
                cell
                if (cell.weekday, cell.hour >= 12) == (3, True)
                else replace(cell, hours=0.0, tokens_per_hour=None, load_ratio=None)
                for cell in example.week.cells
            ),
        ),
        curve=None,
        idle_power=IdlePower(
            used="observed", observed_watts=166.7, refused="only 12 whole hours were watched"
        ),
        scenarios=tuple(
            replace(
                scenario,
                unknown_because="two days of history at least are needed",
                saved_kwh=None,
                saved_cost=None,
                assumes=(),
            )
            for scenario in example.scenarios
        ),
        decision=replace(
            example.decision,
            fixed_cost=None,
            variable_cost=None,
            traffic=TrafficShape(shape=None, hours=12),
            models=(),
        ),
    )


def a_year():
    """Return a report of 2027: costs rise by the day, and the history does not hold the first quarter."""
    example = report()
    first = date(2027, 1, 1)
    days = []
    for number in range(365):
        day, held = first + timedelta(days=number), number >= 90
        share = (1.0 + number / 365) * (0.25 if day.weekday() >= 5 else 1.0) if held else 0.0
        start = datetime(day.year, day.month, day.day, tzinfo=BERLIN).timestamp()
        after = day + timedelta(days=1)
        seconds = datetime(after.year, after.month, after.day, tzinfo=BERLIN).timestamp() - start
        days.append(
            replace(
                example.days[0],
                date=day,
                start_utc_seconds=start,
                seconds=seconds,
                accounted_seconds=seconds if held else 0.0,
                tokens=replace(example.days[0].tokens, input_tokens=1e7 * share, output_tokens=3e6 * share),
                costs=Costs(
                    hardware=4.8 if held else 0.0,
                    energy=3.0 * share,
                    labour=0.0,
                    other=0.0,
                ),
                idle_cost=2.4 if held else 0.0,
                cost_per_mtok=None,
            )
        )
    window = replace(
        example.head.window,
        label="2027",
        start_utc_seconds=days[0].start_utc_seconds,
        end_utc_seconds=days[-1].start_utc_seconds + 86_400,
    )
    return replace(
        example,
        head=replace(
            example.head,
            window=window,
            first_utc_seconds=days[90].start_utc_seconds,
            generated_utc_seconds=window.end_utc_seconds,
        ),
        days=tuple(days),
    )


EXAMPLES = {
    "month": report,
    "no-tokens": empty_report,
    "unknown-hardware": unknown_hardware,
    "never": never,
    "hostile": hostile,
    "one-day": one_day,
    "year": a_year,
}
