"""Days of a simulated server as its history holds them, so that `evenwatt demo` has a past to show."""

import math
import random
import time
from contextlib import closing

from evenwatt.economics.api import reference_price_from_usd
from evenwatt.economics.cost import PriceBook
from evenwatt.economics.ownership import Owned
from evenwatt.economics.tariffs import flat_tariff
from evenwatt.ledger import GpuUse, HostUse, MeterUse, Posting, Usage
from evenwatt.model import UNALLOCATED
from evenwatt.service.billing import priced
from evenwatt.sinks.history import History
from written_hours import write_hours

__all__ = ["REFERENCES", "SETTINGS", "write_days"]

HOUR, DAY = 3_600, 86_400
MINUTES = 60
REFERENCES = (
    ("anthropic:claude-haiku-4-5", 1.0, 0.1, 5.0),
    ("openai:gpt-4o-mini", 0.15, 0.075, 0.6),
    ("google:gemini-2.5-flash", 0.3, 0.03, 2.5),
)
SETTINGS = {
    "currency": "EUR",
    "usd_rate": {"rate": 0.92, "date": "2026-11-01"},
    "timezone": "Europe/Berlin",
    "electricity": {"price_per_kwh": 0.3},
    "hardware": {"purchase_price": 5200, "lifetime_years": 3},
    "other": [{"name": "colocation", "per_month": 40}],
    "references": [name for name, *_ in REFERENCES],
    "windows": ["1h", "24h", "7d"],
    "sampling": {"tick_seconds": 1, "gpu_seconds": 1},
}
"""Of an agent whose prices are those that the days were written at."""

_BOOK = PriceBook(
    hardware=Owned(purchase_price=5_200.0, lifetime_years=3.0),
    tariff=flat_tariff(0.30),
    references=tuple(
        reference_price_from_usd(
            name=name,
            valid_from_utc_seconds=0.0,
            input_usd_per_mtok=read * 0.92,
            cached_input_usd_per_mtok=cached * 0.92,
            output_usd_per_mtok=wrote * 0.92,
        )
        for name, read, cached, wrote in REFERENCES
    ),
)
_ENGINES = {
    "sim-chat": ("simulated-chat-8b", 0.55, 4_000_000),
    "sim-code": ("simulated-code-14b", 0.35, 900_000),
}


def write_days(path, days, *, models=None, days_of_minutes=3):
    """Write days up to the last whole hour.

    Args:
        path: Of a history that is not there yet.
        days: How many.
        models: By engine, what its model is called instead.
        days_of_minutes: The last days, of which minutes are kept too.
    """
    with closing(History(path, currency="EUR", simulated=True)):
        pass
    end = int(time.time()) // HOUR * HOUR
    chance = random.Random(8)
    names = {engine: (models or {}).get(engine, model) for engine, (model, *_) in _ENGINES.items()}
    start = end - days * DAY
    hours = (_posting(range(day, min(day + DAY, end), HOUR), names, chance) for day in range(start, end, DAY))
    write_hours(
        path,
        (priced(posting, _BOOK) for posting in hours),
        start,
        end,
        minutes_from=end - days_of_minutes * DAY,
    )


def _posting(hours, names, chance):
    usage, gpus, hosts, meters = {}, {}, {}, {}
    for hour in hours:
        for number, (engine, (_, peak, tokens)) in enumerate(_ENGINES.items()):
            busy = _busy(hour, peak) * chance.uniform(0.7, 1.3)
            usage[hour, engine, names[engine]] = _usage(busy, tokens, number)
        usage[hour, UNALLOCATED, ""] = Usage(idle_empty_joules=0.0, idle_empty_seconds=0.0, down_seconds=0.0)
        for gpu in range(2):
            gpus[hour, f"GPU-simulated-{gpu}"] = GpuUse(
                energy_joules=120.0 * HOUR, measured_seconds=float(HOUR)
            )
        meters[hour, "simulated"] = MeterUse(energy_joules=70.0 * HOUR, measured_seconds=float(HOUR))
        hosts[hour] = HostUse(seconds=float(HOUR), down_seconds=0.0, estimated_seconds=0.0)
    return Posting(usage=usage, gpus=gpus, hosts=hosts, meters=meters)


def _busy(hour, peak):
    """Return the share of an hour in which requests run: office hours, less at the weekend."""
    local = (hour + HOUR) % DAY / HOUR
    weekday = (hour // DAY + 3) % 7
    awake = math.exp(-(((local - 10.5) / 2.2) ** 2)) + 0.9 * math.exp(-(((local - 15.5) / 2.4) ** 2))
    return min(peak * (awake + 0.04) * (1.0 if weekday < 5 else 0.3), 0.75)


def _usage(busy, tokens, number):
    served = int(tokens * busy * 2.2) // MINUTES * MINUTES
    told = {"cached_input_tokens": served // MINUTES * MINUTES} if number == 0 else {}
    return Usage(
        input_tokens=served,
        output_tokens=served // 120 * MINUTES,
        requests_completed=served // 60_000 * MINUTES,
        active_joules=330.0 * busy * HOUR,
        idle_loaded_joules=62.0 * (1 - busy) * HOUR,
        active_seconds=busy * HOUR / 2,
        idle_loaded_seconds=(1 - busy) * HOUR / 2,
        down_seconds=0.0,
        **told,
    )
