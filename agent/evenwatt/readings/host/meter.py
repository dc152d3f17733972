"""The seam that every kind of meter fits, and the numbers that no meter of a server can say."""

from typing import Any, Protocol

from msgspec import Struct

from evenwatt.errors import SourceContractError
from evenwatt.model import Coverage, EnergyCounter
from evenwatt.readings.exposition import printable
from evenwatt.readings.json_path import finite_number
from evenwatt.units import JOULES_PER_KWH

__all__ = ["MOST_WATTS", "Measurement", "Meter", "energy_joules", "is_power_unit", "measured", "power_watts"]

MOST_WATTS = 20_000.0
"""No single server draws more; what is above it has another unit, or meters more than the server."""

_WATTS = {"mW": 1e-3, "W": 1.0, "kW": 1e3, "MW": 1e6}
_JOULES = {
    "J": 1.0,
    "kJ": 1e3,
    "MJ": 1e6,
    "Wmin": 60.0,
    "mWh": JOULES_PER_KWH * 1e-6,
    "Wh": JOULES_PER_KWH * 1e-3,
    "kWh": float(JOULES_PER_KWH),
    "MWh": JOULES_PER_KWH * 1e3,
}


class Measurement(Struct, frozen=True, kw_only=True):
    """What a meter says at one moment: counters where it has some, power where it tells it."""

    counters: tuple[EnergyCounter, ...] = ()
    power_watts: float | None = None


class Meter(Protocol):
    """One meter.

    Attributes:
        source: `rapl`, `hwmon`, `ipmi`, `http`, `prometheus` or `fixed`.
        address: Which one: a path, a URL without secrets, a command.
        covers: What it measures.
        is_of_boot: Whether its counters begin with each boot of this machine.
        sample_seconds: How often its power has to be looked at, where it has no counter; None: never.
    """

    @property
    def source(self) -> str:
        """What kind it is."""

    @property
    def address(self) -> str:
        """Which one it is."""

    @property
    def covers(self) -> Coverage:
        """What it measures."""

    @property
    def is_of_boot(self) -> bool:
        """Whether its counters begin with a boot."""

    @property
    def sample_seconds(self) -> float | None:
        """How often its power has to be looked at."""

    def measure(self, deadline_seconds: float) -> Measurement:
        """Return what it says now.

        Raises:
            SourceError: Nothing, or what no meter says; the message says where and what to try.
        """

    def close(self) -> None:
        """Let go of what is held open."""


def power_watts(value: Any, unit: str, place: str) -> float:
    """Return power in watts.

    Raises:
        SourceContractError: It is no number or no unit of power, negative, or more than a server draws.
    """
    watts = _number(value, place) * _factor(unit, _WATTS, place)
    if watts < 0:
        raise SourceContractError(
            f"{place} says {watts:,.1f} W: power flows back. The clamp is on the wrong way round, or the "
            "meter sees a solar feed too; it has to meter this machine alone"
        )
    if watts > MOST_WATTS:
        raise SourceContractError(
            f"{place} says {watts:,.0f} W, expected at most {MOST_WATTS:,.0f} for one server; is the unit "
            "right (W or kW), and does it meter this machine alone?"
        )
    return watts


def energy_joules(value: Any, unit: str, place: str) -> float:
    """Return a counter of energy in joules.

    Raises:
        SourceContractError: It is no number or no unit of energy, or negative.
    """
    joules = _number(_number(value, place) * _factor(unit, _JOULES, place), place)
    if joules < 0:
        raise SourceContractError(
            f"{place} has counted {joules:,.0f} J, and a counter of consumed energy is never negative; is it "
            "a balance of consumption and feed-in?"
        )
    return joules


def measured(joules: float | None, watts: float | None) -> Measurement:
    """Return what a meter with one counter, or none, says."""
    if joules is None:
        return Measurement(power_watts=watts)
    counter = EnergyCounter(name="total", energy_joules=joules, most_watts=MOST_WATTS)
    return Measurement(counters=(counter,), power_watts=watts)


def is_power_unit(unit: str) -> bool:
    """Return whether a unit is one of power."""
    return unit in _WATTS


def _factor(unit: str, factors: dict[str, float], place: str) -> float:
    if unit not in factors:
        raise SourceContractError(f"{place} is in '{printable(unit)}', expected one of {', '.join(factors)}")
    return factors[unit]


def _number(value: Any, place: str) -> float:
    number = finite_number(value)
    if number is None:
        raise SourceContractError(f"{place} says {value!r:.60}, expected a number")
    return number
