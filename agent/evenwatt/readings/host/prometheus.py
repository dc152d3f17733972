"""Prometheus: an instant query whose one value is power, or a counter of energy, as its unit says."""

from typing import Any
from urllib.parse import urlencode

from evenwatt.errors import SourceContractError, SourceUnavailable
from evenwatt.model import Coverage
from evenwatt.readings.exposition import printable
from evenwatt.readings.host.meter import Measurement, energy_joules, is_power_unit, measured, power_watts
from evenwatt.readings.host.web import Login, WebMeter, json_of
from evenwatt.readings.json_path import value_at

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
        path = f"/api/v1/query?{urlencode({'query': self._query})}"
        value = self._value(json_of(self._get(path, deadline_seconds)))
        if is_power_unit(self._unit):
            return measured(None, power_watts(value, self._unit, self.address))
        return measured(energy_joules(value, self._unit, self.address), None)

    def _value(self, document: Any) -> Any:
        kind = value_at(document, "data.resultType", self.address)
        result = value_at(document, "data.result", self.address)
        if kind == "scalar":
            return value_at(result, "[1]", self.address)
        if kind != "vector" or not isinstance(result, list):
            found = printable(str(kind))
            raise SourceContractError(f"{self.address}: gives a {found}, expected one value now")
        if not result:
            raise SourceUnavailable(f"{self.address}: gives no series now; is the meter scraped?")
        if len(result) > 1:
            raise SourceContractError(
                f"{self.address}: gives {len(result)} series, expected one; add labels, or sum()"
            )
        return value_at(result, "[0].value[1]", self.address)
