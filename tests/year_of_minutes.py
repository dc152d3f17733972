"""A simulated year of minutes: 4 models, 8 GPUs, 3 references, written with SQL of the tests' own.

What each minute holds follows from its number, so that anything it adds up to can be worked out a second
time. The money is at the prices of `SETTINGS`, by formulas of the tests' own too.
"""

import math
import sqlite3
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from evenwatt.sinks.history import History, PriceRow
from evenwatt.sinks.history.local_days import LocalDays
from evenwatt.sinks.history.rollups import add_up_days, add_up_hours, add_up_local_days, add_up_totals
from evenwatt.sinks.history.schema import TABLES

__all__ = ["BEGIN", "END", "MODELS", "SETTINGS", "ZONE", "month_totals", "write_year"]

ZONE = ZoneInfo("Europe/Berlin")
BEGIN, END = (int(datetime(year, 1, 1, tzinfo=ZONE).timestamp()) for year in (2026, 2027))
MODELS = (("chat", "large"), ("chat", "small"), ("code", "coder"), ("search", "embedder"))
GPUS = 8
HARDWARE_PER_HOUR, LABOUR_PER_HOUR = 7.2, 0.9
DAY_PRICE, NIGHT_PRICE, PUE = 0.36, 0.18, 1.25
RATES = {"one": (1.0, 5.0), "two": (0.15, 0.6), "three": (0.3, 2.5)}
SETTINGS = """
    timezone: Europe/Berlin
    electricity:
      pue: 1.25
      prices:
        - price_per_kwh: 0.36
          bands: [{name: night, start: "22:00", end: "06:00", price_per_kwh: 0.18}]
    hardware: {mode: rented_always_on, rent_per_hour: 7.2}
    labour: {hours_per_month: 7.3, rate_per_hour: 90}
    references:
      - {name: one, input: 1.0, output: 5.0}
      - {name: two, input: 0.15, output: 0.6}
      - {name: three, input: 0.3, output: 2.5}
"""

_DAY, _HOUR, _MINUTE = 86_400, 3_600, 60
_USAGE = """
    INSERT INTO minute_usage (minute, engine, model, input_tokens, cached_input_tokens, output_tokens,
        requests_completed, active_joules, idle_loaded_joules, active_seconds, idle_loaded_seconds,
        down_seconds, estimated, restarted, hardware_cost, energy_cost, labour_cost, other_cost,
        idle_loaded_cost)
    WITH RECURSIVE minutes(minute) AS (
        SELECT ?1 UNION ALL SELECT minute + 60 FROM minutes WHERE minute + 60 < ?2),
    used AS (
        SELECT minute, engine, model, number,
            1000 + (minute / 60 * 7 + number * 13) % 997 AS tokens,
            800.0 + (minute / 60 * 31 + number * 17) % 1009 / 7.0 AS active,
            40.0 + (minute / 60 * 11 + number * 5) % 101 / 3.0 AS idle,
            price_at(minute) AS price
        FROM minutes, (SELECT 0 AS number, 'chat' AS engine, 'large' AS model
            UNION ALL SELECT 1, 'chat', 'small' UNION ALL SELECT 2, 'code', 'coder'
            UNION ALL SELECT 3, 'search', 'embedder'))
    SELECT minute, engine, model, tokens, tokens / 3, tokens / 5, 3, active, idle, 10.0, 5.0, 0.0, 0, 0,
        15.0 * 7.2 / 3600, (active + idle) * 1.25 * price / 3.6e6, 15.0 * 0.9 / 3600, 0.0,
        5.0 * 7.2 / 3600 + idle * 1.25 * price / 3.6e6 + 5.0 * 0.9 / 3600
    FROM used
"""
_API = """
    INSERT INTO minute_api (minute, engine, model, reference, tokens, no_cache_cost, observed_tokens,
        observed_cache_cost)
    SELECT minute, engine, model, ?3, input_tokens + cached_input_tokens + output_tokens,
        ((input_tokens + cached_input_tokens) * ?4 + output_tokens * ?5) / 1e6,
        input_tokens + cached_input_tokens + output_tokens,
        ((input_tokens + cached_input_tokens) * ?4 + output_tokens * ?5) / 1e6
    FROM minute_usage WHERE minute >= ?1 AND minute < ?2
"""
_GPU = """
    INSERT INTO minute_gpu (minute, uuid, energy_joules, measured_seconds, utilization_seconds, estimated)
    WITH RECURSIVE gpus(number) AS (SELECT 0 UNION ALL SELECT number + 1 FROM gpus WHERE number < 7)
    SELECT minute, 'GPU-8f3c2d1e-0000-4000-8000-00000000000' || number,
        joules / 8, 60.0, (minute / 60 * 3 + number) % 61 * 1.0, 0
    FROM (SELECT minute, sum(active_joules + idle_loaded_joules) AS joules FROM minute_usage
        WHERE minute >= ?1 AND minute < ?2 GROUP BY minute), gpus
"""
_HOST = """
    INSERT INTO minute_host (minute, seconds, down_seconds, estimated_seconds)
    SELECT DISTINCT minute, 60.0, 0.0, 0.0 FROM minute_usage WHERE minute >= ?1 AND minute < ?2
"""


