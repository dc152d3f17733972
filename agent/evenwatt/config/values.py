"""The single values of the configuration: each kind parses itself and says in words what it expects.

A value arrives as the text that the file holds; YAML's guesses about types are not used, because the key
knows what it is. Nothing here knows where in the file a value stood.
"""

import math
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, tzinfo
from ipaddress import IPv6Address
from pathlib import Path
from typing import Annotated, Any, Literal, get_args
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import PlainValidator
from pydantic_core import PydanticCustomError

from evenwatt.units import SECONDS_PER_DAY, SECONDS_PER_HOUR

__all__ = [
    "EXPECTED",
    "REFUSED",
    "AbsolutePath",
    "Address",
    "Clock",
    "Currency",
    "Day",
    "DayKind",
    "EnergyUnit",
    "EngineKind",
    "EngineName",
    "EngineUrl",
    "FeedUnit",
    "FeedUrl",
    "Flag",
    "Gpu",
    "HardwareMode",
    "HostCoverage",
    "HostMeterKind",
    "HostPowerSource",
    "InputMeaning",
    "JsonPath",
    "Label",
    "ListenAddress",
    "MeterUnit",
    "MeterUrl",
    "Money",
    "MonthHours",
    "OneLine",
    "PowerUnit",
    "PromQuery",
    "ReferenceName",
    "SeriesName",
    "Timezone",
    "Window",
    "WindowText",
    "engine_place",
    "number",
    "parse_engine_url",
    "refused",
    "unexpected",
]

EXPECTED = "expected"
"""The error type of a value that is not what its key expects."""

REFUSED = "refused"
"""The error type of values that are right by themselves and cannot hold together."""

_RESERVED_ENGINE_NAMES = frozenset(
    {"agent", "all", "electricity", "host_power", "machine", "nvml", "unallocated"}
)
_LOOPBACK_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})
_DEFAULT_PORTS = {"http": 80, "https": 443}
_LABEL_CHARACTERS = 64
_LONGEST_WINDOW_SECONDS = 366 * SECONDS_PER_DAY
_PORTS = range(1, 65_536)


def unexpected(expected: str, *, secret: bool = False) -> PydanticCustomError:
    """Return the error of a value that its key cannot take.

    Args:
        expected: What the key takes, as the end of "got ..., expected ...".
        secret: Whether the value must not be shown.
    """
    return PydanticCustomError(EXPECTED, "not expected here", {"expected": expected, "secret": secret})


