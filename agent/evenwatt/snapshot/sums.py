"""What a span of the history adds up to, and how a tick not yet written is added to it."""

from collections.abc import Iterable, Mapping
from operator import attrgetter
from typing import Any, TypeVar

from msgspec import Struct, field
from msgspec.structs import replace

from evenwatt.economics.api import ApiCost
from evenwatt.economics.cost import Costs, MinuteCosts
from evenwatt.economics.sums import known_sum
from evenwatt.economics.tokens import Tokens
from evenwatt.ledger import EngineUse, GpuUse, HostUse, MeterUse, Posting, Usage, UsageKey
from evenwatt.ledger.entries import Row, add_rows
from evenwatt.model import State

__all__ = [
    "ApiBill",
    "ApiKey",
    "Money",
    "PricedPosting",
    "Sums",
    "bill_of",
    "bill_sum",
    "later_part",
    "money_of",
    "money_sum",
    "sums_with",
    "tokens_of",
    "total_money",
]

Key = TypeVar("Key")

ApiKey = tuple[int, str, str, str]
"""(minute, engine, model, reference)"""


class PricedPosting(Struct, frozen=True, kw_only=True):
    """A tick's physics and the money at the prices of each minute."""

    posting: Posting
    costs: Mapping[UsageKey, MinuteCosts]
    api: Mapping[ApiKey, ApiCost]


class Money(Struct, frozen=True, kw_only=True):
    """Sums of money; None where nothing of it is known.

    Attributes:
        unpriced_seconds: The machine's time in these sums for which no hardware price was known.
        unpriced_joules: The energy in these sums for which no electricity price was known.
    """

    hardware: float | None = None
    energy: float | None = None
    labour: float | None = None
    other: float | None = None
    idle_loaded: float | None = None
    idle_empty: float | None = None
    unpriced_seconds: float | None = None
    unpriced_joules: float | None = None

    @property
    def costs(self) -> Costs:
        """What is known of it, by component."""
        return Costs(hardware=self.hardware, energy=self.energy, labour=self.labour, other=self.other)

    @property
    def whole_costs(self) -> Costs:
        """The same, without what had no price for a part of the time: a part is not the whole."""
        return Costs(
            hardware=None if self.unpriced_seconds else self.hardware,
            energy=None if self.unpriced_joules else self.energy,
            labour=self.labour,
            other=self.other,
        )


_AMOUNTS = attrgetter(*Money.__struct_fields__)


class ApiBill(Struct, frozen=True, kw_only=True):
    """What tokens would have cost at an API, and how many tokens each bound is for.

    Attributes:
        tokens: That were priced; fewer than were served where the reference came later or was away.
        no_cache: As if its cache hit nothing.
        observed_tokens: The part of them of which the engine told its cache hits.
        observed_cache: For that part, with those hits.
    """

    tokens: int = 0
    no_cache: float | None = None
    observed_tokens: int = 0
    observed_cache: float | None = None


class Sums(Struct, frozen=True, kw_only=True):
    """What a span of the history adds up to.

    Attributes:
        usage: By (engine, model).
        money: By (engine, model).
        api: By (engine, model, reference).
        gpus: By UUID.
        engines: By engine.
        meters: By source of host power; what the machine drew beside its GPUs.
        host: For the machine.
    """

    usage: Mapping[tuple[str, str], Usage] = field(default_factory=dict)
    money: Mapping[tuple[str, str], Money] = field(default_factory=dict)
    api: Mapping[tuple[str, str, str], ApiBill] = field(default_factory=dict)
    gpus: Mapping[str, GpuUse] = field(default_factory=dict)
    engines: Mapping[str, EngineUse] = field(default_factory=dict)
    meters: Mapping[str, MeterUse] = field(default_factory=dict)
    host: HostUse = field(default_factory=HostUse)


def tokens_of(usage: Usage) -> Tokens:
    """Return the tokens of a row; cached stays None where no engine in it tells."""
    return Tokens(
        input_tokens=usage.input_tokens or 0,
        cached_input_tokens=usage.cached_input_tokens,
        output_tokens=usage.output_tokens or 0,
    )


