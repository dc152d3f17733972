"""The models of some hosts: who served what, what it cost, how much of it the cache saved."""

from .parts import (
    BAD_BELOW_ONE,
    COMPONENTS,
    HOSTS,
    MONEY,
    TIMES,
    TOKEN_TYPES,
    Column,
    Page,
    Query,
    Section,
    Variable,
    colours,
    dashed,
    events,
    figure,
    hosts_of_one_currency,
    lines,
    magnitudes,
    one_of,
    rows,
    stacked,
)

MODELS = f'{HOSTS},model=~"$model"'
BY_MODEL = "sum by (instance, engine, model)"
NAMES = {"instance": "Host", "engine": "Engine", "model": "Model"}
ROW = f'{MODELS},engine!="all",model!="all",window="$window"'


def _over_range(metric: str, more: str = "") -> str:
    return f"sum(increase({metric}{{{MODELS}{more}}}[$__range]))"


_TOTALS = Section(
    title="Over the time range shown",
    height=4,
    panels=(
        (
            6,
            figure(
                "Tokens",
                "Input, cached or not, and output of the chosen models.",
                "si:tok",
                Query(expr=_over_range("evenwatt_tokens_total"), legend="tokens"),
            ),
        ),
        (
            6,
            figure(
                "Cost ($currency)",
                "All that the chosen models cost, their idle time included. A model has the cost of the GPUs "
                "that its engine holds; with several models in one engine it is an allocation by tokens.",
                MONEY,
                Query(expr=_over_range("evenwatt_cost_total"), legend="cost"),
                decimals=2,
            ),
        ),
        (
            6,
            figure(
                "Input from cache",
                "The share of input tokens whose KV was reused, of engines that tell it.",
                "percentunit",
                Query(
                    expr=(
                        _over_range("evenwatt_tokens_total", ',type="cached_input"')
                        + " / "
                        + _over_range("evenwatt_tokens_total", ',type=~"input|cached_input"')
                    ),
                    legend="cached",
                ),
            ),
        ),
        (
            6,
            figure(
                "Requests",
                "Requests by how they ended, of engines that count them.",
                "short",
                Query(
                    expr=f"sum by (outcome) (increase(evenwatt_requests_total{{{MODELS}}}[$__range]))",
                    legend="{{outcome}}",
                ),
            ),
        ),
    ),
)

_TABLE = Section(
    title="Models",
    height=8,
    panels=(
        (
            24,
            rows(
                "Models (money in $currency)",
                "Tokens and money over the time range shown; cost per Mtok, with all costs and for "
                "electricity alone, and load over $window. Own load is known only where an engine served one "
                "model alone.",
                NAMES,
                Column(
                    title="Input",
                    expr=f'{BY_MODEL} (increase(evenwatt_tokens_total{{{MODELS},type="input"}}[$__range]))',
                    unit="si:tok",
                ),
                Column(
                    title="Cached input",
                    expr=(
                        f"{BY_MODEL} (increase(evenwatt_tokens_total"
                        f'{{{MODELS},type="cached_input"}}[$__range]))'
                    ),
                    unit="si:tok",
                ),
                Column(
                    title="Output",
                    expr=f'{BY_MODEL} (increase(evenwatt_tokens_total{{{MODELS},type="output"}}[$__range]))',
                    unit="si:tok",
                ),
                Column(
                    title="Cost",
                    expr=f"{BY_MODEL} (increase(evenwatt_cost_total{{{MODELS}}}[$__range]))",
                    unit=MONEY,
                    decimals=2,
                ),
                Column(
                    title="Per Mtok",
                    expr=f'{BY_MODEL} (evenwatt_cost_per_mtok{{{ROW},basis="full",tokens="total"}})',
                    unit=MONEY,
                    decimals=3,
                ),
                Column(
                    title="Energy per Mtok",
                    expr=f'{BY_MODEL} (evenwatt_cost_per_mtok{{{ROW},basis="energy",tokens="total"}})',
                    unit=MONEY,
                    decimals=3,
                ),
                Column(
                    title="Per Mtok output",
                    expr=f'{BY_MODEL} (evenwatt_cost_per_mtok{{{ROW},basis="full",tokens="output"}})',
                    unit=MONEY,
                    decimals=3,
                ),
                Column(
                    title="Load",
                    expr=f"{BY_MODEL} (evenwatt_load_ratio{{{ROW}}})",
                    unit="percentunit",
                    decimals=1,
                ),
                sort="Cost",
            ),
        ),
    ),
)

