"""The public names of the metrics, their help texts and their labels: a contract once they are released."""

from collections.abc import Mapping
from typing import Final

from msgspec import Struct

__all__ = ["METRICS", "MetricSpec"]


class MetricSpec(Struct, frozen=True, kw_only=True):
    """One public metric.

    Attributes:
        name: As it stands on the page, `_total` included.
    """

    name: str
    help: str
    labels: tuple[str, ...] = ()

    @property
    def is_counter(self) -> bool:
        """Whether it only rises over the life of the history."""
        return self.name.endswith("_total")


def _spec(name: str, help_text: str, *labels: str) -> MetricSpec:
    return MetricSpec(name=f"evenwatt_{name}", help=help_text, labels=labels)


METRICS: Final[Mapping[str, MetricSpec]] = {
    spec.name.removeprefix("evenwatt_"): spec
    for spec in (
        _spec("gpu_energy_joules_total", "Energy drawn by a GPU.", "gpu", "uuid"),
        _spec(
            "host_energy_joules_total",
            "Energy of the machine beside its GPUs, by the source that told it.",
            "source",
        ),
        _spec(
            "energy_joules_total",
            "Energy of GPUs and host by engine, model and state; engine=unallocated is what no engine used.",
            "engine",
            "model",
            "state",
        ),
        _spec(
            "tokens_total",
            "Tokens by engine, model and type; input is computed input, cached_input was reused, disjoint.",
            "engine",
            "model",
            "type",
        ),
        _spec(
            "requests_total",
            "Requests by outcome, where the engine counts them.",
            "engine",
            "model",
            "outcome",
        ),
        _spec(
            "cost_total",
            "Accrued cost in the currency of evenwatt_money_info; a component that is not known is absent.",
            "engine",
            "model",
            "component",
        ),
        _spec("idle_cost_total", "The part of the cost accrued while idle.", "engine", "model", "state"),
        _spec(
            "api_cost_total",
            "What the same tokens would have cost at an API, with the observed cache hits and with none.",
            "engine",
            "model",
            "reference",
            "cache",
        ),
        _spec("seconds_total", "Time that the machine was accounted for, also while the agent was away."),
        _spec("engine_restarts_total", "Restarts of an engine that were seen.", "engine"),
        _spec(
            "gap_seconds_total",
            "Time not watched, in which what was counted is an even spread.",
            "source",
        ),
        _spec("events_total", "Events in the history, which says of each what it was about.", "kind"),
        _spec(
            "gpu_info", "Constant 1; where a GPU's energy comes from.", "gpu", "uuid", "name", "energy_source"
        ),
        _spec("gpu_up", "Whether a GPU answers.", "gpu", "uuid"),
        _spec("gpu_power_watts", "Power that a GPU draws now.", "gpu", "uuid"),
        _spec("gpu_power_limit_watts", "Power limit in force.", "gpu", "uuid"),
        _spec(
            "gpu_utilization_ratio",
            "Share of time in which any kernel ran, as NVML samples it; this is not load.",
            "gpu",
            "uuid",
        ),
        _spec("gpu_memory_used_bytes", "Memory in use.", "gpu", "uuid"),
        _spec("gpu_memory_bytes", "Memory of the GPU.", "gpu", "uuid"),
        _spec("gpu_temperature_celsius", "Temperature.", "gpu", "uuid"),
        _spec(
            "gpu_energy_counter_power_ratio",
            "Energy counter over integrated power on a busy GPU, as last compared.",
            "gpu",
            "uuid",
        ),
        _spec("host_power_watts", "Power of the machine beside its GPUs, as last booked.", "source"),
        _spec(
            "host_info",
            "Constant 1; the source of host power and what it measures.",
            "source",
            "covers",
        ),
        _spec("gpus_released", "Whether the GPUs were let go on request (evenwatt gpu release)."),
        _spec("engine_up", "Whether an engine answered at the last tick.", "engine", "kind"),
        _spec("engine_requests_running", "Requests running at the last tick.", "engine"),
        _spec("engine_requests_waiting", "Requests waiting at the last tick.", "engine"),
        _spec(
            "engine_step_tokens",
            "In steps of how many the engine tells its tokens: so uncertain is an increase. 1: exactly.",
            "engine",
        ),
        _spec("electricity_price_per_kwh", "Electricity price now, fees included and PUE not."),
        _spec(
            "electricity_price_stale",
            "1 where the electricity feed has no price for now and its last known one is used.",
        ),
        _spec(
            "cost_per_hour", "Cost accruing now, energy at the present power of GPUs and host.", "component"
        ),
        _spec(
            "capacity_tokens_per_second",
            "Computed input and output tokens per second that an engine can sustain; by source=peak_seen it "
            "may do more, and its load_ratio, break_even_load_ratio and full_load_cost_per_mtok are upper "
            "bounds.",
            "engine",
            "model",
            "source",
        ),
        _spec(
            "load_ratio",
            "Token load: served rate over capacity, idle time included.",
            "engine",
            "model",
            "window",
        ),
        _spec(
            "break_even_load_ratio",
            "Load from which own tokens are cheaper than the reference; +Inf means never.",
            "engine",
            "model",
            "reference",
            "window",
        ),
        _spec(
            "cost_per_mtok",
            "Cost per million tokens, from sums over the window; absent without tokens.",
            "engine",
            "model",
            "window",
            "basis",
            "tokens",
        ),
        _spec(
            "full_load_cost_per_mtok",
            "Cost per million tokens at full load, at the window's prices and mix.",
            "engine",
            "model",
            "window",
        ),
        _spec(
            "marginal_cost_per_mtok",
            "Cost of a million tokens more, the electricity of load alone: at a load L a million tokens cost "
            "this and (full_load_cost_per_mtok - this) / L.",
            "engine",
            "model",
            "window",
        ),
        _spec(
            "api_price_per_mtok",
            "The reference's price per million tokens at the mix served in the window.",
            "engine",
            "model",
            "reference",
            "window",
        ),
        _spec(
            "api_price_pending",
            "Constant 1 for each reference whose changed price waits for evenwatt prices accept.",
            "reference",
        ),
        _spec(
            "break_even_ratio",
            "API-equivalent over own cost in the window; below 1 the API was cheaper.",
            "engine",
            "model",
            "reference",
            "window",
        ),
        _spec(
            "mean_cost_per_hour",
            "Full cost of the window over the hours that it accounts for; absent where a part is not known.",
            "engine",
            "window",
        ),
        _spec(
            "mean_idle_cost_per_hour",
            "The part of that which accrued while idle.",
            "engine",
            "state",
            "window",
        ),
        _spec("window_tokens", "Tokens of all types served in the window.", "engine", "window"),
        _spec("window_coverage_ratio", "Share of the window in which the agent looked.", "window"),
        _spec("source_up", "Whether a source gave its last reading.", "source"),
        _spec("source_last_success_timestamp_seconds", "When a source last gave a reading.", "source"),
        _spec("source_read_duration_seconds", "How long the last attempt to read a source took.", "source"),
        _spec("history_up", "Whether the last tick was written to the history."),
        _spec("history_pending_ticks", "Ticks kept in memory until the history can be written again."),
        _spec("history_set_aside", "1 where this agent found its history corrupt and began a new one."),
        _spec("config_last_reload_successful", "Whether the configuration in force is the one on disk."),
        _spec(
            "alert_active",
            "1 for each alert of the agent's own that fires; 0, without further labels, while none of a name "
            "does; absent where it cannot be judged.",
            "alert",
            "severity",
            "engine",
            "reference",
            "subject",
        ),
        _spec(
            "notifier_up",
            "Whether the last attempt to tell somebody of an alert went well; absent before the first.",
            "notifier",
        ),
        _spec("notifier_waiting", "Changes that a notifier has not been told yet.", "notifier"),
        _spec("simulated", "1 where readings are simulated or replayed, and nothing here was measured."),
        _spec("build_info", "Constant 1; the version.", "version"),
        _spec("money_info", "Constant 1; the currency of all costs and prices.", "currency"),
        _spec(
            "assumed_info",
            "Constant 1 for each setting that decides the cost and that nobody wrote.",
            "setting",
        ),
    )
}