def money_of(costs: MinuteCosts | None, usage: Usage) -> Money:
    """Return what one row cost; nothing is known of a row that was not priced."""
    if costs is None:
        return Money()
    held = (usage.active_seconds, usage.idle_loaded_seconds, usage.idle_empty_seconds)
    seconds = sum(value for value in held if value is not None)
    return Money(
        hardware=costs.costs.hardware,
        energy=costs.costs.energy,
        labour=costs.costs.labour,
        other=costs.costs.other,
        idle_loaded=costs.idle.get(State.IDLE_LOADED),
        idle_empty=costs.idle.get(State.IDLE_EMPTY),
        unpriced_seconds=seconds if seconds and costs.costs.hardware is None else None,
        unpriced_joules=costs.unpriced_joules,
    )


def bill_of(cost: ApiCost, usage: Usage) -> ApiBill:
    """Return the bill for all tokens of one row."""
    tokens = int(tokens_of(usage).total_tokens)
    return ApiBill(
        tokens=tokens,
        no_cache=cost.no_cache,
        observed_tokens=0 if cost.observed_cache is None else tokens,
        observed_cache=cost.observed_cache,
    )


def sums_with(sums: Sums, priced: PricedPosting) -> Sums:
    """Return sums with a tick added that the history does not hold yet."""
    posting = priced.posting
    usage = {key: replace(row) for key, row in sums.usage.items()}
    money = dict(sums.money)
    for (minute, engine, model), row in posting.usage.items():
        _add_to(usage, (engine, model), row)
        added = money_of(priced.costs.get((minute, engine, model)), row)
        money[engine, model] = money_sum(money.get((engine, model), Money()), added)
    api = dict(sums.api)
    for (minute, engine, model, reference), cost in priced.api.items():
        bill = bill_of(cost, posting.usage[minute, engine, model])
        key = (engine, model, reference)
        api[key] = bill_sum(api.get(key, ApiBill()), bill)
    gpus = {uuid: replace(row) for uuid, row in sums.gpus.items()}
    for (_, uuid), gpu_row in posting.gpus.items():
        _add_to(gpus, uuid, gpu_row)
    engines = {engine: replace(row) for engine, row in sums.engines.items()}
    for (_, engine), engine_row in posting.engines.items():
        _add_to(engines, engine, engine_row)
    meters = {source: replace(row) for source, row in sums.meters.items()}
    for (_, source), meter_row in posting.meters.items():
        _add_to(meters, source, meter_row)
    host = replace(sums.host)
    for host_row in posting.hosts.values():
        add_rows(host, host_row)
    return Sums(usage=usage, money=money, api=api, gpus=gpus, engines=engines, meters=meters, host=host)


def later_part(priced: PricedPosting, minute: int) -> PricedPosting:
    """Return what of a tick lies in a minute or after it."""

    def later(rows: Mapping[Any, Row]) -> dict[Any, Row]:
        return {key: row for key, row in rows.items() if key[0] >= minute}

    posting = priced.posting
    return PricedPosting(
        posting=replace(
            posting,
            usage=later(posting.usage),
            gpus=later(posting.gpus),
            engines=later(posting.engines),
            meters=later(posting.meters),
            hosts={at: row for at, row in posting.hosts.items() if at >= minute},
        ),
        costs=priced.costs,
        api={key: cost for key, cost in priced.api.items() if key[0] >= minute},
    )


def total_money(parts: Iterable[Money]) -> Money:
    """Return the sum of several; unknown only where no part is known."""
    parts = tuple(parts)
    if len(parts) == 1:
        return parts[0]
    columns = zip(*map(_AMOUNTS, parts), strict=True)
    return Money(**dict(zip(Money.__struct_fields__, map(known_sum, columns), strict=False)))


def _add_to(rows: dict[Key, Row], key: Key, row: Row) -> None:
    if key in rows:
        add_rows(rows[key], row)
    else:
        rows[key] = replace(row)


def money_sum(one: Money, other: Money) -> Money:
    """Return two sums of money as one; unknown only where neither is known."""
    return total_money((one, other))


def bill_sum(one: ApiBill, other: ApiBill) -> ApiBill:
    """Return two bills as one, for the tokens of both."""
    return ApiBill(
        tokens=one.tokens + other.tokens,
        no_cache=known_sum((one.no_cache, other.no_cache)),
        observed_tokens=one.observed_tokens + other.observed_tokens,
        observed_cache=known_sum((one.observed_cache, other.observed_cache)),
    )
