"""The overview of one host: the verdict, what tokens cost against every API, and what the money goes to."""

from .curve import curve
from .parts import (
    BAD_BELOW_ONE,
    COMPONENTS,
    MONEY,
    ORANGE,
    SKY,
    STATES,
    TIMES,
    VERMILION,
    Page,
    Query,
    Section,
    bars,
    colours,
    dashed,
    events,
    figure,
    lines,
    magnitudes,
    one_host,
    one_of,
    stacked,
    verdicts,
)

HOST = 'instance="$host"'
MACHINE = f'{HOST},engine="all",model="all",window="$window"'
ENGINE = f'{HOST},engine="$engine",model="all",window="$window"'
COST = "evenwatt_cost_per_mtok"

_VERDICT = Section(
    title="Verdict over $window",
    height=6,
    panels=(
        (
            5,
            figure(
                "Verdict",
                "Which was cheaper over the window for the very same tokens, cache hits included: this "
                "machine with all that it cost, idle hours too, or the API.",
                "none",
                Query(expr=f"evenwatt_break_even_ratio{{{MACHINE}}}", legend="{{reference}}"),
                thresholds=BAD_BELOW_ONE,
                words=verdicts(),
            ),
        ),
        (
            5,
            bars(
                "API bill over own cost",
                "What the same tokens would have cost at each API, over what this machine cost. Below 1 the "
                "API was cheaper; 2 means twice as dear as here.",
                TIMES,
                Query(expr=f"evenwatt_break_even_ratio{{{MACHINE}}}", legend="{{reference}}"),
                thresholds=BAD_BELOW_ONE,
                names_above=True,
            ),
        ),
        (
            4,
            figure(
                "Cost per Mtok ($currency)",
                "Own cost of a million tokens over the window: hardware, energy, labour and other, over all "
                "tokens, idle time included. `energy` is electricity alone. Absent where a part is not "
                "known.",
                MONEY,
                Query(expr=f'{COST}{{{MACHINE},tokens="total"}}', legend="{{basis}}"),
                decimals=3,
            ),
        ),
        (
            4,
            figure(
                "Cost per day ($currency)",
                "What accrues now, over a day: time costs, and energy at the present power.",
                MONEY,
                Query(expr=f"24 * sum(evenwatt_cost_per_hour{{{HOST}}})", legend="now"),
                decimals=2,
            ),
        ),
        (
            3,
            figure(
                "Watched",
                "How much of the window was watched; the rest is "
                "booked as an even spread. A young history has "
                "not filled its windows yet.",
                "percentunit",
                Query(expr=f'evenwatt_window_coverage_ratio{{{HOST},window="$window"}}', legend="of $window"),
                thresholds=((None, ORANGE), (0.8, SKY)),
            ),
        ),
        (
            3,
            figure(
                "Not measured",
                "How many settings that decide the cost nobody "
                "wrote, and whether the readings are simulated. "
                "`evenwatt check-config` gives the lines to write.",
                "none",
                Query(
                    expr=f"count(evenwatt_assumed_info{{{HOST}}}) or 0 * sum(evenwatt_simulated{{{HOST}}})",
                    legend="assumed",
                ),
                Query(expr=f"evenwatt_simulated{{{HOST}}}", legend="simulated"),
                thresholds=((None, SKY), (1, ORANGE)),
                decimals=0,
            ),
        ),
    ),
)

_COST = Section(
    title="Cost per million tokens",
    height=10,
    panels=(
        (
            12,
            colours(
                dashed(
                    magnitudes(
                        "Cost per Mtok ($currency) against each API, over $window",
                        "Own cost of a million tokens over the window that ends at each moment, and what "
                        "each API takes for the same mix, cache hits included (dashed). Electricity alone "
                        "shows what is left when the machine is paid for.",
                        MONEY,
                        Query(
                            expr=f'{COST}{{{MACHINE},basis="full",tokens="total"}}', legend="own, all costs"
                        ),
                        Query(
                            expr=f'{COST}{{{MACHINE},basis="energy",tokens="total"}}',
                            legend="own, electricity alone",
                        ),
                        Query(expr=f"evenwatt_api_price_per_mtok{{{MACHINE}}}", legend="{{reference}}"),
                    ),
                    "C",
                ),
                {"own, all costs": SKY, "own, electricity alone": ORANGE},
            ),
        ),
        (12, curve(ENGINE)),
    ),
)

