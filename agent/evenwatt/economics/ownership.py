"""What the hardware costs for each second that it is held, in the four ways of having it.

    owned            straight-line depreciation, and maintenance as a share of the purchase price per year
    rented           the rent of every hour, used or not
    rented, active   the rent of the hours in which the machine was up: only where it is really given back
    sunk             nothing: the view of somebody who has paid already and asks whether to go on

Utilisation appears nowhere: an idle hour that is paid for costs what a busy one does.
"""

from msgspec import Struct

from evenwatt.units import HOURS_PER_YEAR, SECONDS_PER_HOUR

__all__ = [
    "Hardware",
    "Owned",
    "OwnedParts",
    "Rented",
    "Sunk",
    "bought_by",
    "cost_when_new_per_hour",
    "end_of_life_utc_seconds",
    "hardware_cost",
    "hardware_cost_per_second",
    "owned_cost_between",
    "owned_parts",
    "rent_per_hour_of_month",
    "written_off",
]


class Owned(Struct, frozen=True, kw_only=True):
    """A machine, or a part of one, that was bought.

    Attributes:
        purchase_price: Of all of it.
        lifetime_years: Over which its price is spread; years of 8,760 hours.
        residual_value: What it will still sell for at the end of its life.
        maintenance_per_year: Share of the purchase price, each year of its life.
        purchased_utc_seconds: When its life began; None: not known, and then it has no end either.
        name: What it is called where there are several.
    """

    purchase_price: float
    lifetime_years: float
    residual_value: float = 0.0
    maintenance_per_year: float = 0.0
    purchased_utc_seconds: float | None = None
    name: str = "hardware"


class OwnedParts(Struct, frozen=True, kw_only=True):
    """A machine whose parts were bought at different times: a server, and GPUs two years later."""

    parts: tuple[Owned, ...]


class Rented(Struct, frozen=True, kw_only=True):
    """A machine that is paid for by the hour.

    Attributes:
        is_active_only: No rent while the machine is off, because it is given back.
    """

    rent_per_hour: float
    is_active_only: bool = False


class Sunk(Struct, frozen=True):
    """A machine whose price is to be left out of the question."""


Hardware = Owned | OwnedParts | Rented | Sunk


def rent_per_hour_of_month(rent_per_month: float, month_hours: float) -> float:
    """Return a monthly rent by the hour, for months of that many hours."""
    return rent_per_month / month_hours


def end_of_life_utc_seconds(owned: Owned) -> float | None:
    """Return when the hardware is written off, from where on it costs nothing; None where not known."""
    if owned.purchased_utc_seconds is None:
        return None
    return owned.purchased_utc_seconds + _lifetime_seconds(owned)


def owned_parts(hardware: Hardware | None) -> tuple[Owned, ...]:
    """Return what was bought, part by part; nothing where the machine is rented, sunk or not known."""
    if isinstance(hardware, OwnedParts):
        return hardware.parts
    return (hardware,) if isinstance(hardware, Owned) else ()


def bought_by(hardware: Hardware | None, utc_seconds: float) -> tuple[Owned, ...]:
    """Return the parts that were there by a moment, the written off ones too; without a date, since ever."""
    return tuple(
        part
        for part in owned_parts(hardware)
        if part.purchased_utc_seconds is None or part.purchased_utc_seconds <= utc_seconds
    )


def written_off(hardware: Hardware | None, utc_seconds: float) -> tuple[Owned, ...]:
    """Return the parts whose life is over at a moment, so that they cost nothing any more."""
    return tuple(part for part in owned_parts(hardware) if _is_written_off(part, utc_seconds))


def hardware_cost_per_second(hardware: Hardware, utc_seconds: float) -> float:
    """Return what a second of the machine costs at a moment, while it is up.

    Owned: (P - R) / (8760 Y) + m P / 8760 an hour, from the purchase to the end of life; 0 outside of it. The
    sum over the life is P - R + m P Y, whatever the calendar says of leap days. Parts cost what each of them
    does.
    """
    if isinstance(hardware, Sunk):
        return 0.0
    if isinstance(hardware, Rented):
        return hardware.rent_per_hour / SECONDS_PER_HOUR
    per_hour = sum(_owned_cost_per_hour(part, utc_seconds) for part in owned_parts(hardware))
    return per_hour / SECONDS_PER_HOUR


def owned_cost_between(part: Owned, start_utc_seconds: float, end_utc_seconds: float) -> float:
    """Return what a part costs over a stretch, of which only what lies within its life counts."""
    begin, until = start_utc_seconds, end_utc_seconds
    end_of_life = end_of_life_utc_seconds(part)
    if part.purchased_utc_seconds is not None and end_of_life is not None:
        begin, until = max(begin, part.purchased_utc_seconds), min(until, end_of_life)
    return cost_when_new_per_hour(part) * max(until - begin, 0.0) / SECONDS_PER_HOUR


def cost_when_new_per_hour(part: Owned) -> float:
    """Return what an hour of a part costs within its life: (P - R) / (8760 Y) + m P / 8760."""
    depreciation = (part.purchase_price - part.residual_value) / (HOURS_PER_YEAR * part.lifetime_years)
    return depreciation + part.maintenance_per_year * part.purchase_price / HOURS_PER_YEAR


def hardware_cost(
    hardware: Hardware, *, utc_seconds: float, seconds: float, down_seconds: float = 0.0
) -> float:
    """Return what holding the machine for some seconds costs at a moment.

    Args:
        hardware: How it is had.
        utc_seconds: The moment whose price applies to all of the seconds.
        seconds: All of them, idle and down ones too.
        down_seconds: The part of them in which the machine was off; only a rent that ends with the use
            leaves them out.
    """
    is_given_back = isinstance(hardware, Rented) and hardware.is_active_only
    paid_seconds = seconds - down_seconds if is_given_back else seconds
    return hardware_cost_per_second(hardware, utc_seconds) * paid_seconds


def _is_written_off(owned: Owned, utc_seconds: float) -> bool:
    end = end_of_life_utc_seconds(owned)
    return end is not None and utc_seconds >= end


def _lifetime_seconds(owned: Owned) -> float:
    return owned.lifetime_years * HOURS_PER_YEAR * SECONDS_PER_HOUR


def _owned_cost_per_hour(owned: Owned, utc_seconds: float) -> float:
    if owned.purchased_utc_seconds is not None:
        age_seconds = utc_seconds - owned.purchased_utc_seconds
        if not 0 <= age_seconds < _lifetime_seconds(owned):
            return 0.0
    return cost_when_new_per_hour(owned)
