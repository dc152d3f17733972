"""GPUs and power: what is drawn, by whom and in which state, and what a kilowatt-hour costs."""

from .parts import (
    BLUE,
    HOSTS,
    MONEY,
    STATES,
    VERMILION,
    Column,
    Page,
    Query,
    Section,
    bars,
    colours,
    dashed,
    events,
    figure,
    hosts_of_one_currency,
    lines,
    mapped,
    rows,
    stacked,
    states,
)

GPU = "GPU {{gpu}} of {{instance}}"
BY_GPU = "sum by (instance, gpu, uuid)"

_NOW = Section(
    title="Now",
    height=5,
    panels=(
        (
            5,
            figure(
                "Power of the GPUs",
                "What all chosen GPUs draw now. A GPU that cannot be read is not in it.",
                "watt",
                Query(expr=f"sum(evenwatt_gpu_power_watts{{{HOSTS}}})", legend="GPUs"),
            ),
        ),
        (
            5,
            figure(
                "Power of the hosts",
                "The machines beside their GPUs, where a meter tells it: a plug, the BMC, board sensors, "
                "RAPL or a figure that was written.",
                "watt",
                Query(expr=f"sum(evenwatt_host_power_watts{{{HOSTS}}})", legend="hosts"),
            ),
        ),
        (
            5,
            figure(
                "Energy",
                "Booked over the time range shown, GPUs and hosts.",
                "kwatth",
                Query(
                    expr=f"sum(increase(evenwatt_energy_joules_total{{{HOSTS}}}[$__range])) / 3.6e6",
                    legend="energy",
                ),
            ),
        ),
        (
            4,
            figure(
                "Energy cost ($currency)",
                "Electricity over the time range shown, at the price of each minute, PUE included.",
                MONEY,
                Query(
                    expr=f'sum(increase(evenwatt_cost_total{{{HOSTS},component="energy"}}[$__range]))',
                    legend="energy",
                ),
                decimals=2,
            ),
        ),
        (
            5,
            figure(
                "GPUs that answer",
                "Of the chosen hosts. `evenwatt status` has the driver's words about those that do not.",
                "none",
                Query(expr=f"sum(evenwatt_gpu_up{{{HOSTS}}})", legend="answer"),
                Query(
                    expr=f"count(evenwatt_gpu_up{{{HOSTS}}}) - sum(evenwatt_gpu_up{{{HOSTS}}})",
                    legend="do not",
                ),
                decimals=0,
            ),
        ),
    ),
)

_POWER = Section(
    title="Power",
    height=9,
    panels=(
        (
            12,
            stacked(
                "Power of GPUs and hosts",
                "As measured at each tick: every GPU, and what the rest of each machine draws.",
                "watt",
                Query(expr=f"evenwatt_gpu_power_watts{{{HOSTS}}}", legend=GPU),
                Query(
                    expr=f"evenwatt_host_power_watts{{{HOSTS}}}", legend="rest of {{instance}}, {{source}}"
                ),
            ),
        ),
        (
            12,
            colours(
                stacked(
                    "Power by state of the engines",
                    "Booked energy over time, GPUs and hosts. Active: requests ran. Idle loaded: none ran "
                    "and a model sat in memory. Idle empty: nothing of the engine was.",
                    "watt",
                    Query(
                        expr=(
                            f"sum by (state) "
                            f"(rate(evenwatt_energy_joules_total{{{HOSTS}}}[$__rate_interval]))"
                        ),
                        legend="{{state}}",
                    ),
                ),
                STATES,
            ),
        ),
    ),
)

_GPUS = Section(
    title="GPUs",
    height=8,
    panels=(
        (
            8,
            lines(
                "Power over its limit",
                "Power drawn over the power limit in force.",
                "percentunit",
                Query(
                    expr=(
                        f"evenwatt_gpu_power_watts{{{HOSTS}}}"
                        f" / on (instance, gpu, uuid) evenwatt_gpu_power_limit_watts{{{HOSTS}}}"
                    ),
                    legend=GPU,
                ),
            ).max(1),
        ),
        (
            8,
            lines(
                "Utilization, as NVML samples it",
                "The share of time in which any kernel ran. One small kernel makes it 100 %: this is not "
                "load.",
                "percentunit",
                Query(expr=f"evenwatt_gpu_utilization_ratio{{{HOSTS}}}", legend=GPU),
            ).max(1),
        ),
        (
            8,
            lines(
                "Temperature",
                "Of each GPU.",
                "celsius",
                Query(expr=f"evenwatt_gpu_temperature_celsius{{{HOSTS}}}", legend=GPU),
            ),
        ),
    ),
)

