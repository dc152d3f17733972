"""The configuration as a whole: all its keys, their defaults, and which of them can hold together.

Every key is optional, and a key without a value counts as not written. The rules of a section are judged once
each of its own values is right, the rules between sections as soon as the values that they compare are: a
fault neither hides one that has nothing to do with it nor causes a second one.
"""

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import Field, ValidationInfo, field_validator, model_validator

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
from evenwatt.config.refusals import refuse_any, refused, repeated, unexpected
from evenwatt.config.section import Section, WhereWritten
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


class ModelRule(Section):
    """What holds for the served models whose name fits a pattern.

    Attributes:
        references (names): References to compare with, for served models whose name fits the pattern; the
            first that fits holds. None: all.
        token_ratio (ratio): API tokens for each token of the model, for the same text, above 0 and at most
            100; scales every API bill, with and without cache and in batch.
    """

    references: tuple[ReferenceName, ...] | None = None
    token_ratio: Annotated[float, number(above=0, at_most=100)] = 1.0


class History(Section):
    """Where the history is kept, and for how long; days are kept for ever.

    Attributes:
        path (file): SQLite file: `history.db` in `$STATE_DIRECTORY`, else in `/var/lib/evenwatt` as root,
            else in the user's state folder. Default: by platform.
        keep_minutes_days (days, from 2): After which minutes are forgotten; the hours tell what they added
            up to.
        keep_hours_days (days, from 32): After which hours are forgotten, not before their minutes; days are
            kept for ever.
    """

    path: AbsolutePath = Field(default_factory=default_history_path)
    keep_minutes_days: Annotated[float, number(at_least=2, at_most=36_500)] = 30.0
    keep_hours_days: Annotated[float, number(at_least=32, at_most=36_500)] = 730.0

    @model_validator(mode="after")
    def _forgets_minutes_first(self) -> Self:
        if self.keep_hours_days < self.keep_minutes_days:
            least = f"keep_minutes_days ({self.keep_minutes_days:g})"
            text = f"got {self.keep_hours_days:g}, expected at least {least}"
            raise refused({("keep_hours_days",): text})
        return self


_Networks = Literal["all", "own"]


def _at_most_a_tick(seconds: float) -> Callable[[dict[str, Any]], float]:
    return lambda validated: min(seconds, validated["tick_seconds"])


class Sampling(Section):
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
    gpu_seconds: Annotated[float, number(at_least=0.05, at_most=60)] = Field(
        default_factory=_at_most_a_tick(1.0)
    )
    deadline_seconds: Annotated[float, number(at_least=0.05, at_most=60)] = Field(
        default_factory=_at_most_a_tick(5.0)
    )
    discovery_seconds: Annotated[float, number(at_least=1, at_most=86_400)] = 60.0
    discovery_networks: Annotated[_Networks, one_of(*get_args(_Networks))] = "all"

    @model_validator(mode="after")
    def _fits_in_a_tick(self) -> Self:
        lengths = {"gpu_seconds": self.gpu_seconds, "deadline_seconds": self.deadline_seconds}
        refuse_any(
            ((key,), f"got {seconds:g}, expected at most tick_seconds ({self.tick_seconds:g})")
            for key, seconds in lengths.items()
            if seconds > self.tick_seconds
        )
        return self


