"""Accounting health: how far the numbers can be trusted, and what the agents themselves cost."""

from .parts import (
    BLUE,
    HOSTS,
    ORANGE,
    SKY,
    VERMILION,
    Column,
    Page,
    Query,
    Section,
    bars,
    events,
    figure,
    hosts_of_one_currency,
    lines,
    mapped,
    rows,
    states,
)

AGENT = f"and on (job, instance) evenwatt_build_info{{{HOSTS}}}"
GOOD_AT_ZERO = ((None, SKY), (1, ORANGE))
OF_HOST = "{{source}} of {{instance}}"

_NOW = Section(
    title="Now",
    height=5,
    panels=(
        (
            4,
            figure(
                "Sources that are down",
                "Sources that did not give their last reading. Costs of time go on; what is counted "
                "meanwhile is spread evenly once they answer.",
                "none",
                Query(
                    expr=f"count(evenwatt_source_up{{{HOSTS}}}) - sum(evenwatt_source_up{{{HOSTS}}})",
                    legend="down",
                ),
                thresholds=((None, SKY), (1, VERMILION)),
                decimals=0,
            ),
        ),
        (
            4,
            figure(
                "Histories not written",
                "Agents that could not write their last tick: the disk is full, read-only or broken. Ticks "
                "wait in memory.",
                "none",
                Query(
                    expr=f"count(evenwatt_history_up{{{HOSTS}}}) - sum(evenwatt_history_up{{{HOSTS}}})",
                    legend="not written",
                ),
                Query(expr=f"sum(evenwatt_history_pending_ticks{{{HOSTS}}})", legend="ticks waiting"),
                thresholds=((None, SKY), (1, VERMILION)),
                decimals=0,
            ),
        ),
        (
            4,
            figure(
                "Configurations refused",
                "Agents whose file on disk is wrong, so that an older configuration is in force. `evenwatt "
                "check-config` says where.",
                "none",
                Query(
                    expr=(
                        f"count(evenwatt_config_last_reload_successful{{{HOSTS}}})"
                        f" - sum(evenwatt_config_last_reload_successful{{{HOSTS}}})"
                    ),
                    legend="refused",
                ),
                thresholds=GOOD_AT_ZERO,
                decimals=0,
            ),
        ),
        (
            4,
            figure(
                "Assumed settings",
                "Settings that decide the cost and that nobody wrote, over all chosen hosts.",
                "none",
                Query(
                    expr=f"sum(evenwatt_assumed_info{{{HOSTS}}}) or 0 * sum(evenwatt_simulated{{{HOSTS}}})",
                    legend="assumed",
                ),
                thresholds=GOOD_AT_ZERO,
                decimals=0,
            ),
        ),
        (
            4,
            figure(
                "Simulated hosts",
                "Hosts whose readings are simulated or replayed: nothing of theirs was measured.",
                "none",
                Query(expr=f"sum(evenwatt_simulated{{{HOSTS}}})", legend="simulated"),
                thresholds=GOOD_AT_ZERO,
                decimals=0,
            ),
        ),
        (
            4,
            figure(
                "Prices that wait",
                "Changed API prices that count only once somebody accepts them: `evenwatt prices accept`. "
                "Stale: electricity feeds without a price for now.",
                "none",
                Query(
                    expr=(
                        f"sum(evenwatt_api_price_pending{{{HOSTS}}}) "
                        f"or 0 * sum(evenwatt_simulated{{{HOSTS}}})"
                    ),
                    legend="pending",
                ),
                Query(
                    expr=(
                        f"sum(evenwatt_electricity_price_stale{{{HOSTS}}})"
                        f" or 0 * sum(evenwatt_simulated{{{HOSTS}}})"
                    ),
                    legend="stale",
                ),
                thresholds=GOOD_AT_ZERO,
                decimals=0,
            ),
        ),
    ),
)

_SOURCES = Section(
    title="Sources",
    height=9,
    panels=(
        (
            10,
            states(
                "Sources that answer",
                "Whether each source gave its reading at each moment.",
                Query(expr=f"evenwatt_source_up{{{HOSTS}}}", legend=OF_HOST),
                words=mapped((1, "answers", BLUE), (0, "down", VERMILION)),
            ),
        ),
        (
            7,
            lines(
                "Age of the last reading",
                "Time since each source last gave a reading. A line that climbs is a source that is down.",
                "s",
                Query(
                    expr=f"time() - evenwatt_source_last_success_timestamp_seconds{{{HOSTS}}}",
                    legend=OF_HOST,
                ),
            ),
        ),
        (
            7,
            lines(
                "Time to read a source",
                "How long the last attempt took. A source that hangs is given up at its deadline and delays "
                "nobody.",
                "s",
                Query(expr=f"evenwatt_source_read_duration_seconds{{{HOSTS}}}", legend=OF_HOST),
            ),
        ),
    ),
)

