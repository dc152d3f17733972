"""What is said to SQLite: a tick as rows, and the statements that add them up."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from operator import attrgetter
from typing import Any, Final

from evenwatt.economics.api import ReferencePrice, computed_input_per_mtok
from evenwatt.ledger import ClientUse, EngineUse, GpuUse, HostUse, MeterUse, Usage
from evenwatt.ledger.entries import LARGER_WINS
from evenwatt.sinks.history.local_days import local_day_of
from evenwatt.sinks.history.schema import API_COLUMNS, COST_COLUMNS, LEVELS, LOCAL_DAY, TABLES
from evenwatt.snapshot import ApiBill, PricedPosting, bill_of, money_of
from evenwatt.units import TOKENS_PER_MTOK

__all__ = [
    "LEAST_SECONDS",
    "SERVED_MINUTES",
    "Row",
    "adding",
    "adding_up_bills",
    "adding_up_local_bills",
    "adding_up_total_bills",
    "at_level",
    "by_local_day",
    "pricing_back",
    "rows_of",
    "sums_of",
    "token_prices",
]

LEAST_SECONDS: Final = 1e-3
"""What rounding may leave of a row when its finer ones are taken off."""

Row = tuple[Any, ...]
"""What SQLite takes and gives: keys first, then columns."""

_usage_values = attrgetter(*Usage.__struct_fields__)
_money_values = attrgetter(*(column.removesuffix("_cost") for column in COST_COLUMNS))
_bill_values = attrgetter(*ApiBill.__struct_fields__)
_client_values = attrgetter(*ClientUse.__struct_fields__)
_gpu_values = attrgetter(*GpuUse.__struct_fields__)
_engine_values = attrgetter(*EngineUse.__struct_fields__)
_meter_values = attrgetter(*MeterUse.__struct_fields__)
_host_values = attrgetter(*HostUse.__struct_fields__)


def rows_of(priced: PricedPosting) -> Mapping[str, list[Row]]:
    """Return the rows of a tick by table, each led by its minute."""
    posting = priced.posting
    return {
        "usage": [
            (*key, *_usage_values(row), *_money_values(money_of(priced.costs.get(key), row)))
            for key, row in posting.usage.items()
        ],
        "api": [
            (*key, *_bill_values(bill_of(cost, posting.usage[key[:3]]))) for key, cost in priced.api.items()
        ],
        "client": [(*key, *_client_values(row)) for key, row in posting.clients.items()],
        "gpu": [(*key, *_gpu_values(row)) for key, row in posting.gpus.items()],
        "engine": [(*key, *_engine_values(row)) for key, row in posting.engines.items()],
        "meter": [(*key, *_meter_values(row)) for key, row in posting.meters.items()],
        "host": [(minute, *_host_values(row)) for minute, row in posting.hosts.items()],
    }


def at_level(rows: Iterable[Row], table: str, seconds: int | None) -> Iterator[Row]:
    """Yield rows with the time that a level knows in place of the minute."""
    timeless = () if TABLES[table][0] else (1,)
    for minute, *values in rows:
        yield (*(timeless if seconds is None else (minute // seconds * seconds,)), *values)


def by_local_day(rows: Iterable[Row], day_of: Callable[[int], int]) -> Iterator[Row]:
    """Yield rows with the day of the site's calendar in place of the minute."""
    for minute, *values in rows:
        yield (day_of(minute), *values)


def sums_of(columns: Iterable[str]) -> list[str]:
    """Return what several rows are as one, column by column, as SQL."""
    return [f"{'max' if column in LARGER_WINS else 'sum'}({column})" for column in columns]


def _key(level: str, table: str) -> tuple[str, ...]:
    owner = TABLES[table][0]
    return (level, *owner) if level != "total" else owner or ("one",)


@cache
def adding(level: str, table: str, source: str | None = None) -> str:
    """Return the statement that adds a row to the one of its key; NULL plus 3 is 3.

    Args:
        level: Of the row.
        table: Of the row.
        source: A query of rows; None: the row's values are given.
    """
    key, columns = _key(level, table), TABLES[table][1]
    names = (*key, *columns)
    sums = ", ".join(
        f"{c} = max({c}, excluded.{c})"
        if c in LARGER_WINS
        else f"{c} = coalesce({c} + excluded.{c}, {c}, excluded.{c})"
        for c in columns
    )
    rows = source or f"VALUES ({', '.join('?' * len(names))})"
    return (
        f"INSERT INTO {level}_{table} ({', '.join(names)}) {rows}"
        f" ON CONFLICT ({', '.join(key)}) DO UPDATE SET {sums}"
    )