def refused(faults: Mapping[tuple[str | int, ...], str]) -> PydanticCustomError:
    """Return the error of values that cannot hold together: finished texts by path below what was checked."""
    return PydanticCustomError(REFUSED, "cannot hold together", {"faults": faults})


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A span that people ask about.

    Attributes:
        label: As written: `24h`, `7d`, `month`.
        seconds: Its length; None for the month to date, whose length is the calendar's.
    """

    label: str
    seconds: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where a server listens; an IPv6 host is held without its brackets."""

    host: str
    port: int

    def __str__(self) -> str:
        """Return `host:port`, as it is written in the file and in a URL."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def number(
    *, at_least: float | None = None, above: float | None = None, at_most: float | None = None
) -> PlainValidator:
    """Return the validator of a finite number within bounds.

    Args:
        at_least: The lower bound, where it is allowed itself; as it is to be shown.
        above: The lower bound, where it is not.
        at_most: The upper bound.
    """
    expected = _number_in_words(at_least, above, at_most)
    lower = -math.inf if at_least is None else at_least
    upper = math.inf if at_most is None else at_most

    def parse(value: Any) -> float:
        parsed = _finite(value)
        if parsed is None or not lower <= parsed <= upper or (above is not None and parsed <= above):
            raise unexpected(expected)
        return parsed

    return PlainValidator(parse)


def _number_in_words(at_least: float | None, above: float | None, at_most: float | None) -> str:
    if above is not None:
        return f"a number above {above:,}" + ("" if at_most is None else f" and at most {at_most:,}")
    return (
        f"a number of at least {at_least:,}"
        if at_most is None
        else f"a number from {at_least:,} to {at_most:,}"
    )


def _finite(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        parsed = float(value)
    except (ValueError, OverflowError):
        return None
    return parsed if math.isfinite(parsed) else None


def _one_of(*options: str | int) -> PlainValidator:
    by_text = {str(option): option for option in options}
    *others, last = by_text
    expected = f"{', '.join(others)} or {last}"

    def parse(value: Any) -> str | int:
        try:
            return by_text[str(value)]
        except KeyError:
            raise unexpected(expected) from None

    return PlainValidator(parse)


def _text(pattern: str, expected: str, *, but_not: frozenset[str] = frozenset()) -> PlainValidator:
    matches = re.compile(pattern).fullmatch

    def parse(value: Any) -> str:
        if not isinstance(value, str) or not matches(value) or value in but_not:
            raise unexpected(expected)
        return value

    return PlainValidator(parse)


def _parser(parse: Callable[[str], Any], expected: str) -> PlainValidator:
    """Return the validator of text that `parse` takes apart; it answers None or raises for what it is not."""

    def validate(value: Any) -> Any:
        try:
            parsed = parse(value) if isinstance(value, str) else None
        except (LookupError, OSError, ValueError):
            parsed = None
        if parsed is None:
            raise unexpected(expected)
        return parsed

    return PlainValidator(validate)


def _parse_name(text: str) -> str | None:
    return text if text and text.isprintable() else None


def _parse_label(text: str) -> str | None:
    return (
        text if text == text.strip() and text.isprintable() and 0 < len(text) <= _LABEL_CHARACTERS else None
    )


def _parse_day(text: str) -> date | None:
    # fromisoformat alone also takes 20250115 and 2025-W03-3.
    return date.fromisoformat(text) if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text) else None


def _parse_window(text: str) -> Window | None:
    if text == "month":
        return Window(label=text, seconds=None)
    match = re.fullmatch(r"([1-9][0-9]{0,3})([hd])", text)
    if match is None:
        return None
    seconds = int(match[1]) * (SECONDS_PER_HOUR if match[2] == "h" else SECONDS_PER_DAY)
    return Window(label=text, seconds=seconds) if seconds <= _LONGEST_WINDOW_SECONDS else None


def _parse_address(text: str) -> Address | None:
    match = re.fullmatch(r"(?:\[(?P<ipv6>[^]]+)\]|(?P<host>[A-Za-z0-9._-]+)):(?P<port>[0-9]{1,5})", text)
    if match is None or int(match["port"]) not in _PORTS:
        return None
    host = match["host"] or str(IPv6Address(match["ipv6"]))
    return Address(host=host, port=int(match["port"]))


def _parse_path(text: str) -> Path | None:
    path = Path(text)
    return path if path.is_absolute() and text.isprintable() and not text.endswith("/") else None


def _parse_gpu(value: Any) -> int | str:
    text = str(value)
    if re.fullmatch(r"0|[1-9][0-9]{0,2}", text):
        return int(text)
    if re.fullmatch(r"(GPU|MIG)-[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", text):
        return text
    raise unexpected("the index of a GPU or its UUID (GPU-...), as nvidia-smi -L lists them")


def parse_engine_url(text: str) -> str | None:
    """Return the URL of an engine without its last slash; None where it is none."""
    parts = urlsplit(text)
    is_plain = text.isascii() and text.isprintable() and not any(mark in text for mark in " @?#\\")
    has_place = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    return text.rstrip("/") if is_plain and has_place else None


def engine_place(url: str) -> tuple[str, int, str]:
    """Return the host, port and path of an engine, the same for all ways to write its URL.

    The names of this machine are one host; the default port, letter case and /metrics make no difference.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    with suppress(ValueError):  # a name, or an address of a kind to come
        host = str(IPv6Address(host))
    path = parts.path.rstrip("/").removesuffix("/metrics").rstrip("/")
    return (
        "localhost" if host in _LOOPBACK_HOSTS else host,
        parts.port or _DEFAULT_PORTS[parts.scheme],
        path,
    )


def _parse_queried_url(text: str) -> str | None:
    base, mark, query = text.partition("?")
    is_plain = query.isascii() and query.isprintable() and not any(sign in query for sign in " #\\")
    return f"{base}{mark}{query}" if parse_engine_url(base) is not None and is_plain else None


def _parse_json_path(text: str) -> str | None:
    return text if re.fullmatch(r"(\[\d+\]|[^.\[\]\s]+)(\[\d+\]|\.[^.\[\]\s]+)*", text) else None


def _parse_flag(text: str) -> bool | None:
    return {"true": True, "false": False}.get(text.lower())


_MonthHours = Literal[730, 720]
_HardwareMode = Literal["owned", "rented_always_on", "rented_active", "sunk"]
_EngineKind = Literal[
    "auto",
    "dynamo",
    "generic",
    "lemonade",
    "llamacpp",
    "lmdeploy",
    "localai",
    "nim",
    "ollama",
    "proxy",
    "sglang",
    "tei",
    "tensorrt_llm",
    "tgi",
    "triton",
    "vllm",
]
_InputMeaning = Literal["logical", "computed"]
_DayKind = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun", "holiday"]
_FeedUnit = Literal["per_kwh", "per_mwh", "cents_per_kwh"]

