"""The snapshot as Prometheus metrics: the public names, rendered once a tick.

A series whose value is not known is left out. `METRICS` is the contract; docs/metrics.md is made from it.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.process_collector import ProcessCollector

from evenwatt.economics.cost import Costs
from evenwatt.ledger import SourceTotals, Usage
from evenwatt.model import State
from evenwatt.snapshot import Money, Snapshot, WindowRow

__all__ = ["CONTENT_TYPE", "METRICS", "MetricSpec", "render_metrics"]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricSpec:
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
            "energy_joules_total",
            "Energy by engine, model and state; engine=unallocated is what no engine used.",
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
        _spec("gpus_released", "Whether the GPUs were let go on request (evenwatt gpu release)."),
        _spec("engine_up", "Whether an engine answered at the last tick.", "engine", "kind"),
        _spec("engine_requests_running", "Requests running at the last tick.", "engine"),
        _spec("engine_requests_waiting", "Requests waiting at the last tick.", "engine"),
        _spec("electricity_price_per_kwh", "Electricity price now, PUE not included."),
        _spec("cost_per_hour", "Cost accruing now, energy at the present GPU power.", "component"),
        _spec(
            "capacity_tokens_per_second",
            "Computed input and output tokens per second that an engine can sustain; by source=peak_seen it "
            "may do more, and its load_ratio and break_even_load_ratio are upper bounds.",
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
        _spec("window_coverage_ratio", "Share of the window in which the agent looked.", "window"),
        _spec("source_up", "Whether a source gave its last reading.", "source"),
        _spec("source_last_success_timestamp_seconds", "When a source last gave a reading.", "source"),
        _spec("source_read_duration_seconds", "How long the last attempt to read a source took.", "source"),
        _spec("history_up", "Whether the last tick was written to the history."),
        _spec("history_pending_ticks", "Ticks kept in memory until the history can be written again."),
        _spec("config_last_reload_successful", "Whether the configuration in force is the one on disk."),
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

Sample = tuple[str, tuple[str, ...], float | None]
"""(key of METRICS, label values, value)"""

_processes = ProcessCollector(registry=CollectorRegistry(auto_describe=False))


class _Page:
    """What prometheus_client asks for when it renders: a registry of one snapshot."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families


def render_metrics(snapshot: Snapshot) -> bytes:
    """Return the exposition of a snapshot in the Prometheus text format."""
    families: dict[str, Metric] = {}
    for key, labels, value in _samples(snapshot):
        if value is None:
            continue
        family = families.get(key)
        if family is None:
            family = families[key] = _family(METRICS[key])
        family.add_metric(labels, value)  # type: ignore[attr-defined]  # both kinds of family have it
    ordered = [families[key] for key in METRICS if key in families]
    return generate_latest(_Page([*ordered, *_processes.collect()]))


def _family(spec: MetricSpec) -> Metric:
    kind = CounterMetricFamily if spec.is_counter else GaugeMetricFamily
    return kind(spec.name, spec.help, labels=spec.labels)


def _samples(snapshot: Snapshot) -> Iterator[Sample]:
    yield from _agent_samples(snapshot)
    yield from _gpu_samples(snapshot)
    yield from _engine_samples(snapshot)
    yield from _total_samples(snapshot)
    yield from _window_samples(snapshot)


def _agent_samples(snapshot: Snapshot) -> Iterator[Sample]:
    yield "simulated", (), float(snapshot.simulated)
    yield "build_info", (snapshot.version,), 1
    yield "money_info", (snapshot.currency,), 1
    yield "config_last_reload_successful", (), float(snapshot.config_reload_ok)
    yield "history_up", (), float(snapshot.history.up)
    yield "history_pending_ticks", (), snapshot.history.pending_ticks
    yield "gpus_released", (), float(snapshot.gpus_released)
    yield "electricity_price_per_kwh", (), snapshot.electricity_price_per_kwh
    for component, cost in _components(snapshot.cost_per_hour):
        yield "cost_per_hour", (component,), cost
    for assumption in snapshot.assumptions:
        yield "assumed_info", (assumption.setting,), 1
    for pending in snapshot.pending_prices:
        yield "api_price_pending", (pending.reference,), 1
    for source in snapshot.sources:
        yield "source_up", (source.source,), float(source.up)
        yield "source_last_success_timestamp_seconds", (source.source,), source.last_success_utc_seconds
        yield "source_read_duration_seconds", (source.source,), source.read_duration_seconds


