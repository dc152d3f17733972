"""The configuration as a whole: all its keys, their defaults, and which of them can hold together.

Every key is optional, and a key without a value counts as not written. The rules of a section are judged once
each of its own values is right, the rules between sections as soon as the values that they compare are: a
fault neither hides one that has nothing to do with it nor causes a second one.
"""

from collections.abc import Iterator, Mapping, Sequence
from operator import attrgetter
from typing import Annotated, Any, Literal, get_args

from msgspec import field
from msgspec.structs import force_setattr

from evenwatt.config.alerts import Alerts
from evenwatt.config.costs import Attribution, Hardware, Labour, OtherCost, Setup, UsdRate
from evenwatt.config.electricity import Electricity
from evenwatt.config.engines import Engine
from evenwatt.config.host import HostPower
from evenwatt.config.parsers import number, one_of
from evenwatt.config.places import default_history_path, system_timezone
from evenwatt.config.plan import Plan
from evenwatt.config.proxy import Proxy
from evenwatt.config.references import ApiPrices, CatalogueReference, Reference
from evenwatt.config.refusals import KeyPath, repeated
from evenwatt.config.rules import apart, at_least_one
from evenwatt.config.section import Rule, Section
from evenwatt.config.server import Server
from evenwatt.config.urls import engine_place
from evenwatt.config.values import (
    AbsolutePath,
    Currency,
    MonthHours,
    ReferenceName,
    Timezone,
    Window,
    WindowText,
)
from evenwatt.units import SECONDS_PER_DAY, SECONDS_PER_HOUR

__all__ = ["History", "ModelRule", "Sampling", "Server", "Settings"]


class ModelRule(Section, frozen=True, kw_only=True):
    """What holds for the served models whose name fits a pattern.

    Attributes:
        references (names): References to compare with, for served models whose name fits the pattern; the
            first that fits holds. None: all.
        token_ratio (ratio): API tokens for each token of the model, for the same text, above 0 and at most
            100; scales every API bill, with and without cache and in batch.
    """

    references: tuple[ReferenceName, ...] | None = None
    token_ratio: Annotated[float, number(above=0, at_most=100)] = 1.0


class History(Section, frozen=True, kw_only=True):
    """Where the history is kept, and for how long; days are kept for ever.

    Attributes:
        path (file): SQLite file: `history.db` in `$STATE_DIRECTORY`, else in `/var/lib/evenwatt` as root,
            else in the user's state folder. Default: by platform.
        keep_minutes_days (days, from 2): After which minutes are forgotten; the hours tell what they added
            up to.
        keep_hours_days (days, from 32): After which hours are forgotten, not before their minutes; days are
            kept for ever.
    """

    path: AbsolutePath = field(default_factory=default_history_path)
    keep_minutes_days: Annotated[float, number(at_least=2, at_most=36_500)] = 30.0
    keep_hours_days: Annotated[float, number(at_least=32, at_most=36_500)] = 730.0

    def _faults(self) -> Iterator[tuple[KeyPath, str]]:
        if self.keep_hours_days < self.keep_minutes_days:
            least = f"keep_minutes_days ({self.keep_minutes_days:g})"
            yield ("keep_hours_days",), f"got {self.keep_hours_days:g}, expected at least {least}"


_Networks = Literal["all", "own"]


class Sampling(Section, frozen=True, kw_only=True):
    """How often things are looked at.

    Attributes:
        tick_seconds (seconds): Between two readings of each source, 0.1 to 60.
        gpu_seconds (seconds): Between two looks at GPU power, from 0.05 and at most a tick; a shorter tick
            is the default itself.
        deadline_seconds (seconds): After which a source counts as down, from 0.05 and at most a tick; a
            shorter tick is the default itself.
        discovery_seconds (seconds): Between two looks for engines where none are named, and for GPUs where
            there were none, 1 to 86400.
        discovery_networks (`all` or `own`): Network namespaces that are looked through for engines: those
            of containers too, or the agent's alone.
    """

    tick_seconds: Annotated[float, number(at_least=0.1, at_most=60)] = 10.0
    gpu_seconds: Annotated[float, number(at_least=0.05, at_most=60)] = 1.0
    deadline_seconds: Annotated[float, number(at_least=0.05, at_most=60)] = 5.0
    discovery_seconds: Annotated[float, number(at_least=1, at_most=86_400)] = 60.0
    discovery_networks: Annotated[_Networks, one_of(*get_args(_Networks))] = "all"

    def __post_init__(self) -> None:
        """Let what nobody wrote fit in a tick."""
        for key in {"gpu_seconds", "deadline_seconds"} - self.written:
            force_setattr(self, key, min(getattr(self, key), self.tick_seconds))

    def _faults(self) -> Iterator[tuple[KeyPath, str]]:
        for key in ("gpu_seconds", "deadline_seconds"):
            seconds = getattr(self, key)
            if seconds > self.tick_seconds:
                yield (key,), f"got {seconds:g}, expected at most tick_seconds ({self.tick_seconds:g})"


