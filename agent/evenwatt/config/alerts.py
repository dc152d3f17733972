"""The section of alerts: what they compare with, and who is told."""

import re
from collections.abc import Iterator
from typing import Annotated, Any, Literal, get_args
from urllib.parse import urlsplit

from evenwatt.config.credentials import ApiKey, Secret, parse_secret
from evenwatt.config.parsers import matching_text, number, one_of, parsed_text
from evenwatt.config.refusals import KeyPath, unexpected
from evenwatt.config.rules import apart, at_most
from evenwatt.config.section import Section
from evenwatt.config.values import Money, Window, WindowText
from evenwatt.snapshot.alerts.values import ALERTS, Severity
from evenwatt.units import SECONDS_PER_DAY, SECONDS_PER_HOUR, SECONDS_PER_MINUTE

__all__ = ["Alerts", "Notifier", "QuietHours", "verdict_window"]

_UNITS = {"s": 1, "m": SECONDS_PER_MINUTE, "h": SECONDS_PER_HOUR, "d": SECONDS_PER_DAY}
_LONGEST_SECONDS = 31 * SECONDS_PER_DAY
_MOST_NOTIFIERS = 20
_NEVER = "never"
_DURATION = "a time of at most 31 days in s, m, h or d, such as 30s or 1h"

_Severity = Literal["info", "warning", "critical"]


def _parse_duration(text: str) -> float | None:
    match = re.fullmatch(r"([0-9]{1,7}(?:\.[0-9]{1,3})?)([smhd])", text)
    seconds = None if match is None else float(match[1]) * _UNITS[match[2]]
    return None if seconds is None or seconds > _LONGEST_SECONDS else seconds


def _parse_reminder(value: Any) -> float | None:
    if value == _NEVER:
        return None
    seconds = _parse_duration(value) if isinstance(value, str) else None
    if seconds is None or seconds < SECONDS_PER_MINUTE:
        raise unexpected(f"{_DURATION}, from 1m on, or the word {_NEVER}")
    return seconds


def _parse_secret_url(value: Any) -> Secret:
    """Return an address that may hold a token anywhere in it."""
    secret = parse_secret(value)
    try:
        parts = urlsplit(secret.get_secret_value())
        is_web = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_web = False
    if not is_web:
        raise unexpected("an http:// or https:// address", secret=True)
    return secret


def _parse_apprise_url(value: Any) -> Secret:
    secret = parse_secret(value)
    if not re.match(r"[A-Za-z][A-Za-z0-9+.-]*://.", secret.get_secret_value()):
        raise unexpected("an address of apprise, such as ntfy://topic or mailto://...", secret=True)
    return secret


Duration = Annotated[float, parsed_text(_parse_duration, _DURATION)]
Reminder = Annotated[float | None, _parse_reminder]
SecretUrl = Annotated[Secret, _parse_secret_url]
AppriseUrl = Annotated[Secret, _parse_apprise_url]
LeastSeverity = Annotated[_Severity, one_of(*get_args(_Severity))]
AlertName = Annotated[str, one_of(*ALERTS)]
ClockTime = Annotated[
    str, matching_text("([01][0-9]|2[0-3]):[0-5][0-9]", "a time of day from 00:00 to 23:59, such as 22:00")
]
NotifierName = Annotated[
    str, matching_text("[a-z0-9][a-z0-9_.-]{0,63}", "up to 64 of a-z, 0-9, _, . and -, such as phone")
]


