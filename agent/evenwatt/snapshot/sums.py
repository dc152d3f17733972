"""What a span of the history adds up to, and how a tick not yet written is added to it."""

from collections.abc import Mapping
from dataclasses import astuple, dataclass, field, replace
from typing import TypeVar

from evenwatt.economics.api import ApiCost
from evenwatt.economics.cost import Costs, MinuteCosts
from evenwatt.ledger import GpuUse, HostUse, Posting, Usage, UsageKey
from evenwatt.ledger.entries import Row, add_rows
from evenwatt.model import State

__all__ = ["ApiKey", "Money", "PricedPosting", "Sums", "money_of", "sums_with", "total_money"]

Key = TypeVar("Key")

ApiKey = tuple[int, str, str, str]
"""(minute, engine, model, reference)"""


@dataclass(frozen=True, slots=True, kw_only=True)
class PricedPosting:
    """A tick's physics and the money at the prices of each minute."""

    posting: Posting
    costs: Mapping[UsageKey, MinuteCosts]
    api: Mapping[ApiKey, ApiCost]


@dataclass(frozen=True, slots=True, kw_only=True)
class Money:
    """Sums of money; None where nothing of it is known."""

    hardware: float | None = None
    energy: float | None = None
    labour: float | None = None
    other: float | None = None
    idle_loaded: float | None = None
    idle_empty: float | None = None

    @property
    def costs(self) -> Costs:
        """The same by component."""
        return Costs(hardware=self.hardware, energy=self.energy, labour=self.labour, other=self.other)


def money_of(costs: MinuteCosts | None) -> Money:
    """Return what one row cost; nothing is known of a row that was not priced."""
    if costs is None:
        return Money()
    return Money(
        hardware=costs.costs.hardware,
        energy=costs.costs.energy,
        labour=costs.costs.labour,
        other=costs.costs.other,
        idle_loaded=costs.idle.get(State.IDLE_LOADED),
        idle_empty=costs.idle.get(State.IDLE_EMPTY),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Sums:
    """What a span of the history adds up to.

    Attributes:
        usage: By (engine, model).
        money: By (engine, model).
        api: API-equivalent cost by (engine, model, reference): with the observed cache hits, and without.
        gpus: By UUID.
        host: For the machine.
    """

    usage: Mapping[tuple[str, str], Usage] = field(default_factory=dict)
    money: Mapping[tuple[str, str], Money] = field(default_factory=dict)
    api: Mapping[tuple[str, str, str], tuple[float | None, float | None]] = field(default_factory=dict)
    gpus: Mapping[str, GpuUse] = field(default_factory=dict)
    host: HostUse = field(default_factory=HostUse)


def sums_with(sums: Sums, priced: PricedPosting) -> Sums:
    """Return sums with a tick added that the history does not hold yet."""
    posting = priced.posting
    usage = {key: replace(row) for key, row in sums.usage.items()}
    money = dict(sums.money)
    for (minute, *owner), row in posting.usage.items():
        key = (owner[0], owner[1])
        _add_to(usage, key, row)
        added = money_of(priced.costs.get((minute, *key)))
        money[key] = _total(money.get(key, Money()), added)
    api = dict(sums.api)
    for (_, engine, model, reference), cost in priced.api.items():
        observed, none = api.get((engine, model, reference), (None, None))
        api[engine, model, reference] = (
            _known_sum(observed, cost.observed_cache),
            _known_sum(none, cost.no_cache),
        )
    gpus = {uuid: replace(row) for uuid, row in sums.gpus.items()}
    for (_, uuid), gpu_row in posting.gpus.items():
        _add_to(gpus, uuid, gpu_row)
    host = replace(sums.host)
    for host_row in posting.hosts.values():
        add_rows(host, host_row)
    return Sums(usage=usage, money=money, api=api, gpus=gpus, host=host)


def total_money(parts: list[Money]) -> Money:
    """Return the sum of several; unknown only where no part is known."""
    total = Money()
    for part in parts:
        total = _total(total, part)
    return total


def _add_to(rows: dict[Key, Row], key: Key, row: Row) -> None:
    if key in rows:
        add_rows(rows[key], row)
    else:
        rows[key] = replace(row)


def _total(one: Money, other: Money) -> Money:
    return Money(
        **{
            name: _known_sum(a, b)
            for name, a, b in zip(Money.__slots__, astuple(one), astuple(other), strict=True)
        }
    )


def _known_sum(one: float | None, other: float | None) -> float | None:
    if one is None or other is None:
        return other if one is None else one
    return one + other
