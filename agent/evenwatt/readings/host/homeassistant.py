"""Home Assistant: the state of one entity, whose unit says whether it is power or a counter of energy."""

from typing import Any
from urllib.parse import quote

from evenwatt.errors import SourceContractError, SourceUnavailable
from evenwatt.model import Coverage
from evenwatt.readings.host.meter import Measurement, energy_joules, is_power_unit, measured, power_watts
from evenwatt.readings.host.web import Login, WebMeter, json_of

__all__ = ["HomeAssistantMeter"]

_AWAY = {"unavailable", "unknown", "none"}


class HomeAssistantMeter(WebMeter):
    """One sensor entity; one of energy goes before one of power.

    Args:
        entity: `sensor.server_energy`.
    """

    def __init__(
        self, url: str, *, entity: str, covers: Coverage = Coverage.WALL, login: Login | None = None
    ) -> None:
        super().__init__(url, covers=covers, login=login)
        self._entity = entity
        self.address = f"{self.address} {entity}"

    def _measure(self, deadline_seconds: float) -> Measurement:
        state = json_of(self._get(f"/api/states/{quote(self._entity)}", deadline_seconds))
        value = state.get("state") if isinstance(state, dict) else None
        if value is None:
            raise SourceContractError(f"{self.address}: the answer is no state of an entity")
        if str(value).lower() in _AWAY:
            raise SourceUnavailable(f"{self.address} is '{value}': the meter behind it does not report")
        unit = _unit(state, self.address)
        if is_power_unit(unit):
            return measured(None, power_watts(value, unit, self.address))
        return measured(energy_joules(value, unit, self.address), None)


def _unit(state: dict[str, Any], place: str) -> str:
    attributes = state.get("attributes")
    unit = attributes.get("unit_of_measurement") if isinstance(attributes, dict) else None
    if not isinstance(unit, str):
        raise SourceContractError(
            f"{place} has no unit_of_measurement; expected a sensor in W, kW, Wh or kWh"
        )
    return unit