_EACH = Section(
    title="Each GPU",
    height=8,
    panels=(
        (
            14,
            rows(
                "GPUs",
                "As they stand now; energy over the time range shown. A GPU without an energy counter has "
                "its power integrated.",
                {"instance": "Host", "gpu": "GPU", "uuid": "UUID"},
                Column(
                    title="Energy",
                    expr=(
                        f"{BY_GPU} (increase(evenwatt_gpu_energy_joules_total{{{HOSTS}}}[$__range])) / 3.6e6"
                    ),
                    unit="kwatth",
                    decimals=2,
                ),
                Column(title="Power", expr=f"{BY_GPU} (evenwatt_gpu_power_watts{{{HOSTS}}})", unit="watt"),
                Column(
                    title="Limit", expr=f"{BY_GPU} (evenwatt_gpu_power_limit_watts{{{HOSTS}}})", unit="watt"
                ),
                Column(
                    title="In use",
                    expr=f"{BY_GPU} (evenwatt_gpu_memory_used_bytes{{{HOSTS}}})",
                    unit="bytes",
                ),
                Column(title="Memory", expr=f"{BY_GPU} (evenwatt_gpu_memory_bytes{{{HOSTS}}})", unit="bytes"),
                sort="Energy",
            ),
        ),
        (
            5,
            bars(
                "Memory in use",
                "Of each GPU's memory. A model that sits there idle costs its share of the machine.",
                "percentunit",
                Query(
                    expr=(
                        f"evenwatt_gpu_memory_used_bytes{{{HOSTS}}}"
                        f" / on (instance, gpu, uuid) evenwatt_gpu_memory_bytes{{{HOSTS}}}"
                    ),
                    legend=GPU,
                ),
                most=1,
            ),
        ),
        (
            5,
            states(
                "Answers the driver",
                "Whether each GPU could be read at each tick.",
                Query(expr=f"evenwatt_gpu_up{{{HOSTS}}}", legend=GPU),
                words=mapped((1, "yes", BLUE), (0, "no", VERMILION)),
            ),
        ),
    ),
)

_PRICE = Section(
    title="Electricity",
    height=8,
    panels=(
        (
            8,
            lines(
                "Electricity price per kWh ($currency)",
                "The price in force, fees included and PUE not.",
                MONEY,
                Query(expr=f"evenwatt_electricity_price_per_kwh{{{HOSTS}}}", legend="{{instance}}"),
            ),
        ),
        (
            8,
            lines(
                "Energy cost per hour ($currency)",
                "Accruing at each moment, at the present power of GPUs and host.",
                MONEY,
                Query(expr=f'evenwatt_cost_per_hour{{{HOSTS},component="energy"}}', legend="{{instance}}"),
            ),
        ),
        (
            8,
            dashed(
                lines(
                    "GPU energy counters over integrated power",
                    "On a busy GPU both should agree: the line should be at 1 (dashed). The counter is what "
                    "is booked. There is a value only for GPUs that have both, once they were busy for a "
                    "while.",
                    "percentunit",
                    Query(expr=f"evenwatt_gpu_energy_counter_power_ratio{{{HOSTS}}}", legend=GPU),
                    Query(expr="vector(1)", legend="agreement"),
                    zero=False,
                ),
                "B",
            ),
        ),
    ),
)

PAGE = Page(
    file="gpus.json",
    uid="evenwatt-gpus",
    title="evenwatt: GPUs and power",
    description=(
        "Power, energy and memory of every GPU and of the hosts around them, and what electricity costs."
    ),
    variables=hosts_of_one_currency(),
    sections=(_NOW, _POWER, _GPUS, _EACH, _PRICE),
    annotations=events(HOSTS),
)
