"""From one minute's physics to money: the price book of a site, and what a minute costs by it.

Everything is linear in seconds, joules and tokens, so the sum over any split equals the whole. A minute is
priced at one moment, its beginning: prices change at whole minutes.
"""

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase

from msgspec import Struct, field

from evenwatt.economics.api import ApiCost, ReferencePrice, api_cost, reference_price_at
from evenwatt.economics.ownership import Hardware, end_of_life_utc_seconds, hardware_cost, owned_parts
from evenwatt.economics.running import (
    MONTH_HOURS,
    Labour,
    MonthlyCost,
    SetupCost,
    labour_cost_per_second,
    other_cost_per_second,
    setup_cost_per_second,
)
from evenwatt.economics.sums import known_sum, whole_sum
from evenwatt.economics.tariffs import Tariff, energy_cost
from evenwatt.economics.tokens import Tokens
from evenwatt.model import State
from evenwatt.units import SECONDS_PER_HOUR, SECONDS_PER_MINUTE

__all__ = [
    "Costs",
    "MinuteCosts",
    "ModelRule",
    "PriceBook",
    "StateUse",
    "api_costs",
    "costs_per_hour",
    "minute_costs",
    "model_rule",
    "price_edges",
    "summed_costs",
]

_IDLE_STATES = (State.IDLE_LOADED, State.IDLE_EMPTY)


class ModelRule(Struct, frozen=True, kw_only=True):
    """What holds for the served models whose name fits a pattern.

    Attributes:
        pattern: A glob, case-sensitive: `llama-*`.
        references: Names of the references to compare with; None: all of the book.
        token_ratio: Tokens that an API would count for each one counted here.
    """

    pattern: str
    references: tuple[str, ...] | None = None
    token_ratio: float = 1.0


class PriceBook(Struct, frozen=True, kw_only=True):
    """All prices of a site, in its one currency.

    Attributes:
        hardware: Of the whole machine; None: not known, which is not the same as `Sunk`.
        tariff: None: the electricity price is not known.
        labour: None: the owner charges nobody's time.
        setup: Of the machine, as labour; None: nothing is charged for it.
        other: Fixed costs. What is paid by the kWh follows the energy and is part of the tariff.
        references: Dated prices of the API models to compare with.
        rules: By model name; the first that fits applies.
        has_cache_write_surcharge: As for `api_cost`.
    """

    hardware: Hardware | None = None
    tariff: Tariff | None = None
    labour: Labour | None = None
    setup: SetupCost | None = None
    other: tuple[MonthlyCost, ...] = ()
    references: tuple[ReferencePrice, ...] = ()
    rules: tuple[ModelRule, ...] = ()
    month_hours: float = MONTH_HOURS
    has_cache_write_surcharge: bool = False


class StateUse(Struct, frozen=True, kw_only=True):
    """What a part of the machine did in one state within one minute.

    Attributes:
        seconds: A share of the machine's time.
        down_seconds: The part of it in which the machine was off.
        joules: None where not measured.
    """

    seconds: float = 0.0
    down_seconds: float = 0.0
    joules: float | None = None


class Costs(Struct, frozen=True, kw_only=True):
    """Money by component; None where it cannot be known."""

    hardware: float | None = None
    energy: float | None = None
    labour: float | None = None
    other: float | None = None

    @property
    def time(self) -> float | None:
        """What accrues with time alone: hardware, labour, other; None where one is not known."""
        return whole_sum((self.hardware, self.labour, self.other))

    @property
    def known(self) -> float | None:
        """What is known of it, so that parts add up to the whole; the components tell what that is."""
        return known_sum((self.hardware, self.energy, self.labour, self.other))

    @property
    def full(self) -> float | None:
        """All components; None where one is not known, because a part is not the whole."""
        return whole_sum((self.hardware, self.energy, self.labour, self.other))


class MinuteCosts(Struct, frozen=True, kw_only=True):
    """What a part of the machine cost in one minute.

    Attributes:
        idle: Of that, what is known of the cost of each idle state it was in; None without a hardware price.
        unpriced_joules: Energy that was measured and has no price; None: there is none of it.
    """

    costs: Costs
    idle: Mapping[State, float | None] = field(default_factory=dict)
    unpriced_joules: float | None = None


def summed_costs(parts: Iterable[Costs]) -> Costs:
    """Return the sum by component, the way the ledger adds: unknown only where no part is known."""
    parts = tuple(parts)
    return Costs(
        hardware=known_sum(part.hardware for part in parts),
        energy=known_sum(part.energy for part in parts),
        labour=known_sum(part.labour for part in parts),
        other=known_sum(part.other for part in parts),
    )