def _listening_twice(proxies: Sequence[Proxy]) -> Iterator[tuple[KeyPath, str]]:
    return repeated(
        ((index, key), address, str(address))
        for index, proxy in enumerate(proxies)
        for key, address in (("listen", proxy.listen), ("metrics_listen", proxy.metrics_listen))
    )


class Settings(Section, frozen=True, kw_only=True):
    """Everything that a person can set; all defaults where there is no file.

    Attributes:
        currency (ISO 4217 code): The currency of all money in the file that is not marked as USD.
        timezone (IANA name): Where days begin: of dates, time bands, and the month to date. Default: the
            system's.
        month_hours (hours): Hours in a month of cost: 730 (a year's twelfth) or 720 (30 days).
        engines: None: found by discovery. Empty: there are none to read.
        models: Rules by shell pattern of the served model's name; the first that fits holds.
        windows (h, d, month): Spans to report on: hours or days up to 366 days, or the month to date.
        proxy: What `evenwatt proxy` runs; the agent reads each like an engine, where `engines` names its
            page.
    """

    currency: Currency = "USD"
    usd_rate: UsdRate | None = None
    timezone: Timezone = field(default_factory=system_timezone)
    month_hours: MonthHours = 730
    electricity: Electricity = field(default_factory=Electricity)
    hardware: Hardware = field(default_factory=Hardware)
    labour: Labour | None = None
    setup: Setup | None = None
    other: Annotated[tuple[OtherCost, ...], apart("name")] = ()
    attribution: Attribution = field(default_factory=Attribution)
    host_power: HostPower = field(default_factory=HostPower)
    # Two engines at one address would count every token twice.
    engines: Annotated[tuple[Engine, ...], apart("name"), apart("url", identity=engine_place)] | None = None
    references: Annotated[
        tuple[Reference, ...], apart(identity=attrgetter("name"), shown=attrgetter("name"))
    ] = (
        CatalogueReference(name="anthropic:claude-haiku-4-5"),
        CatalogueReference(name="openai:gpt-4o-mini"),
        CatalogueReference(name="google:gemini-2.5-flash"),
    )
    prices: ApiPrices = field(default_factory=ApiPrices)
    models: Mapping[str, ModelRule] = field(default_factory=dict)
    windows: Annotated[
        tuple[WindowText, ...],
        at_least_one("at least one window, such as 24h"),
        apart(identity=attrgetter("seconds"), shown=attrgetter("label")),
    ] = (
        Window(label="1h", seconds=SECONDS_PER_HOUR),
        Window(label="24h", seconds=24 * SECONDS_PER_HOUR),
        Window(label="7d", seconds=7 * SECONDS_PER_DAY),
    )
    alerts: Alerts = field(default_factory=Alerts)
    server: Server = field(default_factory=Server)
    history: History = field(default_factory=History)
    sampling: Sampling = field(default_factory=Sampling)
    plan: Plan = field(default_factory=Plan)
    proxy: Annotated[tuple[Proxy, ...], apart("name"), Rule(_listening_twice)] = ()

    @classmethod
    def _faults_between(cls, right: Mapping[str, Any]) -> Iterator[tuple[KeyPath, str]]:
        if right.keys() >= {"currency", "usd_rate"}:
            yield from _rate_faults(right["currency"], right["usd_rate"])
        if right.keys() >= {"references", "models"}:
            yield from _unknown_references(right["references"], right["models"])
        if right.keys() >= {"windows", "alerts"}:
            window, windows = right["alerts"].window, right["windows"]
            if window is not None and window not in windows:
                known = ", ".join(each.label for each in windows)
                text = f"got {window.label}, expected one of windows: {known}; or add it there"
                yield ("alerts", "window"), text


def _rate_faults(currency: str, usd_rate: UsdRate | None) -> Iterator[tuple[KeyPath, str]]:
    if usd_rate is None and currency != "USD":
        text = f"missing; with currency {currency}, write {{rate: what one USD is worth, date: YYYY-MM-DD}}"
        yield ("usd_rate",), text
    if usd_rate is not None and currency == "USD" and usd_rate.rate != 1:
        text = f"got {usd_rate.rate:g}, expected 1 while currency is USD; set currency, or remove usd_rate"
        yield ("usd_rate", "rate"), text


def _unknown_references(
    references: Sequence[Reference], models: Mapping[str, ModelRule]
) -> Iterator[tuple[KeyPath, str]]:
    known = [reference.name for reference in references]
    for pattern, rule in models.items():
        for index, name in enumerate(rule.references or ()):
            if name not in known:
                text = f"got {name}, expected a name from references: {', '.join(known)}"
                yield ("models", pattern, "references", index), text
