"""The single values of the configuration that sections share: each parses itself, and says what it expects.

What only one section has is defined beside it.
"""

import re
from datetime import date, tzinfo
from ipaddress import IPv6Address, ip_address
from pathlib import Path
from typing import Annotated, Literal, get_args
from zoneinfo import ZoneInfo

from msgspec import Struct

from evenwatt.config.parsers import matching_text, number, one_of, parsed_text
from evenwatt.units import SECONDS_PER_DAY, SECONDS_PER_HOUR

__all__ = [
    "LABEL_CHARACTERS",
    "AbsolutePath",
    "Address",
    "Currency",
    "Day",
    "Flag",
    "Label",
    "ListenAddress",
    "Money",
    "MonthHours",
    "OneLine",
    "ReferenceName",
    "Timezone",
    "Window",
    "WindowText",
]

LABEL_CHARACTERS = 64
"""The longest name that becomes a label."""

_LONGEST_WINDOW_SECONDS = 366 * SECONDS_PER_DAY
_PORTS = range(1, 65_536)


class Window(Struct, frozen=True, kw_only=True):
    """A span that people ask about.

    Attributes:
        label: As written: `24h`, `7d`, `month`.
        seconds: Its length; None for the month to date, whose length is the calendar's.
    """

    label: str
    seconds: int | None


class Address(Struct, frozen=True, kw_only=True):
    """Where a server listens; an IPv6 host is held without its brackets."""

    host: str
    port: int

    @property
    def is_loopback(self) -> bool:
        """Whether this machine alone reaches it; a name that is not `localhost` may be anybody's."""
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return self.host.lower() == "localhost"

    def __str__(self) -> str:
        """Return `host:port`, as it is written in the file and in a URL."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def _parse_name(text: str) -> str | None:
    return text if text and text.isprintable() else None


def _parse_label(text: str) -> str | None:
    return text if text == text.strip() and text.isprintable() and 0 < len(text) <= LABEL_CHARACTERS else None


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


def _parse_flag(text: str) -> bool | None:
    return {"true": True, "false": False}.get(text.lower())


_MonthHours = Literal[730, 720]

Money = Annotated[float, number(at_least=0, at_most=10**12)]
MonthHours = Annotated[_MonthHours, one_of(*get_args(_MonthHours))]
Currency = Annotated[str, matching_text("[A-Z]{3}", "an ISO 4217 code of three capital letters, such as EUR")]
Flag = Annotated[bool, parsed_text(_parse_flag, "true or false")]
ReferenceName = Annotated[str, parsed_text(_parse_name, "the name of a reference")]
Label = Annotated[str, parsed_text(_parse_label, f"a name of 1 to {LABEL_CHARACTERS} printable characters")]
Day = Annotated[date, parsed_text(_parse_day, "a date as YYYY-MM-DD")]
Timezone = Annotated[tzinfo, parsed_text(ZoneInfo, "an IANA time zone, such as Europe/Berlin")]
WindowText = Annotated[
    Window, parsed_text(_parse_window, "hours or days up to 366 days, such as 24h or 7d, or the word month")
]
ListenAddress = Annotated[
    Address,
    parsed_text(
        _parse_address, "host:port with a port from 1 to 65535, such as 127.0.0.1:9787 or [::1]:9787"
    ),
]
AbsolutePath = Annotated[Path, parsed_text(_parse_path, "the path of a file from the root, beginning with /")]
OneLine = Annotated[
    str, matching_text(r"(?=.*\S)[ -~]{1,1000}", "one line of at most 1,000 printable ASCII characters")
]