def write_year(path: Path, *, keep_minutes_days: int = 30, keep_hours_days: int = 730) -> None:
    """Write the year, day by day, and forget as the agent does."""
    with closing(History(path, currency="USD", zone=ZONE)) as history:
        history.settle_prices(
            PriceRow(
                reference=name,
                valid_from_utc_seconds=0.0,
                accepted_utc_seconds=0.0,
                input_usd_per_mtok=read,
                cached_input_usd_per_mtok=None,
                output_usd_per_mtok=wrote,
                source="configuration",
                accepted_by="configuration",
            )
            for name, (read, wrote) in RATES.items()
        )
        for start in range(BEGIN // _DAY * _DAY, END, _DAY):
            _write_day(history._connection, max(start, BEGIN), min(start + _DAY, END))
            before = {"minute": start - keep_minutes_days * _DAY, "hour": start - keep_hours_days * _DAY}
            while history.forget_some(before):
                pass
        history._connection.execute("BEGIN")
        add_up_totals(history._connection, ("usage", "api", "gpu"))
        history._connection.execute("INSERT INTO total_host SELECT 1, sum(seconds), 0, 0 FROM day_host")
        history._connection.execute("COMMIT")
        history._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _write_day(connection: sqlite3.Connection, start: int, end: int) -> None:
    connection.create_function("price_at", 1, _price_at, deterministic=True)
    connection.execute("BEGIN")
    connection.execute(_USAGE, (start, end))
    for name, rates in RATES.items():
        connection.execute(_API, (start, end, name, *rates))
    connection.execute(_GPU, (start, end))
    connection.execute(_HOST, (start, end))
    add_up_hours(connection, start, end, TABLES)
    add_up_days(connection, start, end, TABLES)
    add_up_local_days(connection, LocalDays(ZONE), start, end, TABLES)
    connection.execute("COMMIT")


def _price_at(minute: int) -> float:
    return DAY_PRICE if 6 <= datetime.fromtimestamp(minute, ZONE).hour < 22 else NIGHT_PRICE


def month_totals() -> dict[str, dict[str, float]]:
    """Return what each month of the site's calendar adds up to, minute by minute, with exact sums."""
    parts: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for hour in range(BEGIN, END, _HOUR):
        local, price = datetime.fromtimestamp(hour, ZONE), _price_at(hour)
        month = parts[f"{local:%Y-%m}"]
        for minute in range(hour // _MINUTE, hour // _MINUTE + 60):
            for name, value in _minute(minute, price):
                month[name].append(value)
    return {
        month: {name: math.fsum(values) for name, values in columns.items()}
        for month, columns in parts.items()
    }


def _minute(number_of_minute: int, price: float) -> Iterator[tuple[str, float]]:
    tokens = [1000 + (number_of_minute * 7 + number * 13) % 997 for number in range(len(MODELS))]
    active = [800.0 + (number_of_minute * 31 + number * 17) % 1009 / 7.0 for number in range(len(MODELS))]
    idle = [40.0 + (number_of_minute * 11 + number * 5) % 101 / 3.0 for number in range(len(MODELS))]
    joules = sum(active) + sum(idle)
    read = sum(count + count // 3 for count in tokens)
    wrote = sum(count // 5 for count in tokens)
    yield "tokens", read + wrote
    yield "joules", joules
    yield "hardware_cost", HARDWARE_PER_HOUR / 60
    yield "labour_cost", LABOUR_PER_HOUR / 60
    yield "energy_cost", joules * PUE * price / 3.6e6
    yield "seconds", 60.0
    for name, (read_price, write_price) in RATES.items():
        yield f"api_{name}", (read * read_price + wrote * write_price) / 1e6
