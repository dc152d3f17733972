"""The snapshot as Prometheus text, rendered once a tick.

A series whose value is not known is left out.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from operator import itemgetter

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import Metric
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.utils import floatToGoString

from evenwatt.economics.breakeven import cost_per_mtok_at_load
from evenwatt.economics.cost import Costs
from evenwatt.ledger import SourceTotals, Usage
from evenwatt.model import State
from evenwatt.sinks.metrics.names import METRICS, MetricSpec
from evenwatt.snapshot import ALL, Money, Snapshot, WindowRow, WindowView
from evenwatt.snapshot.alerts.values import AlertState

__all__ = ["CONTENT_TYPE", "render_metrics"]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

Sample = tuple[str, tuple[str, ...], float | None]
"""(key of METRICS, label values, value)"""


def _form(spec: MetricSpec) -> str:
    """Return how a line of a metric begins: its labels in the order of the page, each by its place."""
    labels = sorted(enumerate(spec.labels), key=itemgetter(1))
    pairs = ",".join(f'{label}="{{{number}}}"' for number, label in labels)
    return f"{spec.name}{{{{{pairs}}}}} " if pairs else f"{spec.name} "


_FORMS = {key: _form(spec) for key, spec in METRICS.items()}
_KEPT_NAMES = 4_096
"""Names are the same ones on each of the tens of thousands of lines of a crowded machine's page."""

_number: Callable[[float], str] = floatToGoString
_processes = ProcessCollector(registry=CollectorRegistry(auto_describe=False))


