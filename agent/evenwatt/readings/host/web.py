"""What all meters that are asked over HTTP share: one bounded GET of a JSON document."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any
from urllib.parse import quote, urlsplit

from msgspec import Struct

from evenwatt.model import Coverage
from evenwatt.readings.host.meter import Measurement
from evenwatt.readings.http import Answer, HttpClient, shown_url
from evenwatt.readings.json_path import parse_json

__all__ = ["Login", "WebMeter", "json_of"]

_ADVICE: Mapping[int, str] = MappingProxyType(
    {
        401: "it asks for a password or token: set host_power.user and password, or token",
        403: "it refuses the token or password: check those of host_power",
        404: "check host_power.url and kind",
    }
)
_POWER_SECONDS = 5.0


class Login(Struct, frozen=True, kw_only=True):
    """What a meter asks of those who read it; all of it is secret."""

    user: str | None = None
    password: str | None = None
    token: str | None = None


class WebMeter:
    """A meter behind a URL; what is asked and understood is each kind's own.

    Args:
        url: Of the device or service.
        covers: What it measures.
        login: Where it wants one.
    """

    source = "http"
    is_of_boot = False

    def __init__(self, url: str, *, covers: Coverage = Coverage.WALL, login: Login | None = None) -> None:
        login = login or Login()
        self.covers = covers
        self.address = shown_url(url)
        self._base_url = _with_login(url.rstrip("/"), login)
        self._client = HttpClient(login.token)
        self._has_counter = False

    @property
    def sample_seconds(self) -> float | None:
        """Often, until it has told of a counter: then nothing is lost between two readings."""
        return None if self._has_counter else _POWER_SECONDS

    def measure(self, deadline_seconds: float) -> Measurement:
        """Return what it says now.

        Raises:
            SourceUnavailable: It does not answer in time.
            SourceContractError: It says what no meter says.
        """
        found = self._measure(deadline_seconds)
        self._has_counter = bool(found.counters)
        return found

    def _measure(self, deadline_seconds: float) -> Measurement:
        raise NotImplementedError

    def _get(self, path: str, deadline_seconds: float) -> Answer:
        return self._client.get(f"{self._base_url}{path}", deadline_seconds)

    def close(self) -> None:
        """Let go of the HTTP session."""
        self._client.close()


def json_of(answer: Answer) -> Any:
    """Return the document of a good answer.

    Raises:
        SourceUnavailable: The status says that the server is not ready.
        SourceContractError: Any other status than 200, or no JSON.
    """
    return parse_json(answer.ok_body(_ADVICE), answer.url)


def _with_login(url: str, login: Login) -> str:
    """Return a URL with user and password in it, as `HttpClient` takes them."""
    if login.user is None or login.password is None:
        return url
    parts = urlsplit(url)
    account = f"{quote(login.user, safe='')}:{quote(login.password, safe='')}"
    return parts._replace(netloc=f"{account}@{parts.netloc}").geturl()
