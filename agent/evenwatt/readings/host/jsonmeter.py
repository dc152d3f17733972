"""Any meter that answers a GET with JSON: the paths and the units of its values are the owner's to say."""

from typing import Any

from msgspec import Struct

from evenwatt.model import Coverage
from evenwatt.readings.host.meter import Measurement, energy_joules, measured, power_watts
from evenwatt.readings.host.web import Login, WebMeter, json_of
from evenwatt.readings.json_path import value_at

__all__ = ["JsonMeter", "Place"]


class Place(Struct, frozen=True, kw_only=True):
    """Where a value is in the document, and its unit."""

    path: str
    unit: str


class JsonMeter(WebMeter):
    """One document with power, a counter of energy, or both.

    Args:
        power: None: not told.
        energy: None: there is no counter.
    """

    def __init__(
        self,
        url: str,
        *,
        power: Place | None,
        energy: Place | None,
        covers: Coverage = Coverage.WALL,
        login: Login | None = None,
    ) -> None:
        super().__init__(url, covers=covers, login=login)
        self._power = power
        self._energy = energy

    def _measure(self, deadline_seconds: float) -> Measurement:
        document: Any = json_of(self._get("", deadline_seconds))
        power, energy = self._power, self._energy
        return measured(
            None
            if energy is None
            else energy_joules(
                value_at(document, energy.path, self.address), energy.unit, f"{self.address}, {energy.path}"
            ),
            None
            if power is None
            else power_watts(
                value_at(document, power.path, self.address), power.unit, f"{self.address}, {power.path}"
            ),
        )