def minute_costs(book: PriceBook, *, utc_seconds: float, uses: Mapping[State, StateUse]) -> MinuteCosts:
    """Return what a part of the machine cost in one minute.

    Energy is the money for the joules that were measured; None where none were. Hardware, labour and other
    accrue with the seconds, whether or not a token flowed.

    Args:
        book: The site's prices.
        utc_seconds: When the minute began.
        uses: What the part did, by state; a state that did not occur is left out.
    """
    by_state = {state: _use_costs(book, utc_seconds, use) for state, use in uses.items()}
    return MinuteCosts(
        costs=summed_costs(by_state.values()),
        idle={state: _idle_cost(by_state[state]) for state in _IDLE_STATES if state in uses},
        unpriced_joules=known_sum(
            use.joules for state, use in uses.items() if by_state[state].energy is None and use.joules
        ),
    )


def costs_per_hour(book: PriceBook, utc_seconds: float, *, watts: float | None) -> Costs:
    """Return what an hour costs of a machine that is up, at the prices and the power of a moment.

    Args:
        book: The site's prices.
        utc_seconds: The moment.
        watts: What the machine draws; None: not known, and so is the energy.
    """
    minute = utc_seconds // SECONDS_PER_MINUTE * SECONDS_PER_MINUTE
    joules = None if watts is None else watts * SECONDS_PER_HOUR
    return _use_costs(book, minute, StateUse(seconds=SECONDS_PER_HOUR, joules=joules))


def price_edges(book: PriceBook, start_utc_seconds: float, end_utc_seconds: float) -> list[float]:
    """Return the moments within a stretch at which what a second or joule costs may change, oldest first."""
    parts = owned_parts(book.hardware)
    moments = [part.purchased_utc_seconds for part in parts] + [end_of_life_utc_seconds(p) for p in parts]
    if book.setup is not None:
        begins = book.setup.begins_utc_seconds
        moments += [begins, begins + book.setup.spread_months * book.month_hours * SECONDS_PER_HOUR]
    within = {m for m in moments if m is not None and start_utc_seconds < m < end_utc_seconds}
    if book.tariff is not None:
        within.update(book.tariff.edges(start_utc_seconds, end_utc_seconds))
    return sorted(within)


def model_rule(book: PriceBook, model: str) -> ModelRule:
    """Return the first rule whose pattern fits a model, else one that asks for nothing special."""
    for rule in book.rules:
        if fnmatchcase(model, rule.pattern):
            return rule
    return ModelRule(pattern="*")


def api_costs(book: PriceBook, *, utc_seconds: float, model: str, tokens: Tokens) -> dict[str, ApiCost]:
    """Return what a model's tokens would cost at each of its references, by name.

    A reference without a price at that moment is left out.
    """
    rule = model_rule(book, model)
    names = rule.references
    if names is None:
        names = tuple(dict.fromkeys(price.name for price in book.references))
    prices = {name: reference_price_at(book.references, name, utc_seconds) for name in names}
    return {
        name: api_cost(
            tokens,
            price,
            token_ratio=rule.token_ratio,
            has_cache_write_surcharge=book.has_cache_write_surcharge,
        )
        for name, price in prices.items()
        if price is not None
    }


def _use_costs(book: PriceBook, utc_seconds: float, use: StateUse) -> Costs:
    return Costs(
        hardware=(
            None
            if book.hardware is None
            else hardware_cost(
                book.hardware, utc_seconds=utc_seconds, seconds=use.seconds, down_seconds=use.down_seconds
            )
        ),
        energy=(
            None
            if book.tariff is None or use.joules is None
            else energy_cost(book.tariff, utc_seconds=utc_seconds, joules=use.joules)
        ),
        labour=_labour_cost_per_second(book, utc_seconds) * use.seconds,
        other=other_cost_per_second(book.other, month_hours=book.month_hours) * use.seconds,
    )


def _labour_cost_per_second(book: PriceBook, utc_seconds: float) -> float:
    setup = setup_cost_per_second(book.setup, utc_seconds, month_hours=book.month_hours)
    return labour_cost_per_second(book.labour, month_hours=book.month_hours) + setup


def _idle_cost(costs: Costs) -> float | None:
    # Joules may be read apart from the seconds they belong to: their lack must not take the time's part.
    return None if costs.hardware is None else costs.known
