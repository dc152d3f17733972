"""The fleet: what hosts and sites cost together, by the recording rules of dashboards/prometheus/."""

from .parts import (
    ALERTS,
    BAD_BELOW_ONE,
    COMPONENTS,
    MONEY,
    SKY,
    STATES,
    TIMES,
    VERMILION,
    Column,
    Page,
    Query,
    Section,
    Variable,
    bars,
    colours,
    figure,
    lines,
    one_of,
    rows,
    stacked,
    verdicts,
)

WHERE = 'site=~"$site",instance=~"$host"'
MONEY_OF = f'{WHERE},currency="$currency"'
BY_HOST = "sum by (site, instance)"
IDLE_DAY = f'evenwatt:idle_cost:increase1d{{{MONEY_OF},state=~"idle_.*"}}'

_TODAY = Section(
    title="The last 24 hours",
    height=5,
    panels=(
        (
            4,
            figure(
                "Hosts",
                "Hosts whose agent answers now.",
                "none",
                Query(expr=f"count(evenwatt_build_info{{{WHERE}}})", legend="hosts"),
                decimals=0,
            ),
        ),
        (
            4,
            figure(
                "Cost ($currency)",
                "All that the chosen hosts cost in 24 hours, of what is known: a host without a price of its "
                "hardware is in it with its other costs.",
                MONEY,
                Query(expr=f"sum(evenwatt:cost:increase1d{{{MONEY_OF}}})", legend="cost"),
                decimals=2,
            ),
        ),
        (
            4,
            figure(
                "Cost per Mtok ($currency)",
                "The cost of the chosen hosts over their tokens: a sum over a sum, hosts without a full "
                "price left out of both.",
                MONEY,
                Query(
                    expr=(
                        f"1e6 * sum(evenwatt:priced_cost:increase1d{{{MONEY_OF}}})"
                        f" / sum(evenwatt:priced_tokens:increase1d{{{MONEY_OF}}})"
                    ),
                    legend="own",
                ),
                decimals=3,
            ),
        ),
        (
            4,
            figure(
                "Tokens",
                "Input, cached or not, and output in 24 hours.",
                "si:tok",
                Query(expr=f"sum(evenwatt:tokens:increase1d{{{WHERE}}})", legend="tokens"),
            ),
        ),
        (
            4,
            figure(
                "Energy",
                "GPUs and metered hosts in 24 hours.",
                "kwatth",
                Query(expr=f"sum(evenwatt:energy_joules:increase1d{{{WHERE}}}) / 3.6e6", legend="energy"),
            ),
        ),
        (
            4,
            figure(
                "Alerts that fire",
                "Of the rules in dashboards/prometheus/alerts.yaml, where they are loaded.",
                "none",
                Query(
                    expr=(
                        'count(ALERTS{alertname=~"Evenwatt.*",alertstate="firing",instance=~"$host"}) '
                        "or vector(0)"
                    ),
                    legend="firing",
                ),
                thresholds=((None, SKY), (1, VERMILION)),
                decimals=0,
            ),
        ),
    ),
)

_VERDICT = Section(
    title="Verdict over 24 hours",
    height=7,
    panels=(
        (
            8,
            figure(
                "Verdict",
                "For all hosts of the currency: which was cheaper for the very same tokens, idle hosts "
                "included.",
                "none",
                Query(
                    expr='evenwatt:fleet_break_even_ratio:1d{currency="$currency"}', legend="{{reference}}"
                ),
                thresholds=BAD_BELOW_ONE,
                words=verdicts(),
            ),
        ),
        (
            8,
            bars(
                "API bill over own cost, by site",
                "What the same tokens would have cost at each API, over what the site's hosts cost. Below 1 "
                "the API was cheaper.",
                TIMES,
                Query(
                    expr='evenwatt:site_break_even_ratio:1d{site=~"$site",currency="$currency"}',
                    legend="{{site}} {{reference}}",
                ),
                thresholds=BAD_BELOW_ONE,
                names_above=True,
            ),
        ),
        (
            8,
            colours(
                bars(
                    "Idle split of the cost ($currency)",
                    "The cost of 24 hours by what the engines did: serving, idle with a model in memory, "
                    "idle without.",
                    MONEY,
                    Query(
                        expr=f"sum(evenwatt:cost:increase1d{{{MONEY_OF}}}) - sum({IDLE_DAY})", legend="active"
                    ),
                    Query(expr=f"sum by (state) ({IDLE_DAY})", legend="{{state}}"),
                    decimals=2,
                ),
                STATES,
            ),
        ),
    ),
)

