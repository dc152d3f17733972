"""Shelly plugs and meters: generation 1 by `/status`, later ones by RPC; each has a counter of energy.

Generation 1 counts watt-minutes on plugs and watt-hours on its energy meters, later ones watt-hours. The
total of a plug may begin anew when it restarts, which the ledger sees as a value that fell.
"""

from http import HTTPStatus
from typing import Any

from msgspec import Struct

from evenwatt.errors import SourceContractError, SourceUnavailable
from evenwatt.model import Coverage
from evenwatt.readings.host.digest import DigestLogin
from evenwatt.readings.host.meter import Measurement, energy_joules, measured, power_watts
from evenwatt.readings.host.web import Login, WebMeter, json_of
from evenwatt.readings.http import Answer
from evenwatt.readings.json_path import value_at

__all__ = ["ShellyMeter"]

_FIRST_GENERATION = 1
_HAS_NONE = {HTTPStatus.NOT_FOUND, HTTPStatus.BAD_REQUEST, HTTPStatus.INTERNAL_SERVER_ERROR}
"""How the RPC server answers where a device has no such component."""


class _Component(Struct, frozen=True, kw_only=True):
    """A part of a device that meters, as its RPC names it.

    Attributes:
        energy_path: Where its counter is; in the answer of `energy_method`, where there is one.
    """

    method: str
    power_path: str
    energy_path: str
    energy_method: str | None = None


_COMPONENTS = (
    _Component(method="Switch.GetStatus", power_path="apower", energy_path="aenergy.total"),
    _Component(method="PM1.GetStatus", power_path="apower", energy_path="aenergy.total"),
    _Component(
        method="EM1.GetStatus",
        power_path="act_power",
        energy_path="total_act_energy",
        energy_method="EM1Data.GetStatus",
    ),
    _Component(
        method="EM.GetStatus",
        power_path="total_act_power",
        energy_path="total_act",
        energy_method="EMData.GetStatus",
    ),
)


class ShellyMeter(WebMeter):
    """One channel of a Shelly device.

    Args:
        channel: Which one, where it has several.
    """

    def __init__(
        self, url: str, *, channel: int = 0, covers: Coverage = Coverage.WALL, login: Login | None = None
    ) -> None:
        super().__init__(url, covers=covers, login=login)
        # Generation 1 takes the account in the URL, later ones only a digest of it.
        login = login or Login()
        self._digest = None if login.password is None else DigestLogin(login.user or "admin", login.password)
        self._root_url = url.rstrip("/")
        self._channel = channel
        self._generation: int | None = None
        self._component: _Component | None = None

    def _measure(self, deadline_seconds: float) -> Measurement:
        if self._generation is None:
            self._generation = self._asked_generation(deadline_seconds)
        if self._generation == _FIRST_GENERATION:
            return self._first_generation(deadline_seconds)
        return self._later_generation(deadline_seconds)

    def _asked_generation(self, deadline_seconds: float) -> int:
        # Open on every device: no password goes to one that may want only a digest of it.
        answer = self._client.get(f"{self._root_url}/shelly", deadline_seconds)
        about = json_of(answer)
        if not isinstance(about, dict) or "mac" not in about:
            raise SourceContractError(f"{answer.url} does not say that it is a Shelly; check host_power.kind")
        generation = about.get("gen", _FIRST_GENERATION)
        return generation if isinstance(generation, int) else _FIRST_GENERATION

    def _first_generation(self, deadline_seconds: float) -> Measurement:
        answer = self._get("/status", deadline_seconds)
        status = json_of(answer)
        meter, unit = self._listed(status, answer.url)
        if meter.get("is_valid") is False:
            raise SourceUnavailable(f"{answer.url}: the meter says that its values are not valid now")
        place = f"{answer.url}, channel {self._channel}"
        total = meter.get("total")
        return measured(
            None if total is None else energy_joules(total, unit, f"{place}, total"),
            power_watts(value_at(meter, "power", place), "W", f"{place}, power"),
        )

    def _listed(self, status: Any, shown: str) -> tuple[dict[str, Any], str]:
        """Return the channel's entry and the unit of its counter."""
        for key, unit in (("emeters", "Wh"), ("meters", "Wmin")):
            listed = status.get(key) if isinstance(status, dict) else None
            entry = listed[self._channel :][:1] if isinstance(listed, list) else []
            if entry and isinstance(entry[0], dict):
                return entry[0], unit
        raise SourceContractError(
            f"{shown} lists no meter for channel {self._channel}; check host_power.channel"
        )

    def _later_generation(self, deadline_seconds: float) -> Measurement:
        if self._component is not None:
            return self._read(
                self._component, self._called(self._component.method, deadline_seconds), deadline_seconds
            )
        for component in _COMPONENTS:
            status = self._called(component.method, deadline_seconds, may_lack=True)
            if isinstance(status, dict) and component.power_path in status:
                self._component = component
                return self._read(component, status, deadline_seconds)
        raise SourceContractError(
            f"{self.address} has nothing that meters as channel {self._channel}; a relay without a meter "
            "tells no power, and host_power.channel counts from 0"
        )

    def _read(self, component: _Component, status: Any, deadline_seconds: float) -> Measurement:
        place = f"{self.address} {component.method}"
        data = status
        if component.energy_method is not None:
            data = self._called(component.energy_method, deadline_seconds)
        total = value_at(data, component.energy_path, place)
        return measured(
            energy_joules(total, "Wh", f"{place}, {component.energy_path}"),
            power_watts(
                value_at(status, component.power_path, place), "W", f"{place}, {component.power_path}"
            ),
        )

    def _called(self, method: str, deadline_seconds: float, *, may_lack: bool = False) -> Any:
        answer = self._asked(f"/rpc/{method}?id={self._channel}", deadline_seconds)
        if may_lack and answer.status in _HAS_NONE:
            return None
        if answer.status == HTTPStatus.UNAUTHORIZED:
            raise SourceContractError(
                f"{answer.url} asks for a password, or refuses this one: set host_power.user (admin on a "
                "Shelly) and password"
            )
        return json_of(answer)

    def _asked(self, path: str, deadline_seconds: float) -> Answer:
        """Ask with the digest that the last challenge wants; a new challenge is answered once."""
        url, login = f"{self._root_url}{path}", self._digest
        answer = self._client.get(url, deadline_seconds, headers=login.header(path) if login else None)
        challenge = answer.headers.get("WWW-Authenticate")
        if answer.status != HTTPStatus.UNAUTHORIZED or challenge is None or login is None:
            return answer
        if not login.take(challenge):
            return answer
        return self._client.get(url, deadline_seconds, headers=login.header(path))
