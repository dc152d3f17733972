"""What tests of snapshot, sinks and service share: ticks in round numbers, a snapshot of all that shows."""

from msgspec.structs import replace

from evenwatt.economics.api import ReferencePrice
from evenwatt.economics.capacity import Capacity, CapacitySource
from evenwatt.economics.cost import Costs, ModelRule, PriceBook
from evenwatt.economics.ownership import Rented
from evenwatt.economics.tariffs import flat_tariff
from evenwatt.ledger import EngineUse, GpuUse, HostUse, MeterUse, Posting, SourceTotals, Usage
from evenwatt.model import UNALLOCATED, Assumption, Event, GpuReading, Moment, SourceHealth
from evenwatt.service.billing import priced
from evenwatt.snapshot import (
    ElectricityView,
    EngineView,
    HistoryHealth,
    HostView,
    PricedPosting,
    Snapshot,
    Sums,
    sums_with,
    window_view,
)

HOUR = 1_800_000_000
"""A Unix time at which an hour begins."""

MINUTE = 60

NOW = Moment(utc_seconds=HOUR + 90.0, boot_seconds=1_090.0, boot_id="boot")

FLAT = ReferencePrice(
    name="flat",
    valid_from_utc_seconds=0.0,
    input_per_mtok=1.0,
    cached_input_per_mtok=0.1,
    output_per_mtok=5.0,
)
"""Prices of which a bill can be worked out without a calculator."""

BOOK = PriceBook(hardware=Rented(rent_per_hour=3.6), tariff=flat_tariff(0.36), references=(FLAT,))
"""A tenth of a cent for each second of the machine, and one ten-millionth for each joule."""

CAPACITY = Capacity(tokens_per_second=50_000.0, source=CapacitySource.CONFIGURED)


def served(read=1_000_000, wrote=100_000, cached=500_000, **columns):
    """Return a minute in which a model was busy: 60 s, 6,000 J."""
    values = {
        "input_tokens": read,
        "cached_input_tokens": cached,
        "output_tokens": wrote,
        "active_joules": 6_000.0,
        "active_seconds": 60.0,
        "down_seconds": 0.0,
    }
    return Usage(**{**values, **columns})


def idle(**columns):
    """Return a minute in which a model sat in memory: 60 s, 1,200 J, and not a token."""
    values = {"idle_loaded_joules": 1_200.0, "idle_loaded_seconds": 60.0, "down_seconds": 0.0}
    return Usage(**{**values, **columns})


def posting(rows, *, estimated_seconds=0.0, waiting_seconds=0.0, **parts):
    """Return a posting of usage rows by (minute, engine, model), of a machine that was up all the time."""
    minutes = {minute for minute, *_ in rows}
    hosts = {
        minute: HostUse(seconds=60.0, down_seconds=0.0, estimated_seconds=estimated_seconds)
        for minute in minutes
    }
    gpus = {(minute, "GPU-a"): GpuUse(energy_joules=6_000.0, measured_seconds=60.0) for minute in minutes}
    meters = {(minute, "rapl"): MeterUse(energy_joules=600.0, measured_seconds=60.0) for minute in minutes}
    engines = {
        (minute, engine): EngineUse(observed_seconds=60.0, waiting_seconds=waiting_seconds)
        for minute, engine, _ in rows
        if engine != UNALLOCATED
    }
    physics = {"hosts": hosts, "gpus": gpus, "meters": meters, "engines": engines}
    return Posting(**{"usage": rows, **physics, **parts})


def tick(rows, *, book=BOOK, **parts) -> PricedPosting:
    """Return a posting with its money."""
    return priced(posting(rows, **parts), book)


def book_with(*references, rules=(), base=BOOK) -> PriceBook:
    """Return a book with other API prices."""
    return replace(base, references=references, rules=rules)


def rule(pattern="*", **values) -> ModelRule:
    """Return a rule for models."""
    return ModelRule(pattern=pattern, **values)


def sums_of(rows, **options) -> Sums:
    """Return what a history of these rows adds up to."""
    return sums_with(Sums(), tick(rows, **options))


def gpu(**values) -> GpuReading:
    """Return a GPU that told everything, but for what is given."""
    told = {
        "uuid": "GPU-a",
        "index": 0,
        "name": "Card",
        "moment": NOW,
        "has_energy_counter": True,
        "energy_joules": 6_000.0,
        "power_watts": 100.0,
        "power_limit_watts": 300.0,
        "utilization_ratio": 0.5,
        "memory_used_bytes": 2**30,
        "memory_bytes": 2**34,
        "temperature_celsius": 60.0,
    }
    return GpuReading(**{**told, **values})


def engine_view(name="chat", **values) -> EngineView:
    """Return an engine that answers."""
    told = {
        "engine": name,
        "kind": "vllm",
        "address": "http://127.0.0.1:8000/metrics",
        "up": True,
        "models": ("small",),
        "requests_running": 2,
        "requests_waiting": 1,
        "step_tokens": 1,
    }
    return EngineView(**{**told, **values})


def snapshot(rows=None, *, capacity=CAPACITY, **values) -> Snapshot:
    """Return a snapshot of a machine that served these rows, with one window, but for what is given."""
    rows = {(HOUR, "chat", "small"): served()} if rows is None else rows
    sums = sums_of(rows)
    window = window_view(
        sums,
        name="1h",
        start_utc_seconds=NOW.utc_seconds - 3_600,
        seconds=3_600.0,
        capacities={"chat": capacity},
    )
    shown = {
        "moment": NOW,
        "started_utc_seconds": float(HOUR),
        "version": "1.2.3",
        "simulated": False,
        "currency": "EUR",
        "totals": sums,
        "source_totals": {"chat": SourceTotals(restarts=2, gap_seconds=30.0)},
        "gpus": (gpu(),),
        "gpu_indexes": {"GPU-a": 0},
        "gpu_owners": {"GPU-a": ("chat",)},
        "counter_power_ratios": {"GPU-a": 1.01},
        "gpus_released": False,
        "engines": (engine_view(capacity=CAPACITY),),
        "sources": (
            SourceHealth(
                source="chat",
                kind="vllm",
                address="http://127.0.0.1:8000/metrics",
                up=True,
                last_success_utc_seconds=NOW.utc_seconds - 5,
                read_duration_seconds=0.01,
            ),
        ),
        "windows": (window,),
        "electricity_price_per_kwh": 0.36,
        "electricity": ElectricityView(is_stale=False),
        "cost_per_hour": Costs(hardware=3.6, energy=0.036, labour=0.0, other=0.0),
        "assumptions": (Assumption(setting="hardware", text="Assumed.", line_to_write="hardware: {}"),),
        "history": HistoryHealth(path="/history.db", up=True),
        "config_reload_ok": True,
        "host": HostView(
            source="rapl",
            meter="/sys/class/powercap",
            covers="cpu",
            reason="the best that was found",
            host_watts=10.0,
        ),
        "events": (Event(utc_seconds=float(HOUR), kind="gap", subject="chat", text="A gap."),),
    }
    return Snapshot(**{**shown, **values})