_HOSTS = Section(
    title="Hosts",
    height=10,
    panels=(
        (
            24,
            rows(
                "Hosts over 24 hours (money in $currency)",
                "Each host over the last 24 hours. Without a price of its hardware a host has no cost per "
                "Mtok. Idle share: the part of its cost that accrued while nothing was asked of it.",
                {"site": "Site", "instance": "Host"},
                Column(
                    title="Cost",
                    expr=f"{BY_HOST} (evenwatt:cost:increase1d{{{MONEY_OF}}})",
                    unit=MONEY,
                    decimals=2,
                ),
                Column(
                    title="Tokens", expr=f"{BY_HOST} (evenwatt:tokens:increase1d{{{WHERE}}})", unit="si:tok"
                ),
                Column(
                    title="Per Mtok",
                    expr=f"{BY_HOST} (evenwatt:instance_cost_per_mtok:1d{{{MONEY_OF}}})",
                    unit=MONEY,
                    decimals=3,
                ),
                Column(
                    title="Idle share",
                    expr=f"{BY_HOST} ({IDLE_DAY}) / {BY_HOST} (evenwatt:cost:increase1d{{{MONEY_OF}}})",
                    unit="percentunit",
                    decimals=0,
                ),
                Column(
                    title="Energy",
                    expr=f"{BY_HOST} (evenwatt:energy_joules:increase1d{{{WHERE}}}) / 3.6e6",
                    unit="kwatth",
                    decimals=1,
                ),
                Column(
                    title="Watched",
                    expr=f'{BY_HOST} (evenwatt_window_coverage_ratio{{{WHERE},window="24h"}})',
                    unit="percentunit",
                    decimals=0,
                ),
                Column(
                    title="Assumed settings",
                    expr=f"count by (site, instance) (evenwatt_assumed_info{{{WHERE}}})",
                    unit="none",
                    decimals=0,
                ),
                sort="Cost",
            ),
        ),
    ),
)

_OVER_TIME = Section(
    title="Over time; each moment looks 24 hours back",
    height=9,
    panels=(
        (
            8,
            lines(
                "Cost per Mtok by site ($currency)",
                "Sums of increases over sums of increases, never a mean of ratios.",
                MONEY,
                Query(
                    expr='evenwatt:site_cost_per_mtok:1d{site=~"$site",currency="$currency"}',
                    legend="site {{site}}",
                ),
                Query(expr='evenwatt:fleet_cost_per_mtok:1d{currency="$currency"}', legend="fleet"),
            ),
        ),
        (
            8,
            colours(
                stacked(
                    "Cost of 24 hours by component ($currency)",
                    "Of the chosen hosts, in the 24 hours before each moment.",
                    MONEY,
                    Query(
                        expr=f"sum by (component) (evenwatt:cost:increase1d{{{MONEY_OF}}})",
                        legend="{{component}}",
                    ),
                ),
                COMPONENTS,
            ),
        ),
        (
            8,
            lines(
                "Dearest idling over 24 hours ($currency)",
                "The ten hosts whose idle time cost most in the 24 hours before each moment.",
                MONEY,
                Query(expr=f"topk(10, {BY_HOST} ({IDLE_DAY}))", legend="{{instance}} {{site}}"),
            ),
        ),
    ),
)

_MODELS = Section(
    title="Models and engines over 24 hours",
    height=9,
    panels=(
        (
            12,
            rows(
                "Models (money in $currency)",
                "Every model over all chosen hosts.",
                {"model": "Model"},
                Column(
                    title="Cost",
                    expr=f"sum by (model) (evenwatt:cost:increase1d{{{MONEY_OF}}})",
                    unit=MONEY,
                    decimals=2,
                ),
                Column(
                    title="Tokens",
                    expr=f"sum by (model) (evenwatt:tokens:increase1d{{{WHERE}}})",
                    unit="si:tok",
                ),
                Column(
                    title="Per Mtok",
                    expr=(
                        f"1e6 * sum by (model) (evenwatt:priced_cost:increase1d{{{MONEY_OF}}})"
                        f" / sum by (model) (evenwatt:priced_tokens:increase1d{{{MONEY_OF}}})"
                    ),
                    unit=MONEY,
                    decimals=3,
                ),
                sort="Cost",
            ),
        ),
        (
            12,
            rows(
                "Engines (money in $currency)",
                "Engines of the same name over all chosen hosts; `unallocated` is what no engine used.",
                {"engine": "Engine"},
                Column(
                    title="Cost",
                    expr=f"sum by (engine) (evenwatt:cost:increase1d{{{MONEY_OF}}})",
                    unit=MONEY,
                    decimals=2,
                ),
                Column(
                    title="Tokens",
                    expr=f"sum by (engine) (evenwatt:tokens:increase1d{{{WHERE}}})",
                    unit="si:tok",
                ),
                Column(
                    title="Idle cost",
                    expr=f"sum by (engine) ({IDLE_DAY})",
                    unit=MONEY,
                    decimals=2,
                ),
                sort="Cost",
            ),
        ),
    ),
)

PAGE = Page(
    file="fleet.json",
    uid="evenwatt-fleet",
    title="evenwatt: fleet",
    description=(
        "Cost, tokens and verdict of many hosts. Needs the rules of dashboards/prometheus/fleet.yaml."
    ),
    variables=(
        one_of(
            "currency",
            "Currency",
            "Money of different currencies is not added up: these are hosts of one.",
            "label_values(evenwatt_money_info, currency)",
        ),
        Variable(
            name="site",
            title="Site",
            description="The label of that name that scrape jobs give; without it all hosts are one site.",
            query='label_values(evenwatt_money_info{currency="$currency"}, site)',
            several=True,
        ),
        Variable(
            name="host",
            title="Host",
            description="The agents, as they are scraped.",
            query='label_values(evenwatt_money_info{currency="$currency",site=~"$site"}, instance)',
            several=True,
        ),
    ),
    sections=(_TODAY, _VERDICT, _HOSTS, _OVER_TIME, _MODELS),
    annotations=(ALERTS,),
    span="now-7d",
)
