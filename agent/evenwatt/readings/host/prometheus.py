"""Prometheus: an instant query whose one value is power, or a counter of energy, as its unit says."""

from evenwatt.model import Coverage
from evenwatt.readings.host.meter import Measurement, energy_joules, is_power_unit, measured, power_watts
from evenwatt.readings.host.web import Login, WebMeter, json_of
from evenwatt.readings.promql import query_path, value_now

__all__ = ["PrometheusMeter"]


class PrometheusMeter(WebMeter):
    """One query to a server of the Prometheus family."""

    source = "prometheus"

    def __init__(
        self,
        url: str,
        *,
        query: str,
        unit: str = "W",
        covers: Coverage = Coverage.WALL,
        login: Login | None = None,
    ) -> None:
        super().__init__(url, covers=covers, login=login)
        self._query = query
        self._unit = unit
        self.address = f"{self.address} {query}"

    def _measure(self, deadline_seconds: float) -> Measurement:
        document = json_of(self._get(query_path(self._query), deadline_seconds))
        value = value_now(document, self.address)
        if is_power_unit(self._unit):
            return measured(None, power_watts(value, self._unit, self.address))
        return measured(energy_joules(value, self._unit, self.address), None)
