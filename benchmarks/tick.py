"""What one tick of the writer costs, by its parts, on the real modules and a week of history on disk."""

import tempfile
import time
from collections import defaultdict
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC
from pathlib import Path

from msgspec.structs import replace

from benchmarks.figures import Table, median, quantile
from evenwatt.config import parse_settings
from evenwatt.economics.cost import StateUse, minute_costs
from evenwatt.ledger import Ledger, LedgerRules
from evenwatt.model import (
    EngineReading,
    Epoch,
    GpuProcess,
    GpuReading,
    GpusReading,
    ModelCounters,
    Moment,
    PowerSample,
    SourceHealth,
    State,
)
from evenwatt.service.api_prices.quotes import written_prices
from evenwatt.service.billing import priced
from evenwatt.service.capacity import CapacityKeeper
from evenwatt.service.pricing import all_assumptions, price_book
from evenwatt.service.publishing import pages
from evenwatt.service.windows import SumsSince, window_views
from evenwatt.sinks.history import History
from evenwatt.snapshot import EngineView, HistoryHealth, Snapshot

TICK_SECONDS = 10
HOUR = 3_600
START = 1_800_000_000
LISTENER_PID = 1_000
TRANSACTION_MILLISECONDS = 5
WHOLE_MILLISECONDS = TICK_SECONDS * 1_000 / 10
"""A tenth of the time between two ticks: on a crowded machine too the agent is no load of its own."""

SETTINGS = parse_settings(
    b"""
timezone: UTC
references:
  - {name: one, input: 1.0, cached_input: 0.1, output: 5.0}
  - {name: two, input: 0.15, cached_input: 0.075, output: 0.6}
  - {name: three, input: 0.3, cached_input: 0.03, output: 2.5}
""",
    "benchmark",
)


