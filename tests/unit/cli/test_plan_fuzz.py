"""Whatever can be planned is shown: every form of output, at any width, without NaN and without a fault."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evenwatt.config import Settings
from evenwatt.service.plan.planning import plan_view
from evenwatt.sinks.plan import print_plan, render_csv, render_json

NOW = 1_795_000_000.0

money = st.sampled_from([0, 1e-6, 0.3, 3.2, 2_800, 1e12])
watts = st.sampled_from([0, 1, 700, 1e7])
shares = st.sampled_from([0, 0.1, 0.75, 0.999])
sections = st.fixed_dictionaries(
    {
        "hardware": st.one_of(
            st.just({}),
            st.just({"mode": "sunk"}),
            st.fixed_dictionaries(
                {"purchase_price": money, "maintenance_per_year": shares},
                optional={"purchased": st.sampled_from(["2001-01-01", "2026-01-01", "2090-01-01"])},
            ),
            st.fixed_dictionaries({"mode": st.just("rented_always_on"), "rent_per_hour": money}),
        ),
        "electricity": st.fixed_dictionaries({"price_per_kwh": money}),
        "references": st.lists(st.tuples(money, money), max_size=3).map(
            lambda prices: [{"name": f"api{n}", "input": i, "output": o} for n, (i, o) in enumerate(prices)]
        ),
        "plan": st.fixed_dictionaries(
            {
                "input_share": shares,
                "cached_share": shares,
                "loads": st.lists(st.floats(1e-9, 1), min_size=1),
            },
            optional={
                "capacity_tokens_per_second": st.sampled_from([1e-6, 1, 2_000, 1e9]),
                "full_watts": watts,
                "tokens_per_day": st.sampled_from([1e-3, 1, 5e7, 1e15]),
                "month_hours": st.sampled_from([720, 730]),
                "preset": st.sampled_from(["rtx-4090", "h100-neocloud", "mac-mini-m4", "mac-studio-m4-max"]),
            },
        ),
    }
)


@pytest.fixture(scope="module", autouse=True)
def narrow_and_wide():
    """Widths change between examples."""
    with pytest.MonkeyPatch.context() as patch:
        yield patch


@settings(max_examples=150, deadline=None)
@given(document=sections, width=st.sampled_from(["20", "60", "80", "200"]))
def test_any_plan_is_shown(narrow_and_wide, document, width):
    """JSON is strict and names a break-even or never; the tables fit whatever there is of a terminal."""
    narrow_and_wide.setenv("COLUMNS", width)
    view = plan_view(Settings.parsed(document), at_utc_seconds=NOW)

    plan = json.loads(render_json(view), parse_constant=pytest.fail)
    assert len(plan["curve"]) == len(render_csv(view).splitlines()) - 1
    for entry in plan["break_even"]:
        assert (entry["load"] is None) == (entry["outcome"] == "never")
    print_plan(view)