class Settings(Section):
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
    usd_rate: UsdRate | None = Field(default=None, validate_default=True)
    timezone: Timezone = Field(default_factory=system_timezone)
    month_hours: MonthHours = 730
    electricity: Annotated[Electricity, WhereWritten()] = Field(default_factory=Electricity.model_construct)
    hardware: Annotated[Hardware, WhereWritten()] = Field(default_factory=Hardware.model_construct)
    labour: Annotated[Labour, WhereWritten()] | None = None
    setup: Annotated[Setup, WhereWritten()] | None = None
    other: tuple[OtherCost, ...] = ()
    attribution: Annotated[Attribution, WhereWritten()] = Field(default_factory=Attribution.model_construct)
    host_power: Annotated[HostPower, WhereWritten()] = Field(default_factory=HostPower.model_construct)
    engines: tuple[Engine, ...] | None = None
    references: tuple[Reference, ...] = (
        CatalogueReference(name="anthropic:claude-haiku-4-5"),
        CatalogueReference(name="openai:gpt-4o-mini"),
        CatalogueReference(name="google:gemini-2.5-flash"),
    )
    prices: Annotated[ApiPrices, WhereWritten()] = Field(default_factory=ApiPrices.model_construct)
    models: Mapping[str, ModelRule] = Field(default_factory=dict)
    windows: tuple[WindowText, ...] = (
        Window(label="1h", seconds=SECONDS_PER_HOUR),
        Window(label="24h", seconds=24 * SECONDS_PER_HOUR),
        Window(label="7d", seconds=7 * SECONDS_PER_DAY),
    )
    alerts: Annotated[Alerts, WhereWritten()] = Field(default_factory=Alerts.model_construct)
    server: Annotated[Server, WhereWritten()] = Field(default_factory=Server.model_construct)
    history: History = Field(default_factory=History)
    sampling: Annotated[Sampling, WhereWritten()] = Field(default_factory=Sampling.model_construct)
    plan: Annotated[Plan, WhereWritten()] = Field(default_factory=Plan.model_construct)
    proxy: tuple[Annotated[Proxy, WhereWritten()], ...] = ()

    @field_validator("usd_rate")
    @classmethod
    def _fits_the_currency(cls, usd_rate: UsdRate | None, info: ValidationInfo) -> UsdRate | None:
        currency = info.data.get("currency")
        if usd_rate is None and currency not in {None, "USD"}:
            text = (
                f"missing; with currency {currency}, write {{rate: what one USD is worth, date: YYYY-MM-DD}}"
            )
            raise refused({(): text})
        if usd_rate is not None and currency == "USD" and usd_rate.rate != 1:
            text = (
                f"got {usd_rate.rate:g}, expected 1 while currency is USD; set currency, or remove usd_rate"
            )
            raise refused({("rate",): text})
        return usd_rate

    @field_validator("other")
    @classmethod
    def _names_costs_apart(cls, other: tuple[OtherCost, ...]) -> tuple[OtherCost, ...]:
        refuse_any(repeated(((index, "name"), cost.name, cost.name) for index, cost in enumerate(other)))
        return other

    @field_validator("engines")
    @classmethod
    def _reads_each_engine_once(cls, engines: tuple[Engine, ...] | None) -> tuple[Engine, ...] | None:
        # Two engines at one address would count every token twice.
        numbered = tuple(enumerate(engines or ()))
        names = repeated(((index, "name"), engine.name, engine.name) for index, engine in numbered)
        urls = repeated(((index, "url"), engine_place(engine.url), engine.url) for index, engine in numbered)
        refuse_any((*names, *urls))
        return engines

    @field_validator("proxy")
    @classmethod
    def _keeps_proxies_apart(cls, proxies: tuple[Proxy, ...]) -> tuple[Proxy, ...]:
        names = repeated(((index, "name"), proxy.name, proxy.name) for index, proxy in enumerate(proxies))
        listening = repeated(
            ((index, key), address, str(address))
            for index, proxy in enumerate(proxies)
            for key, address in (("listen", proxy.listen), ("metrics_listen", proxy.metrics_listen))
        )
        refuse_any((*names, *listening))
        return proxies

    @field_validator("references")
    @classmethod
    def _names_references_apart(cls, references: tuple[Reference, ...]) -> tuple[Reference, ...]:
        names = (reference.name for reference in references)
        refuse_any(repeated(((index,), name, name) for index, name in enumerate(names)))
        return references

    @field_validator("models")
    @classmethod
    def _compares_with_known_references(
        cls, models: Mapping[str, ModelRule], info: ValidationInfo
    ) -> Mapping[str, ModelRule]:
        if "references" not in info.data:
            return models
        known = [reference.name for reference in info.data["references"]]
        expected = f"expected a name from references: {', '.join(known)}"
        refuse_any(
            ((pattern, "references", index), f"got {name}, {expected}")
            for pattern, rule in models.items()
            for index, name in enumerate(rule.references or ())
            if name not in known
        )
        return models

    @field_validator("alerts")
    @classmethod
    def _judges_a_known_window(cls, alerts: Alerts, info: ValidationInfo) -> Alerts:
        windows: tuple[Window, ...] = info.data.get("windows", ())
        if windows and alerts.window is not None and alerts.window not in windows:
            known = ", ".join(window.label for window in windows)
            text = f"got {alerts.window.label}, expected one of windows: {known}; or add it there"
            raise refused({("window",): text})
        return alerts

    @field_validator("windows")
    @classmethod
    def _differ_in_length(cls, windows: tuple[Window, ...]) -> tuple[Window, ...]:
        if not windows:
            raise unexpected("at least one window, such as 24h")
        refuse_any(repeated(((index,), window.seconds, window.label) for index, window in enumerate(windows)))
        return windows