class _Page:
    """What prometheus_client asks for when it renders."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families


def render_metrics(snapshot: Snapshot) -> bytes:
    """Return the exposition of a snapshot in the Prometheus text format.

    Written line by line as prometheus_client writes it, in a tenth of its time: of a machine with hundreds of
    models the page has tens of thousands of lines, once a tick.
    """
    lines: dict[str, list[str]] = {}
    for key, labels, value in _samples(snapshot):
        if value is not None:
            lines.setdefault(key, []).append(_line(key, labels, value))
    page = "".join(text for key in METRICS if key in lines for text in (_head(METRICS[key]), *lines[key]))
    return page.encode() + generate_latest(_Page(_processes.collect()))


def _head(spec: MetricSpec) -> str:
    text = spec.help.replace("\\", r"\\").replace("\n", r"\n")
    return f"# HELP {spec.name} {text}\n# TYPE {spec.name} {'counter' if spec.is_counter else 'gauge'}\n"


def _line(key: str, labels: tuple[str, ...], value: float) -> str:
    return f"{_FORMS[key].format(*map(_escaped, labels))}{_number(value)}\n"


@lru_cache(maxsize=_KEPT_NAMES)
def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def _samples(snapshot: Snapshot) -> Iterator[Sample]:
    yield from _agent_samples(snapshot)
    yield from _gpu_samples(snapshot)
    yield from _engine_samples(snapshot)
    yield from _total_samples(snapshot)
    yield from _window_samples(snapshot)
    yield from _alert_samples(snapshot)


def _agent_samples(snapshot: Snapshot) -> Iterator[Sample]:
    yield "simulated", (), float(snapshot.simulated)
    yield "build_info", (snapshot.version,), 1
    yield "money_info", (snapshot.currency,), 1
    yield "config_last_reload_successful", (), float(snapshot.config_reload_ok)
    yield "history_up", (), float(snapshot.history.up)
    yield "history_pending_ticks", (), snapshot.history.pending_ticks
    yield "history_set_aside", (), float(snapshot.history.set_aside is not None)
    yield "gpus_released", (), float(snapshot.gpus_released)
    yield "electricity_price_per_kwh", (), snapshot.electricity_price_per_kwh
    stale = snapshot.electricity.is_stale
    yield "electricity_price_stale", (), None if stale is None else float(stale)
    for component, cost in _components(snapshot.cost_per_hour):
        yield "cost_per_hour", (component,), cost
    for assumption in snapshot.assumptions:
        yield "assumed_info", (assumption.setting,), 1
    host = snapshot.host
    if host.source is not None:
        yield "host_power_watts", (host.source,), host.host_watts
        yield "host_info", (host.source, host.covers or ""), 1
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
        yield "engine_step_tokens", (view.engine,), view.step_tokens
        if view.capacity is not None:
            labels = (view.engine, "all", view.capacity.source.value)
            yield "capacity_tokens_per_second", labels, view.capacity.tokens_per_second
        yield "engine_restarts_total", (view.engine,), _source_totals(snapshot, view.engine).restarts
    for name in dict.fromkeys([*(source.source for source in snapshot.sources), *snapshot.source_totals]):
        yield "gap_seconds_total", (name,), _source_totals(snapshot, name).gap_seconds
    for kind, count in snapshot.event_totals.items():
        yield "events_total", (kind,), count


def _source_totals(snapshot: Snapshot, name: str) -> SourceTotals:
    # A counter that begins at 1 hides its first increase: none yet is 0.
    return snapshot.source_totals.get(name, SourceTotals())


def _total_samples(snapshot: Snapshot) -> Iterator[Sample]:
    totals = snapshot.totals
    yield "seconds_total", (), totals.host.seconds
    indexes = {**snapshot.gpu_indexes, **{gpu.uuid: gpu.index for gpu in snapshot.gpus}}
    for uuid, use in totals.gpus.items():
        yield "gpu_energy_joules_total", (str(indexes.get(uuid, "")), uuid), use.energy_joules
    for name, meter in totals.meters.items():
        yield "host_energy_joules_total", (name,), meter.energy_joules
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
            if row.model == ALL:
                yield from _pace_samples(row, window)


def _pace_samples(row: WindowRow, window: WindowView) -> Iterator[Sample]:
    labels = (row.engine, window.name)
    yield "window_tokens", labels, row.tokens.total_tokens
    yield "mean_cost_per_hour", labels, window.mean_per_hour(row.money.whole_costs.full)
    for state, cost in (
        (State.IDLE_LOADED, row.money.idle_loaded),
        (State.IDLE_EMPTY, row.money.idle_empty),
    ):
        yield "mean_idle_cost_per_hour", (row.engine, state.value, window.name), window.mean_per_hour(cost)


def _alert_samples(snapshot: Snapshot) -> Iterator[Sample]:
    firing = [alert for alert in snapshot.alerts if alert.state is AlertState.FIRING]
    active = {alert.alert for alert in firing}
    for alert in snapshot.alerts:
        if alert.alert not in active and alert.state is not AlertState.UNJUDGED:
            active.add(alert.alert)
            yield "alert_active", (alert.alert, alert.severity.value, "", "", ""), 0
    for alert in firing:
        labels = alert.labels
        about = (labels.get("engine", ""), labels.get("reference", ""), alert.subject)
        yield "alert_active", (alert.alert, alert.severity.value, *about), 1
    for notifier in snapshot.notifiers:
        yield "notifier_up", (notifier.notifier,), None if notifier.up is None else float(notifier.up)
        yield "notifier_waiting", (notifier.notifier,), notifier.waiting


def _row_samples(row: WindowRow, window: str) -> Iterator[Sample]:
    owner = (row.engine, row.model)
    yield "load_ratio", (*owner, window), row.load_ratio
    for (basis, base), cost in row.cost_per_mtok.items():
        yield "cost_per_mtok", (*owner, window, basis.value, base.value), cost
    if row.line is not None:
        yield "full_load_cost_per_mtok", (*owner, window), cost_per_mtok_at_load(row.line, 1.0)
        yield "marginal_cost_per_mtok", (*owner, window), row.line.marginal_cost_per_mtok
    for view in row.references:
        labels = (*owner, view.reference, window)
        yield "api_price_per_mtok", labels, view.price_per_mtok
        yield "break_even_ratio", labels, view.ratio
        yield "break_even_load_ratio", labels, view.break_even_load_ratio