_GAPS = Section(
    title="What was not watched",
    height=8,
    panels=(
        (
            8,
            lines(
                "Share of each window that was watched",
                "The rest is booked as an even spread and marked as estimated. A young history has not "
                "filled its windows yet.",
                "percentunit",
                Query(expr=f"evenwatt_window_coverage_ratio{{{HOSTS}}}", legend="{{window}} of {{instance}}"),
            ).max(1),
        ),
        (
            8,
            bars(
                "Time not watched",
                "Within the time range shown, by source: the agent was stopped, or the source was away while "
                "its process counted on.",
                "s",
                Query(
                    expr=(
                        f"sum by (instance, source) "
                        f"(increase(evenwatt_gap_seconds_total{{{HOSTS}}}[$__range]))"
                    ),
                    legend=OF_HOST,
                ),
                thresholds=((None, BLUE), (120, ORANGE)),
            ),
        ),
        (
            8,
            bars(
                "Engine restarts",
                "Within the time range shown. What an engine counted between its last reading and its end is "
                "not known.",
                "short",
                Query(
                    expr=(
                        "sum by (instance, engine) (increase(evenwatt_engine_restarts_total"
                        f"{{{HOSTS}}}[$__range]))"
                    ),
                    legend="{{engine}} of {{instance}}",
                ),
                thresholds=((None, BLUE), (1, ORANGE)),
            ),
        ),
    ),
)

_UNSURE = Section(
    title="What numbers rest on",
    height=8,
    panels=(
        (
            8,
            rows(
                "Which settings are assumed (money in $currency)",
                "Settings that decide the cost and that nobody wrote. `evenwatt check-config` gives the line "
                "to write.",
                {"instance": "Host", "setting": "Setting"},
                Column(
                    title="Assumed",
                    expr=f"sum by (instance, setting) (evenwatt_assumed_info{{{HOSTS}}})",
                    unit="none",
                    decimals=0,
                ),
                Column(
                    title="Cost per hour",
                    expr=(
                        f"sum by (instance, setting) (evenwatt_assumed_info{{{HOSTS}}}"
                        " * on (job, instance) group_left ()"
                        f" sum by (job, instance) (evenwatt_cost_per_hour{{{HOSTS}}}))"
                    ),
                    unit="locale",
                    decimals=2,
                ),
                sort="Cost per hour",
            ),
        ),
        (
            8,
            lines(
                "Cost that no engine had",
                "The share of the cost of the time range, up to each moment, that is booked as "
                "`unallocated`: GPUs without an engine, other programs on them, the time before an engine "
                "was found.",
                "percentunit",
                Query(
                    expr=(
                        "(sum by (instance) (increase(evenwatt_cost_total"
                        f'{{{HOSTS},engine="unallocated"}}[$__range]))'
                        f" or 0 * sum by (instance) (increase(evenwatt_cost_total{{{HOSTS}}}[$__range])))"
                        f" / sum by (instance) (increase(evenwatt_cost_total{{{HOSTS}}}[$__range]))"
                    ),
                    legend="{{instance}}",
                ),
            ).max(1),
        ),
        (
            8,
            rows(
                "Where numbers come from",
                "The source of each engine's capacity; `peak_seen` is a lower bound until the engine was "
                "saturated, so that its load is an upper bound.",
                {"instance": "Host", "engine": "Engine", "source": "Source"},
                Column(
                    title="Capacity",
                    expr=(
                        f"sum by (instance, engine, source) (evenwatt_capacity_tokens_per_second{{{HOSTS}}})"
                    ),
                    unit="si:tok/s",
                ),
                Column(
                    title="Load, 24h",
                    expr=(
                        "sum by (instance, engine, source) ("
                        f"(evenwatt_capacity_tokens_per_second{{{HOSTS}}} > bool 0)"
                        " * on (instance, engine) group_left ()"
                        f' evenwatt_load_ratio{{{HOSTS},model="all",window="24h"}})'
                    ),
                    unit="percentunit",
                    decimals=1,
                ),
                sort="Capacity",
            ),
        ),
    ),
)

_AGENTS = Section(
    title="The agents themselves",
    height=8,
    panels=(
        (
            8,
            lines(
                "CPU time of the agents per minute",
                "The budget is half a second.",
                "s",
                Query(
                    expr=(f"60 * rate(process_cpu_seconds_total{{{HOSTS}}}[$__rate_interval]) {AGENT}"),
                    legend="{{instance}}",
                ),
            ),
        ),
        (
            8,
            lines(
                "Memory of the agents",
                "Resident; the budget is 64 MiB.",
                "bytes",
                Query(expr=f"process_resident_memory_bytes{{{HOSTS}}} {AGENT}", legend="{{instance}}"),
            ),
        ),
        (
            8,
            rows(
                "Versions",
                "Of every agent, and since when it runs.",
                {"instance": "Host", "version": "Version"},
                Column(
                    title="Runs for",
                    expr=(
                        "sum by (instance, version) ((time() - process_start_time_seconds"
                        f"{{{HOSTS}}}) * on (job, instance) group_left (version)"
                        f" evenwatt_build_info{{{HOSTS}}})"
                    ),
                    unit="dtdurations",
                ),
                Column(
                    title="GPUs let go",
                    expr=(
                        "sum by (instance, version) (evenwatt_gpus_released"
                        f"{{{HOSTS}}} * on (job, instance) group_left (version)"
                        f" evenwatt_build_info{{{HOSTS}}})"
                    ),
                    unit="bool_yes_no",
                ),
                sort="Runs for",
            ),
        ),
    ),
)

PAGE = Page(
    file="health.json",
    uid="evenwatt-health",
    title="evenwatt: accounting health",
    description="Sources, gaps, assumptions and histories: how far the numbers of every host can be trusted.",
    variables=hosts_of_one_currency(),
    sections=(_NOW, _SOURCES, _GAPS, _UNSURE, _AGENTS),
    annotations=events(HOSTS),
)