def _gpu_samples(snapshot: Snapshot) -> Iterator[Sample]:
    for gpu in snapshot.gpus:
        labels = (str(gpu.index), gpu.uuid)
        source = "counter" if gpu.has_energy_counter else "power"
        yield "gpu_info", (*labels, gpu.name, source), 1
        yield "gpu_up", labels, float(gpu.fault is None)
        yield "gpu_power_watts", labels, gpu.power_watts
        yield "gpu_power_limit_watts", labels, gpu.power_limit_watts
        yield "gpu_utilization_ratio", labels, gpu.utilization_ratio
        yield "gpu_memory_used_bytes", labels, gpu.memory_used_bytes
        yield "gpu_memory_bytes", labels, gpu.memory_bytes
        yield "gpu_temperature_celsius", labels, gpu.temperature_celsius
        yield "gpu_energy_counter_power_ratio", labels, snapshot.counter_power_ratios.get(gpu.uuid)


def _engine_samples(snapshot: Snapshot) -> Iterator[Sample]:
    for view in snapshot.engines:
        yield "engine_up", (view.engine, view.kind), float(view.up)
        yield "engine_requests_running", (view.engine,), view.requests_running
        yield "engine_requests_waiting", (view.engine,), view.requests_waiting
        if view.capacity is not None:
            labels = (view.engine, "all", view.capacity.source.value)
            yield "capacity_tokens_per_second", labels, view.capacity.tokens_per_second
        yield "engine_restarts_total", (view.engine,), _source_totals(snapshot, view.engine).restarts
    for name in dict.fromkeys([*(source.source for source in snapshot.sources), *snapshot.source_totals]):
        yield "gap_seconds_total", (name,), _source_totals(snapshot, name).gap_seconds


def _source_totals(snapshot: Snapshot, name: str) -> SourceTotals:
    # A counter that begins at 1 hides its first increase: none yet is 0.
    return snapshot.source_totals.get(name, SourceTotals())


def _total_samples(snapshot: Snapshot) -> Iterator[Sample]:
    totals = snapshot.totals
    yield "seconds_total", (), totals.host.seconds
    indexes = {**snapshot.gpu_indexes, **{gpu.uuid: gpu.index for gpu in snapshot.gpus}}
    for uuid, use in totals.gpus.items():
        yield "gpu_energy_joules_total", (str(indexes.get(uuid, "")), uuid), use.energy_joules
    for owner, usage in totals.usage.items():
        yield from _usage_samples(owner, usage)
    for owner, money in totals.money.items():
        yield from _money_samples(owner, money)
    for compared, bill in totals.api.items():
        yield "api_cost_total", (*compared, "observed"), bill.observed_cache
        yield "api_cost_total", (*compared, "none"), bill.no_cache


def _usage_samples(owner: tuple[str, str], usage: Usage) -> Iterator[Sample]:
    for state, joules in (
        (State.ACTIVE, usage.active_joules),
        (State.IDLE_LOADED, usage.idle_loaded_joules),
        (State.IDLE_EMPTY, usage.idle_empty_joules),
    ):
        yield "energy_joules_total", (*owner, state.value), joules
    for kind, tokens in (
        ("input", usage.input_tokens),
        ("cached_input", usage.cached_input_tokens),
        ("output", usage.output_tokens),
    ):
        yield "tokens_total", (*owner, kind), tokens
    for outcome, requests in (
        ("completed", usage.requests_completed),
        ("aborted", usage.requests_aborted),
        ("failed", usage.requests_failed),
    ):
        yield "requests_total", (*owner, outcome), requests


def _money_samples(owner: tuple[str, str], money: Money) -> Iterator[Sample]:
    for component, cost in _components(money.costs):
        yield "cost_total", (*owner, component), cost
    yield "idle_cost_total", (*owner, State.IDLE_LOADED.value), money.idle_loaded
    yield "idle_cost_total", (*owner, State.IDLE_EMPTY.value), money.idle_empty


def _components(costs: Costs) -> tuple[tuple[str, float | None], ...]:
    return (
        ("hardware", costs.hardware),
        ("energy", costs.energy),
        ("labour", costs.labour),
        ("other", costs.other),
    )


def _window_samples(snapshot: Snapshot) -> Iterator[Sample]:
    for window in snapshot.windows:
        yield "window_coverage_ratio", (window.name,), window.coverage_ratio
        for row in window.rows:
            yield from _row_samples(row, window.name)


def _row_samples(row: WindowRow, window: str) -> Iterator[Sample]:
    owner = (row.engine, row.model)
    yield "load_ratio", (*owner, window), row.load_ratio
    for (basis, base), cost in row.cost_per_mtok.items():
        yield "cost_per_mtok", (*owner, window, basis.value, base.value), cost
    for view in row.references:
        labels = (*owner, view.reference, window)
        yield "api_price_per_mtok", labels, view.price_per_mtok
        yield "break_even_ratio", labels, view.ratio
        yield "break_even_load_ratio", labels, view.break_even_load_ratio