class Notifier(Section, frozen=True, kw_only=True):
    """Somebody who is told, in one of three ways.

    Attributes:
        name: Of somebody who is told, each its own: up to 64 of `a-z`, `0-9`, `_`, `.`, `-`.
        apprise (secret address): Any address of [apprise](https://github.com/caronc/apprise): ntfy, Slack,
            e-mail, Discord and many more.
        webhook (secret address): Where a JSON document is sent, in the form of Alertmanager's webhooks with
            `title` and `text`.
        alertmanager (secret address): Of an Alertmanager; it groups, reminds and keeps quiet by itself.
        token (secret): Sent as a bearer token, to a webhook or an Alertmanager.
        at_least: Alerts below this are not told: `info`, `warning`, `critical`. None: info for an
            Alertmanager, else warning.
    """

    name: NotifierName
    apprise: AppriseUrl | None = None
    webhook: SecretUrl | None = None
    alertmanager: SecretUrl | None = None
    token: ApiKey | None = None
    at_least: LeastSeverity | None = None

    def _faults(self) -> Iterator[tuple[KeyPath, str]]:
        ways = [key for key in ("apprise", "webhook", "alertmanager") if getattr(self, key) is not None]
        if not ways:
            yield ("apprise",), "missing; write one of apprise, webhook and alertmanager"
        elif len(ways) > 1:
            yield (ways[1],), f"stands beside {ways[0]}; give each way a notifier of its own"
        elif self.token is not None and ways == ["apprise"]:
            yield ("token",), "apprise has its credentials in the address; remove it"

    @property
    def kind(self) -> str:
        """In which way: `apprise`, `webhook` or `alertmanager`."""
        return next(key for key in ("apprise", "webhook", "alertmanager") if getattr(self, key) is not None)

    @property
    def url(self) -> Secret:
        """Where to."""
        secret: Secret = getattr(self, self.kind)
        return secret

    @property
    def severity(self) -> Severity:
        """Below which nothing is told."""
        default = Severity.INFO if self.kind == "alertmanager" else Severity.WARNING
        return default if self.at_least is None else Severity(self.at_least)


class QuietHours(Section, frozen=True, kw_only=True):
    """When messages wait, but for critical ones; by the clock of the site.

    Attributes:
        start (time of day): From when messages wait, unless some of it is critical; in `timezone`.
        end (time of day): Until when; at or before the start: on the next day.
    """

    start: ClockTime
    end: ClockTime


class Alerts(Section, frozen=True, kw_only=True):
    """What the agent's own alerts compare with, and who is told.

    Attributes:
        window (h, d, month): By which cost is judged; one of `windows`. None: 7d, else the longest of
            `windows`.
        hold (time): For which below break-even, or a jump of the cost, has to hold before it is told.
        resolve_after (time): For which it has to hold no longer before its end is told.
        minimum_coverage (ratio): Of the window that has to have been watched before cost is judged by it, 0
            to 1.
        hysteresis (ratio): By which a threshold gives way while its alert fires, 0 to 0.5.
        idle_cost_per_day (currency per day): That a loaded model may cost while nobody asks it anything.
        cost_jump_ratio (ratio): How many times the window's cost per Mtok that of the last 24 hours may be,
            from 1.
        budget_per_month (currency per month): Above which the pace of the window is told. None: no budget.
        gap_seconds (seconds): Of an hour that may go unwatched, 0 to 3600.
        energy_disagreement (ratio): How far the energy counter of a GPU may be from its integrated power,
            0.01 to 10.
        disabled (names): Alerts that are not judged.
        group_wait (time): For which changes are collected into one message.
        remind_every (time): After which what still fires is told again, from `1m`; or `never`.
    """

    window: WindowText | None = None
    hold: Duration = 3_600.0
    resolve_after: Duration = 900.0
    minimum_coverage: Annotated[float, number(at_least=0, at_most=1)] = 0.8
    hysteresis: Annotated[float, number(at_least=0, at_most=0.5)] = 0.05
    idle_cost_per_day: Money = 1.0
    cost_jump_ratio: Annotated[float, number(at_least=1, at_most=1_000)] = 1.5
    budget_per_month: Annotated[float, number(above=0, at_most=10**12)] | None = None
    gap_seconds: Annotated[float, number(at_least=0, at_most=3_600)] = 120.0
    energy_disagreement: Annotated[float, number(at_least=0.01, at_most=10)] = 0.1
    disabled: tuple[AlertName, ...] = ()
    group_wait: Duration = 30.0
    remind_every: Reminder = 86_400.0
    quiet_hours: QuietHours | None = None
    notify: Annotated[tuple[Notifier, ...], at_most(_MOST_NOTIFIERS), apart("name")] = ()


def verdict_window(alerts: Alerts, windows: tuple[Window, ...]) -> Window:
    """Return the window by which cost is judged: the one that is written, else 7d, else the longest."""
    if alerts.window is not None:
        return alerts.window
    usual = next((window for window in windows if window.label == "7d"), None)
    return usual or max(windows, key=lambda window: window.seconds or SECONDS_PER_DAY)
