"""What a span of the history costs as it is written, and at other prices."""

from collections.abc import Iterable, Mapping

from msgspec import Struct, field

from evenwatt.snapshot.sums import ApiBill, Money, bill_sum, money_sum, total_money

__all__ = ["MoneySums", "Repricing"]

_NEAR = 1e-9


class MoneySums(Struct, frozen=True):
    """Money added up, to which more can be added.

    Attributes:
        money: By (engine, model).
        bills: By (engine, model, reference).
    """

    money: dict[tuple[str, str], Money] = field(default_factory=dict)
    bills: dict[tuple[str, str, str], ApiBill] = field(default_factory=dict)

    def add(
        self,
        money: Mapping[tuple[int, str, str], Money],
        bills: Mapping[tuple[int, str, str, str], ApiBill],
    ) -> None:
        """Add rows, each led by its time."""
        for (_, *key), row in money.items():
            owner = (key[0], key[1])
            self.money[owner] = money_sum(self.money.get(owner, Money()), row)
        for (_, *names), bill in bills.items():
            whose = (names[0], names[1], names[2])
            self.bills[whose] = bill_sum(self.bills.get(whose, ApiBill()), bill)

    @property
    def total(self) -> Money:
        """All of it, own cost only."""
        return total_money(self.money.values())


class Repricing(Struct, frozen=True, kw_only=True):
    """A span of the history at the prices that it was written with, and at others.

    Attributes:
        start_utc_seconds: Where it begins.
        end_utc_seconds: Where it ends.
        zone_name: In whose calendar it is told.
        currency: Of all money.
        changes: What the command line says instead of the configuration, as typed.
        before: As it is written.
        after: At the prices of now.
        kept_from_utc_seconds: From when on money can be corrected at all, where the span was asked from
            before that; what is older stays as it is.
        is_simulated: Its readings were made up.
        assumptions: What the prices of `after` take for granted, in words.
        hours_until_utc_seconds: Up to where only hours are kept; None where minutes are kept of all of it.
    """

    start_utc_seconds: float
    end_utc_seconds: float
    zone_name: str
    currency: str
    changes: tuple[str, ...]
    before: MoneySums
    after: MoneySums
    is_simulated: bool = False
    assumptions: tuple[str, ...] = ()
    kept_from_utc_seconds: float | None = None
    hours_until_utc_seconds: float | None = None

    @property
    def changes_nothing(self) -> bool:
        """Whether all money is what it was, to the rounding of sums."""
        return self.before.money.keys() == self.after.money.keys() and all(
            _is_near(getattr(one, name), getattr(other, name))
            for one, other in self._pairs()
            for name in type(one).__struct_fields__
        )

    def _pairs(self) -> Iterable[tuple[Money | ApiBill, Money | ApiBill]]:
        for owner in self.before.money:
            yield self.before.money[owner], self.after.money[owner]
        for whose in self.before.bills.keys() | self.after.bills.keys():
            yield self.before.bills.get(whose, ApiBill()), self.after.bills.get(whose, ApiBill())


def _is_near(one: float | None, other: float | None) -> bool:
    if one is None or other is None:
        return one is other
    return abs(one - other) <= _NEAR * max(abs(one), abs(other))