def token_prices(
    price: ReferencePrice, token_ratio: float, *, has_cache_write_surcharge: bool = False
) -> dict[str, object]:
    """Return what `pricing_back` takes of a price, but for its end: money for each token counted here."""
    scale = token_ratio / TOKENS_PER_MTOK
    cached = price.cached_input_per_mtok
    computed = computed_input_per_mtok(price, has_cache_write_surcharge=has_cache_write_surcharge)
    return {
        "reference": price.name,
        "begin": price.valid_from_utc_seconds,
        "input": price.input_per_mtok * scale,
        "computed": computed * scale,
        "cached": (price.input_per_mtok if cached is None else cached) * scale,
        "output": price.output_per_mtok * scale,
    }


_FINEST: Final[Mapping[str, str]] = {
    "minute": "minute >= :minutes_from",
    "hour": "hour >= :hours_from AND hour < :minutes_from",
    "day": "day < :hours_from",
}
"""Of each level, the rows of which no finer ones are kept: together they are all of the history, once."""


def pricing_back(level: str) -> str:
    """Return the statement that prices the rows of a price whose bill is not for all of their tokens.

    Only those of which no finer ones are kept; the coarser ones are added up.
    """
    return f"""
        WITH served AS (
            SELECT {level}, coalesce(input_tokens, 0) AS computed, cached_input_tokens AS cached,
                coalesce(output_tokens, 0) AS output,
                coalesce(input_tokens, 0) + coalesce(cached_input_tokens, 0)
                    + coalesce(output_tokens, 0) AS tokens
            FROM {level}_usage
            WHERE engine = :engine AND model = :model AND {level} >= :begin AND {level} < :end
                AND {_FINEST[level]}
        )
        INSERT OR REPLACE INTO {level}_api ({level}, engine, model, reference,
            tokens, no_cache_cost, observed_tokens, observed_cache_cost)
        SELECT {level}, :engine, :model, :reference,
            tokens, (computed + coalesce(cached, 0)) * :input + output * :output,
            iif(cached IS NULL, 0, tokens), computed * :computed + cached * :cached + output * :output
        FROM served
        WHERE tokens > 0 AND tokens IS NOT (
            SELECT priced.tokens FROM {level}_api AS priced
            WHERE priced.{level} = served.{level}
                AND (engine, model, reference) = (:engine, :model, :reference))
    """  # noqa: S608 -- our own names only


SERVED_MINUTES: Final = """
    WITH computed AS (
        SELECT minute, engine, model, estimated,
            coalesce(input_tokens, 0) + coalesce(output_tokens, 0) AS tokens
        FROM minute_usage
        WHERE engine <> ? AND minute >= ? AND minute < ?
    )
    SELECT minute, engine, count(iif(tokens > 0, 1, NULL)), max(iif(tokens > 0, model, NULL)),
        sum(tokens), max(estimated), coalesce(waiting_seconds, 0)
    FROM computed LEFT JOIN minute_engine USING (minute, engine)
    GROUP BY minute, engine ORDER BY minute, engine
"""
"""What engines computed in each minute: of how many models and the last of them, and how long one waited."""


def adding_up_bills(level: str, finer: str) -> str:
    """Return the statement that makes a level's bills what those of a finer one that is kept add up to."""
    seconds = dict(LEVELS)[level]
    key = f"{finer} / {seconds} * {seconds} AS {level}"
    source = f"SELECT {key}, * FROM {finer}_api WHERE {finer} >= :{finer}s_from"  # noqa: S608 -- our own names only
    return _adding_up_bills(f"{level},", source, level)


def adding_up_local_bills() -> str:
    """Return the statement that makes the bills of the site's days what the finest kept ones add up to."""
    source = " UNION ALL ".join(
        f"SELECT {local_day_of(level, level)} AS {LOCAL_DAY},"  # noqa: S608 -- our own names only
        f" engine, model, reference, {', '.join(API_COLUMNS)} FROM {level}_api WHERE {finest}"
        for level, finest in _FINEST.items()
    )
    return _adding_up_bills(f"{LOCAL_DAY},", source, LOCAL_DAY)


def adding_up_total_bills() -> str:
    """Return the statement that makes the total bills what all days of UTC add up to."""
    return _adding_up_bills("", "SELECT * FROM day_api", "total")


def _adding_up_bills(time: str, source: str, level: str) -> str:
    return (
        f"INSERT OR REPLACE INTO {level}_api ({', '.join((*_key(level, 'api'), *API_COLUMNS))})"  # noqa: S608 -- our own names only
        f" SELECT {time} engine, model, reference, {', '.join(sums_of(API_COLUMNS))} FROM ({source})"
        " WHERE (engine, model, reference) = (:engine, :model, :reference)"
        f" GROUP BY {time} engine, model, reference"
    )