@dataclass(frozen=True)
class Machine:
    """What there is to meter; engines are spread over the GPUs, and models over the engines."""

    gpus: int
    engines: int
    models: int
    hours: int
    ticks: int

    def models_of(self, engine):
        """How many models an engine has."""
        return self.models // self.engines + (engine < self.models % self.engines)

    def engines_on(self, gpu):
        """The engines that compute on a GPU."""
        if self.engines < self.gpus:
            return [gpu * self.engines // self.gpus]
        return range(gpu, self.engines, self.gpus)


USUAL = Machine(gpus=8, engines=4, models=8, hours=7 * 24, ticks=360)
CROWDED = Machine(gpus=8, engines=64, models=500, hours=2, ticks=20)
"""Every model at work in every tick, and every GPU shared by eight engines."""


def run(_seconds):
    return measured("tick", USUAL)


def run_crowded(_seconds):
    return measured("crowd", CROWDED)


def measured(name, machine):
    table = Table(
        name,
        f"One tick with {machine.gpus} GPUs, {machine.engines} engines, {machine.models} models, "
        f"{len(SETTINGS.references)} references and {machine.hours} hours of history on disk; CPU is the "
        f"median of {machine.ticks} ticks. Every sixtieth or so carries SQLite's checkpoint with its two "
        "syncs, which the p99 shows; only the writer waits for it.",
    )
    with tempfile.TemporaryDirectory(prefix="evenwatt-bench-") as folder:
        writer = Writer(Path(folder) / "history.db", machine)
        span = machine.hours * HOUR
        for second in range(0, span, HOUR):
            writer.tick(START + second, Watch())
        watch = Watch()
        for number in range(1, machine.ticks + 1):
            writer.tick(START + span - HOUR + number * TICK_SECONDS, watch)
        writer.close()
    walls = watch.wall_milliseconds["write: the transaction"]
    # Eight models are what the budget of a transaction is for; each one more writes rows of its own.
    budget = TRANSACTION_MILLISECONDS if machine is USUAL else None
    table.add("transaction, wall time: median", median(walls), "ms", budget)
    table.add("transaction, wall time: p99", quantile(walls, 0.99), "ms", budget)
    table.add("transaction, wall time: max", max(walls), "ms")
    for part, costs in watch.cpu_milliseconds.items():
        table.add(f"CPU, {part}", median(costs), "ms")
    wholes = [sum(parts) for parts in zip(*watch.cpu_milliseconds.values(), strict=True)]
    table.add("CPU, whole", median(wholes), "ms", WHOLE_MILLISECONDS)
    table.add("CPU, whole, of the tick that begins a minute", max(wholes), "ms")
    return table


@dataclass
class Watch:
    """What each part has cost, once for each tick."""

    cpu_milliseconds: dict = field(default_factory=lambda: defaultdict(list))
    wall_milliseconds: dict = field(default_factory=lambda: defaultdict(list))

    @contextmanager
    def part(self, name):
        wall, cpu = time.perf_counter(), time.thread_time()
        yield
        self.cpu_milliseconds[name].append((time.thread_time() - cpu) * 1e3)
        self.wall_milliseconds[name].append((time.perf_counter() - wall) * 1e3)


class Writer:
    """The parts of `Agent.tick` after the readings are there, in its order."""

    def __init__(self, path, machine):
        self.machine = machine
        self.history = History(path, currency=SETTINGS.currency)
        rules = LedgerRules(gap_after_seconds=2 * HOUR)
        self.ledger = Ledger(rules, cursors={}, models={})
        prices = [row for written in written_prices(SETTINGS) for row in written.rows]
        gpu_names = [gpu.name for gpu in gpus_reading(moment_at(START), machine).gpus]
        self.book = price_book(SETTINGS, prices, gpu_names)
        self.assumptions = all_assumptions(SETTINGS, gpu_names)
        self.keeper = CapacityKeeper({})
        self.sums_since = SumsSince(self.history)

    def tick(self, utc_seconds, watch):
        moment = moment_at(utc_seconds)
        gpus = gpus_reading(moment, self.machine)
        engines = [
            engine_reading(moment, number, self.machine.models_of(number))
            for number in range(self.machine.engines)
        ]
        names = [engine.engine for engine in engines]
        with watch.part("fold"):
            posting = self.ledger.fold(moment, (gpus, *engines), engines=names)
        with watch.part("price"):
            tick = priced(self.with_capacities(posting), self.book)
        with watch.part("write: the transaction"):
            self.history.write(tick)
        with watch.part("carry sums on"):
            self.sums_since.add(tick)
        with watch.part("capacities"):
            self.keeper.follow(self.history, now_utc_seconds=utc_seconds, kinds=dict.fromkeys(names, "vllm"))
            models = {engine.engine: tuple(model.model for model in engine.models) for engine in engines}
            capacities = self.keeper.capacities({}, models, now_utc_seconds=utc_seconds)
        with watch.part("totals"):
            totals, source_totals = self.history.totals(), self.history.source_totals()
        with watch.part("windows"):
            windows = window_views(
                self.sums_since,
                SETTINGS.windows,
                now_utc_seconds=utc_seconds,
                zone=UTC,
                capacities=capacities,
            )
        with watch.part("snapshot and pages"):
            pages(
                self.snapshot(moment, gpus, engines, totals, source_totals, windows), stale_after_seconds=60
            )

    def with_capacities(self, posting):
        return replace(posting, cursors={**posting.cursors, **self.keeper.changed()})

    def snapshot(self, moment, gpus, engines, totals, source_totals, windows):
        return Snapshot(
            moment=moment,
            started_utc_seconds=START,
            version="benchmark",
            simulated=False,
            currency=SETTINGS.currency,
            totals=totals,
            source_totals=source_totals,
            gpus=gpus.gpus,
            gpu_owners=self.ledger.gpu_owners,
            counter_power_ratios=self.ledger.counter_power_ratios,
            gpus_released=False,
            engines=tuple(engine_view(engine) for engine in engines),
            sources=tuple(health(name, moment) for name in ("nvml", *(e.engine for e in engines))),
            windows=windows,
            electricity_price_per_kwh=SETTINGS.electricity.price_per_kwh,
            cost_per_hour=minute_costs(
                self.book, utc_seconds=moment.utc_seconds, uses={State.ACTIVE: StateUse(seconds=HOUR)}
            ).costs,
            assumptions=self.assumptions,
            history=HistoryHealth(path=str(self.history.path), up=True),
            config_reload_ok=True,
            events=self.history.events(limit=20),
        )

    def close(self):
        self.history.close()


def moment_at(utc_seconds):
    return Moment(utc_seconds=utc_seconds, boot_seconds=utc_seconds - START + HOUR, boot_id="benchmark")


def gpus_reading(moment, machine):
    gpus = (gpu_reading(moment, index, machine.engines_on(index)) for index in range(machine.gpus))
    return GpusReading(moment=moment, gpus=tuple(gpus))


def gpu_reading(moment, index, engines):
    processes = (
        GpuProcess(
            pid=10_000 + engine,
            ancestors=(LISTENER_PID + engine, 1),
            memory_bytes=8_000_000_000,
            sm_utilization_ratio=0.1,
        )
        for engine in engines
    )
    samples = (
        PowerSample(boot_seconds=moment.boot_seconds - age, power_watts=400.0)
        for age in reversed(range(TICK_SECONDS))
    )
    return GpuReading(
        uuid=f"GPU-{index}",
        index=index,
        name="NVIDIA H100 80GB HBM3",
        moment=moment,
        has_energy_counter=True,
        energy_joules=400.0 * moment.boot_seconds,
        power_samples=tuple(samples),
        power_watts=400.0,
        power_limit_watts=700.0,
        utilization_ratio=0.8,
        memory_used_bytes=70_000_000_000,
        memory_bytes=80_000_000_000,
        temperature_celsius=60.0,
        processes=tuple(processes),
    )


def engine_reading(moment, number, models):
    tokens = int(moment.boot_seconds) * 1_000
    counters = (
        ModelCounters(
            model=f"model-{model}",
            input_tokens=tokens,
            cached_input_tokens=tokens // 2,
            output_tokens=tokens // 5,
            requests={"completed": tokens // 500},
            prefill_seconds=tokens / 9_000,
            decode_seconds=tokens / 700,
        )
        for model in range(models)
    )
    return EngineReading(
        engine=f"engine-{number}",
        kind="vllm",
        moment=moment,
        epoch=Epoch(signals={"start_time": "1"}),
        listener_pid=LISTENER_PID + number,
        models=tuple(counters),
        requests_running=3,
        requests_waiting=2,
    )


def engine_view(reading):
    return EngineView(
        engine=reading.engine,
        kind=reading.kind,
        address="http://127.0.0.1:8000/metrics",
        up=True,
        models=tuple(counters.model for counters in reading.models),
        requests_running=reading.requests_running,
        requests_waiting=reading.requests_waiting,
    )


def health(name, moment):
    return SourceHealth(
        source=name,
        kind="any",
        address=name,
        up=True,
        last_success_utc_seconds=moment.utc_seconds,
        read_duration_seconds=0.01,
    )