_COMPARED = Section(
    title="Against APIs",
    height=9,
    panels=(
        (
            15,
            rows(
                "API bill over own cost, over $window (money in $currency)",
                "For each model and API: what its tokens cost there, the API's price for its mix, and the "
                "load from which it would be cheaper here. A ratio below 1: the API was cheaper.",
                {**NAMES, "reference": "API"},
                Column(
                    title="API over own",
                    expr=(
                        f"sum by (instance, engine, model, reference) (evenwatt_break_even_ratio{{{ROW}}})"
                    ),
                    unit=TIMES,
                    decimals=2,
                    thresholds=BAD_BELOW_ONE,
                ),
                Column(
                    title="API per Mtok",
                    expr=(
                        f"sum by (instance, engine, model, reference) (evenwatt_api_price_per_mtok{{{ROW}}})"
                    ),
                    unit=MONEY,
                    decimals=3,
                ),
                Column(
                    title="Even at load",
                    expr=(
                        f"sum by (instance, engine, model, reference) "
                        f"(evenwatt_break_even_load_ratio{{{ROW}}})"
                    ),
                    unit="percentunit",
                    decimals=1,
                ),
                sort="API over own",
            ),
        ),
        (
            9,
            dashed(
                magnitudes(
                    "Cost per Mtok of each model ($currency), over $window",
                    "Own cost of a million tokens, all costs included, and what the APIs take for the whole "
                    "mix (dashed).",
                    MONEY,
                    Query(
                        expr=f'{BY_MODEL} (evenwatt_cost_per_mtok{{{ROW},basis="full",tokens="total"}})',
                        legend="{{model}}, {{engine}} of {{instance}}",
                    ),
                    Query(
                        expr=(
                            "max by (instance, reference) (evenwatt_api_price_per_mtok"
                            f'{{{HOSTS},engine="all",model="all",window="$window"}})'
                        ),
                        legend="{{reference}} at the mix of {{instance}}",
                    ),
                ),
                "B",
            ),
        ),
    ),
)

_OVER_TIME = Section(
    title="Over time",
    height=8,
    panels=(
        (
            8,
            colours(
                stacked(
                    "Tokens per second by type",
                    "Input is computed, cached input was reused, output was generated; disjoint.",
                    "si:tok/s",
                    Query(
                        expr=f"sum by (type) (rate(evenwatt_tokens_total{{{MODELS}}}[$__rate_interval]))",
                        legend="{{type}}",
                    ),
                ),
                TOKEN_TYPES,
            ),
        ),
        (
            8,
            stacked(
                "Tokens per second by model",
                "All types of tokens together.",
                "si:tok/s",
                Query(
                    expr=(
                        f"sum by (engine, model) (rate(evenwatt_tokens_total{{{MODELS}}}[$__rate_interval]))"
                    ),
                    legend="{{model}}, {{engine}}",
                ),
            ),
        ),
        (
            8,
            colours(
                stacked(
                    "Cost per day by component ($currency)",
                    "What the chosen models cost at each moment, over a day.",
                    MONEY,
                    Query(
                        expr=(
                            "86400 * sum by (component) (rate(evenwatt_cost_total"
                            f"{{{MODELS}}}[$__rate_interval]))"
                        ),
                        legend="{{component}}",
                    ),
                ),
                COMPONENTS,
            ),
        ),
    ),
)

_ENGINES = Section(
    title="Engines",
    height=8,
    panels=(
        (
            8,
            dashed(
                lines(
                    "Computed tokens per second against capacity",
                    "Computed input and output of each engine, and what it can sustain (dashed). A capacity "
                    "that is only the peak seen is a lower bound.",
                    "si:tok/s",
                    Query(
                        expr=(
                            "sum by (instance, engine) (rate(evenwatt_tokens_total"
                            f'{{{HOSTS},type!="cached_input"}}[$__rate_interval]))'
                        ),
                        legend="{{engine}} of {{instance}}",
                    ),
                    Query(
                        expr=(
                            f"max by (instance, engine, source) "
                            f"(evenwatt_capacity_tokens_per_second{{{HOSTS}}})"
                        ),
                        legend="{{engine}} of {{instance}}: capacity, {{source}}",
                    ),
                ),
                "B",
            ),
        ),
        (
            8,
            lines(
                "Token load by engine, over $window",
                "Served rate over capacity, idle time included; not GPU utilization.",
                "percentunit",
                Query(
                    expr=f'evenwatt_load_ratio{{{HOSTS},model="all",window="$window"}}',
                    legend="{{engine}} of {{instance}}",
                ),
            ),
        ),
        (
            8,
            dashed(
                lines(
                    "Requests running and waiting",
                    "At the last reading of each engine. Waiting ones (dashed) tell that it is full, and are "
                    "what its capacity is learned from.",
                    "short",
                    Query(
                        expr=f"evenwatt_engine_requests_running{{{HOSTS}}}",
                        legend="{{engine}} of {{instance}}, running",
                    ),
                    Query(
                        expr=f"evenwatt_engine_requests_waiting{{{HOSTS}}}",
                        legend="{{engine}} of {{instance}}, waiting",
                    ),
                ),
                "B",
            ),
        ),
    ),
)

PAGE = Page(
    file="models.json",
    uid="evenwatt-models",
    title="evenwatt: models",
    description="Tokens, cost and cache hits of every model, against API prices.",
    variables=(
        *hosts_of_one_currency(),
        Variable(
            name="model",
            title="Model",
            description="As the engines serve them.",
            query=f"label_values(evenwatt_tokens_total{{{HOSTS}}}, model)",
            several=True,
        ),
        one_of(
            "window",
            "Window",
            "The span, up to each moment, that cost per Mtok and load are worked out over.",
            f"label_values(evenwatt_window_coverage_ratio{{{HOSTS}}}, window)",
            first="24h",
        ),
    ),
    sections=(_TOTALS, _TABLE, _COMPARED, _OVER_TIME, _ENGINES),
    annotations=events(HOSTS),
)
