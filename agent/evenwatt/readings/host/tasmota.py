"""Tasmota: what its energy sensor says, by the web command `Status 10` (`Status 8` on old firmware).

Its total is in kWh with three decimals, so that it moves in steps of 3,600 J. Devices with several channels
say lists, which add up. The password goes into the query, as Tasmota wants it.
"""

from typing import Any
from urllib.parse import quote, urlencode

from evenwatt.errors import SourceContractError
from evenwatt.model import Coverage
from evenwatt.readings.host.meter import Measurement, energy_joules, measured, power_watts
from evenwatt.readings.host.web import Login, WebMeter, json_of

__all__ = ["TasmotaMeter"]

_COMMANDS = ("Status 10", "Status 8")


class TasmotaMeter(WebMeter):
    """One Tasmota device.

    Args:
        channel: The one that this machine is on; None: all of them.
    """

    def __init__(
        self,
        url: str,
        *,
        channel: int | None = None,
        covers: Coverage = Coverage.WALL,
        login: Login | None = None,
    ) -> None:
        login = login or Login()
        super().__init__(url, covers=covers)
        self._channel = channel
        self._account = {"user": login.user or "admin", "password": login.password} if login.password else {}
        self._commands: tuple[str, ...] = _COMMANDS

    def _measure(self, deadline_seconds: float) -> Measurement:
        for command in self._commands:
            energy = self._asked(command, deadline_seconds)
            if energy is not None:
                self._commands = (command,)
                return self._understood(energy)
        raise SourceContractError(f"{self.address} tells of no energy sensor; does this device meter power?")

    def _asked(self, command: str, deadline_seconds: float) -> dict[str, Any] | None:
        query = urlencode({**self._account, "cmnd": command}, quote_via=quote)
        document = json_of(self._get(f"/cm?{query}", deadline_seconds))
        if isinstance(document, dict) and "WARNING" in document:
            raise SourceContractError(
                f"{self.address} asks for its web password: set host_power.password (and user)"
            )
        sensors = document.get("StatusSNS") if isinstance(document, dict) else None
        energy = sensors.get("ENERGY") if isinstance(sensors, dict) else None
        return energy if isinstance(energy, dict) else None

    def _understood(self, energy: dict[str, Any]) -> Measurement:
        power, total = self._of_channel(energy.get("Power")), self._of_channel(energy.get("Total"))
        if not power and not total:
            raise SourceContractError(f"{self.address}: its energy sensor has neither Power nor Total")
        place = f"{self.address} ENERGY"
        return measured(
            sum(energy_joules(value, "kWh", f"{place}.Total") for value in total) if total else None,
            sum(power_watts(value, "W", f"{place}.Power") for value in power) if power else None,
        )

    def _of_channel(self, value: Any) -> list[Any]:
        if not isinstance(value, list):
            return [] if value is None else [value]
        return value if self._channel is None else value[self._channel : self._channel + 1]