Money = Annotated[float, number(at_least=0, at_most=10**12)]
MonthHours = Annotated[_MonthHours, _one_of(*get_args(_MonthHours))]
HardwareMode = Annotated[_HardwareMode, _one_of(*get_args(_HardwareMode))]
DayKind = Annotated[_DayKind, _one_of(*get_args(_DayKind))]
FeedUnit = Annotated[_FeedUnit, _one_of(*get_args(_FeedUnit))]
EngineKind = Annotated[_EngineKind, _one_of(*get_args(_EngineKind))]
InputMeaning = Annotated[_InputMeaning, _one_of(*get_args(_InputMeaning))]
SeriesName = Annotated[
    str,
    _text(
        r"[a-zA-Z_:][a-zA-Z0-9_:]*", "the name of a series as it stands on the page, such as app_tokens_total"
    ),
]

Currency = Annotated[str, _text("[A-Z]{3}", "an ISO 4217 code of three capital letters, such as EUR")]
EngineName = Annotated[
    str,
    _text(
        rf"[a-z0-9_.-]{{1,{_LABEL_CHARACTERS}}}",
        f"up to {_LABEL_CHARACTERS} of a-z, 0-9, _, . and -, and none of the names "
        f"{', '.join(sorted(_RESERVED_ENGINE_NAMES))}",
        but_not=_RESERVED_ENGINE_NAMES,
    ),
]

Flag = Annotated[bool, _parser(_parse_flag, "true or false")]
ReferenceName = Annotated[str, _parser(_parse_name, "the name of a reference")]
Label = Annotated[str, _parser(_parse_label, f"a name of 1 to {_LABEL_CHARACTERS} printable characters")]
Day = Annotated[date, _parser(_parse_day, "a date as YYYY-MM-DD")]
Clock = Annotated[
    str, _text("([01][0-9]|2[0-3]):[0-5][0-9]|24:00", "a time of day from 00:00 to 24:00, such as 22:00")
]
Timezone = Annotated[tzinfo, _parser(ZoneInfo, "an IANA time zone, such as Europe/Berlin")]
WindowText = Annotated[
    Window, _parser(_parse_window, "hours or days up to 366 days, such as 24h or 7d, or the word month")
]
ListenAddress = Annotated[
    Address,
    _parser(_parse_address, "host:port with a port from 1 to 65535, such as 127.0.0.1:9787 or [::1]:9787"),
]
AbsolutePath = Annotated[Path, _parser(_parse_path, "the path of a file from the root, beginning with /")]
EngineUrl = Annotated[
    str,
    _parser(
        parse_engine_url,
        "http://host:port or https://host:port, without credentials (see api_key), query and fragment",
    ),
]

FeedUrl = Annotated[
    str, _parser(_parse_queried_url, "an http:// or https:// address, without credentials and fragment")
]
PromQuery = Annotated[
    str, _text(r"(?=.*\S)[ -~]{1,1000}", "a PromQL query of at most 1,000 printable ASCII characters")
]
JsonPath = Annotated[
    str, _parser(_parse_json_path, "keys and [indexes] on the way into the JSON, such as data[0].price")
]

Gpu = Annotated[int | str, PlainValidator(_parse_gpu)]


# --- host power --------------------------------------------------------------------------------------------


_HostPowerSource = Literal["auto", "rapl", "hwmon", "ipmi", "http", "prometheus", "fixed", "none"]
_HostMeterKind = Literal["shelly", "tasmota", "homeassistant", "json"]
_HostCoverage = Literal["wall", "board", "cpu", "rest"]
_PowerUnit = Literal["mW", "W", "kW"]
_EnergyUnit = Literal["J", "kJ", "MJ", "Wmin", "mWh", "Wh", "kWh", "MWh"]

HostPowerSource = Annotated[_HostPowerSource, _one_of(*get_args(_HostPowerSource))]
HostMeterKind = Annotated[_HostMeterKind, _one_of(*get_args(_HostMeterKind))]
HostCoverage = Annotated[_HostCoverage, _one_of(*get_args(_HostCoverage))]
PowerUnit = Annotated[_PowerUnit, _one_of(*get_args(_PowerUnit))]
EnergyUnit = Annotated[_EnergyUnit, _one_of(*get_args(_EnergyUnit))]
MeterUnit = Annotated[_PowerUnit | _EnergyUnit, _one_of(*get_args(_PowerUnit), *get_args(_EnergyUnit))]
MeterUrl = Annotated[
    str,
    _parser(
        _parse_queried_url, "an http:// or https:// address, without credentials (see user) and fragment"
    ),
]
OneLine = Annotated[
    str, _text(r"(?=.*\S)[ -~]{1,1000}", "one line of at most 1,000 printable ASCII characters")
]