_LOAD = Section(
    title="Load against break-even",
    height=8,
    panels=(
        (
            12,
            colours(
                dashed(
                    lines(
                        "$engine: token load against break-even, over $window",
                        "Token load is the served rate over the engine's capacity, idle time included; it is "
                        "not GPU utilization. A dashed line is the load from which own tokens are cheaper "
                        "than that API. An API against which no load pays has no line.",
                        "percentunit",
                        Query(expr=f"evenwatt_load_ratio{{{ENGINE}}}", legend="load"),
                        Query(
                            expr=f"evenwatt_break_even_load_ratio{{{ENGINE}}} < +Inf",
                            legend="even with {{reference}}",
                        ),
                    ),
                    "B",
                ),
                {"load": SKY},
            ),
        ),
        (
            6,
            bars(
                "Load of each engine, over $window",
                "Token load: served rate over capacity, idle time included. Without a known capacity there "
                "is none.",
                "percentunit",
                Query(
                    expr=f'evenwatt_load_ratio{{{HOST},model="all",window="$window"}}', legend="{{engine}}"
                ),
                most=1,
            ),
        ),
        (
            6,
            figure(
                "APIs that no load beats, over $window",
                "For each engine, against how many of its references it never breaks even: even at full load "
                "the API is cheaper, at these prices and this mix.",
                "none",
                Query(
                    expr=(
                        "count by (engine) (evenwatt_break_even_load_ratio"
                        f'{{{HOST},model="all",window="$window"}} == +Inf)'
                        " or 0 * count by (engine) (evenwatt_break_even_load_ratio"
                        f'{{{HOST},model="all",window="$window"}})'
                    ),
                    legend="{{engine}}",
                ),
                thresholds=((None, SKY), (1, VERMILION)),
                decimals=0,
            ),
        ),
    ),
)

_MONEY = Section(
    title="Where the money goes",
    height=8,
    panels=(
        (
            10,
            colours(
                stacked(
                    "Cost per day by component ($currency)",
                    "What accrues at each moment, over a day. Hardware, labour and other accrue with time, "
                    "tokens or not; energy follows power and tariff. A component that is not known is "
                    "absent.",
                    MONEY,
                    Query(
                        expr=f"24 * sum by (component) (evenwatt_cost_per_hour{{{HOST}}})",
                        legend="{{component}}",
                    ),
                ),
                COMPONENTS,
            ),
        ),
        (
            7,
            colours(
                stacked(
                    "Power by state of the engines",
                    "GPUs and host together, as booked. Active: requests ran. Idle loaded: none ran and a "
                    "model sat in memory. Idle empty: nothing of the engine was.",
                    "watt",
                    Query(
                        expr=(
                            f"sum by (state) (rate(evenwatt_energy_joules_total{{{HOST}}}[$__rate_interval]))"
                        ),
                        legend="{{state}}",
                    ),
                ),
                STATES,
            ),
        ),
        (
            7,
            colours(
                bars(
                    "Idle split of the cost ($currency)",
                    "The cost of the time range shown, by what the engines did: serving, idle with a model "
                    "in memory, idle without. Costs of idle time are those that a model which sleeps or is "
                    "unloaded would in part avoid.",
                    MONEY,
                    Query(
                        expr=(
                            f"sum(increase(evenwatt_cost_total{{{HOST}}}[$__range]))"
                            f" - sum(increase(evenwatt_idle_cost_total{{{HOST}}}[$__range]))"
                        ),
                        legend="active",
                    ),
                    Query(
                        expr=f"sum by (state) (increase(evenwatt_idle_cost_total{{{HOST}}}[$__range]))",
                        legend="{{state}}",
                    ),
                    decimals=2,
                ),
                STATES,
            ),
        ),
    ),
)

PAGE = Page(
    file="overview.json",
    uid="evenwatt-overview",
    title="evenwatt: overview",
    description="What a million tokens really costs on one host, against API prices and break-even.",
    variables=(
        *one_host(),
        one_of(
            "window",
            "Window",
            "The span, up to each moment, that verdict, cost and load are worked out over.",
            'label_values(evenwatt_window_coverage_ratio{instance="$host"}, window)',
            first="24h",
        ),
        one_of(
            "engine",
            "Engine",
            "For the curve of cost against load, and for break-even: capacity is an engine's.",
            'label_values(evenwatt_engine_up{instance="$host"}, engine)',
        ),
    ),
    sections=(_VERDICT, _COST, _LOAD, _MONEY),
    annotations=events(HOST),
)
