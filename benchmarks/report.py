"""How long `evenwatt report` takes over a year of history, and how large that history is."""

import math
import random
import tempfile
import time
from contextlib import closing
from pathlib import Path

from benchmarks.commands import add_yardstick, median_seconds
from benchmarks.figures import Table
from evenwatt.economics.api import reference_price_from_usd
from evenwatt.economics.cost import PriceBook
from evenwatt.economics.ownership import Owned
from evenwatt.economics.tariffs import flat_tariff
from evenwatt.ledger import GpuUse, HostUse, Posting, Usage
from evenwatt.model import UNALLOCATED
from evenwatt.service.billing import priced
from evenwatt.sinks.history import History
from written_hours import write_hours

HOUR, DAY, MINUTES = 3_600, 86_400, 60
HOURS = 365 * 24
HOURS_OF_MINUTES = 30 * 24
ENGINES = {"chat": ("large", "small"), "code": ("coder",), "search": ("embedder",)}
GPUS = 8
REPORT_SECONDS = 0.5
YEAR_MEBIBYTES = 150
CONFIG = """
timezone: Europe/Berlin
electricity: {price_per_kwh: 0.30}
hardware: {purchase_price: 250000, lifetime_years: 4}
labour: {fte: 0.2, salary_per_year: 90000}
engines:
  - {name: chat, kind: vllm, url: "http://127.0.0.1:8000", capacity_tokens_per_second: 20000}
  - {name: code, kind: vllm, url: "http://127.0.0.1:8001", capacity_tokens_per_second: 9000}
  - {name: search, kind: vllm, url: "http://127.0.0.1:8002", capacity_tokens_per_second: 30000}
references:
  - {name: one, input: 1.0, cached_input: 0.1, output: 5.0}
  - {name: two, input: 0.15, cached_input: 0.075, output: 0.6}
  - {name: three, input: 0.3, cached_input: 0.03, output: 2.5}
"""
RATES = {"one": (1.0, 0.1, 5.0), "two": (0.15, 0.075, 0.6), "three": (0.3, 0.03, 2.5)}
BOOK = PriceBook(
    hardware=Owned(purchase_price=250_000.0, lifetime_years=4.0),
    tariff=flat_tariff(0.30),
    references=tuple(
        reference_price_from_usd(
            name=name,
            valid_from_utc_seconds=0.0,
            input_usd_per_mtok=input_usd,
            cached_input_usd_per_mtok=cached_usd,
            output_usd_per_mtok=output_usd,
        )
        for name, (input_usd, cached_usd, output_usd) in RATES.items()
    ),
)


def run(_seconds):
    with tempfile.TemporaryDirectory(prefix="evenwatt-bench-") as name:
        folder = Path(name)
        config, history = folder / "config.yaml", folder / "history.db"
        config.write_text(CONFIG + f"history: {{path: {history}}}\n", encoding="utf-8")
        began = time.perf_counter()
        write_year(history)
        table = Table(
            "report",
            f"A year of hours and its last 30 days of minutes: {sum(map(len, ENGINES.values()))} models, "
            f"{GPUS} GPUs, {len(RATES)} references; written in {time.perf_counter() - began:.0f} s. Start of "
            "the interpreter to its end; files in the page cache.",
        )
        add_yardstick(table)
        for options in ("--window all --json", "--window all", "--window 30d --json"):
            wall, cpu = median_seconds(("report", *options.split(), "--config", str(config)))
            table.add(f"evenwatt report {options}", wall, "s", REPORT_SECONDS)
            table.add(f"evenwatt report {options}, CPU", cpu, "s")
        table.add("the history", history.stat().st_size / 2**20, "MiB", YEAR_MEBIBYTES)
    return table


def write_year(path):
    """Write a year up to the last whole hour: hours of working days and nights, and minutes of the last."""
    with closing(History(path, currency="USD")):
        pass
    end = int(time.time()) // HOUR * HOUR
    chance = random.Random(1)
    start = end - HOURS * HOUR
    hours = (_posting(range(day, min(day + DAY, end), HOUR), chance) for day in range(start, end, DAY))
    write_hours(
        path,
        (priced(posting, BOOK) for posting in hours),
        start,
        end,
        minutes_from=end - HOURS_OF_MINUTES * HOUR,
    )


def _posting(hours, chance):
    usage, gpus, hosts = {}, {}, {}
    for hour in hours:
        for engine, models in ENGINES.items():
            for model in models:
                usage[hour, engine, model] = _usage(hour, engine, 2 / GPUS / len(models), chance)
        usage[hour, UNALLOCATED, ""] = Usage(
            idle_empty_joules=2 * 60.0 * HOUR, idle_empty_seconds=HOUR * 2 / GPUS, down_seconds=0.0
        )
        for gpu in range(GPUS):
            gpus[hour, f"GPU-{gpu}"] = GpuUse(
                energy_joules=200.0 * HOUR, measured_seconds=float(HOUR), utilization_seconds=0.5 * HOUR
            )
        hosts[hour] = HostUse(seconds=float(HOUR), down_seconds=0.0, estimated_seconds=0.0)
    return Posting(usage=usage, gpus=gpus, hosts=hosts)


def _usage(hour, engine, share, chance):
    busy = max(0.0, math.sin((hour % 86_400) / 86_400 * math.tau - 2)) if engine != "search" else 0.4
    busy *= chance.uniform(0.6, 1.4) / 1.4
    tokens = int(4_000_000 * busy) // MINUTES * MINUTES
    return Usage(
        input_tokens=tokens,
        cached_input_tokens=tokens // 240 * MINUTES,
        output_tokens=tokens // 300 * MINUTES,
        requests_completed=tokens // 120_000 * MINUTES,
        active_joules=500.0 * GPUS * busy * share * HOUR,
        idle_loaded_joules=90.0 * GPUS * (1 - busy) * share * HOUR,
        active_seconds=busy * share * HOUR,
        idle_loaded_seconds=(1 - busy) * share * HOUR,
        down_seconds=0.0,
    )
