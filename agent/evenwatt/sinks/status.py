"""The snapshot as JSON: what `evenwatt status` shows, served at /api/v1/status.

A value that is not known is null; a break-even that is never reached is the word "never".
"""

import json
import math
from collections.abc import Mapping
from typing import Any

from msgspec import to_builtins

from evenwatt.economics.cost import Costs
from evenwatt.model import UNALLOCATED, GpuReading
from evenwatt.snapshot import Snapshot, WindowRow, WindowView
from evenwatt.snapshot.alerts.values import AlertView

__all__ = ["render_status"]


def render_status(snapshot: Snapshot) -> bytes:
    """Return the status document of a snapshot."""
    document = {
        "version": snapshot.version,
        "simulated": snapshot.simulated,
        "utc_seconds": snapshot.moment.utc_seconds,
        "started_utc_seconds": snapshot.started_utc_seconds,
        "currency": snapshot.currency,
        "config_reload_ok": snapshot.config_reload_ok,
        "history": to_builtins(snapshot.history),
        "electricity_price_per_kwh": snapshot.electricity_price_per_kwh,
        "electricity": to_builtins(snapshot.electricity),
        "cost_per_hour": _costs(snapshot.cost_per_hour),
        "assumptions": [to_builtins(assumption) for assumption in snapshot.assumptions],
        "notes": [to_builtins(note) for note in snapshot.notes],
        "sources": [to_builtins(source) for source in snapshot.sources],
        "last_scrape_utc_seconds": None if snapshot.last_scrape is None else snapshot.last_scrape.utc_seconds,
        "last_scrape_by": None if snapshot.last_scrape is None else snapshot.last_scrape.user_agent,
        "gpus_released": snapshot.gpus_released,
        "gpus": [_gpu(snapshot, gpu) for gpu in snapshot.gpus],
        "host": _host(snapshot),
        "engines": [to_builtins(view) for view in snapshot.engines],
        "totals": [
            {"engine": engine, "model": model, **to_builtins(usage), **_money(snapshot, (engine, model))}
            for (engine, model), usage in snapshot.totals.usage.items()
        ],
        "windows": [_window(view) for view in snapshot.windows],
        "pending_prices": [to_builtins(pending) for pending in snapshot.pending_prices],
        "alerts": [_alert(alert) for alert in snapshot.alerts],
        "notifiers": [to_builtins(notifier) for notifier in snapshot.notifiers],
        "events": [to_builtins(event) for event in snapshot.events],
    }
    return json.dumps(document, allow_nan=False).encode()


def _costs(costs: Costs) -> dict[str, float | None]:
    return {**to_builtins(costs), "full": costs.full}


def _money(snapshot: Snapshot, key: tuple[str, str]) -> Mapping[str, Any]:
    money = snapshot.totals.money.get(key)
    if money is None:
        return {}
    costs = {
        **to_builtins(money.whole_costs),
        "idle_loaded": money.idle_loaded,
        "idle_empty": money.idle_empty,
    }
    return {f"{name}_cost": value for name, value in costs.items()}


def _gpu(snapshot: Snapshot, gpu: GpuReading) -> dict[str, Any]:
    total = snapshot.totals.gpus.get(gpu.uuid)
    return {
        "index": gpu.index,
        "uuid": gpu.uuid,
        "name": gpu.name,
        "fault": gpu.fault,
        "engines": snapshot.gpu_owners.get(gpu.uuid) or (UNALLOCATED,),
        "energy_source": "counter" if gpu.has_energy_counter else "power",
        "counter_power_ratio": snapshot.counter_power_ratios.get(gpu.uuid),
        "power_watts": gpu.power_watts,
        "power_limit_watts": gpu.power_limit_watts,
        "utilization_ratio": gpu.utilization_ratio,
        "memory_used_bytes": gpu.memory_used_bytes,
        "memory_bytes": gpu.memory_bytes,
        "temperature_celsius": gpu.temperature_celsius,
        "energy_joules": None if total is None else total.energy_joules,
    }


def _host(snapshot: Snapshot) -> dict[str, Any]:
    energy = {source: use.energy_joules for source, use in snapshot.totals.meters.items()}
    return {**to_builtins(snapshot.host), "energy_joules": energy}


def _window(view: WindowView) -> dict[str, Any]:
    return {
        "window": view.name,
        "start_utc_seconds": view.start_utc_seconds,
        "seconds": view.seconds,
        "coverage_ratio": view.coverage_ratio,
        "rows": [_row(row) for row in view.rows],
    }


def _row(row: WindowRow) -> dict[str, Any]:
    return {
        "engine": row.engine,
        "model": row.model,
        "tokens": to_builtins(row.tokens),
        "cost": _costs(row.money.whole_costs),
        "idle_cost": {"idle_loaded": row.money.idle_loaded, "idle_empty": row.money.idle_empty},
        "cost_per_mtok": {
            f"{basis.value}_{base.value}": value for (basis, base), value in row.cost_per_mtok.items()
        },
        "phase_cost_per_mtok": {
            "input": row.input_cost_per_mtok,
            "output": row.output_cost_per_mtok,
            "method": "allocation of the full cost by the time that requests spent in prefill and in decode",
        },
        "load_ratio": row.load_ratio,
        "load_is_upper_bound": row.load_is_upper_bound,
        "capacity": None if row.capacity is None else to_builtins(row.capacity),
        "references": [
            {name: _or_never(value) for name, value in to_builtins(view).items()} for view in row.references
        ],
    }


def _alert(alert: AlertView) -> dict[str, Any]:
    figures = {name: _or_never(value) for name, value in alert.figures.items()}
    return {**to_builtins(alert), "figures": figures}


def _or_never(value: Any) -> Any:
    return "never" if value == math.inf else value
