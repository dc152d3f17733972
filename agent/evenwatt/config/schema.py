"""The configuration as a whole: all its keys, their defaults, and which of them can hold together.

Every key is optional, and a key without a value counts as not written. The rules of a section are judged once
each of its own values is right, the rules between sections as soon as the values that they compare are: a
fault neither hides one that has nothing to do with it nor causes a second one.
"""

from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import Annotated, Any, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from evenwatt.config.costs import Attribution, Hardware, Labour, OtherCost, Setup, UsdRate
from evenwatt.config.credentials import ApiKey
from evenwatt.config.electricity import Electricity
from evenwatt.config.host import HostPower
from evenwatt.config.places import default_history_path, system_timezone
from evenwatt.config.plan import Plan
from evenwatt.config.proxy import Proxy
from evenwatt.config.references import ApiPrices, CatalogueReference, Reference
from evenwatt.config.section import KeyPath, Section
from evenwatt.config.values import (
    AbsolutePath,
    Address,
    Currency,
    EngineKind,
    EngineName,
    EngineUrl,
    Gpu,
    InputMeaning,
    ListenAddress,
    MonthHours,
    ReferenceName,
    SeriesName,
    Timezone,
    Window,
    WindowText,
    engine_place,
    number,
    refused,
    unexpected,
)
from evenwatt.units import SECONDS_PER_DAY, SECONDS_PER_HOUR

__all__ = [
    "Engine",
    "History",
    "ModelRule",
    "Sampling",
    "Server",
    "Settings",
]


def _repeated(entries: Iterable[tuple[KeyPath, Hashable, str]]) -> dict[KeyPath, str]:
    """Return the faults of entries (path, identity, as shown) that were there before."""
    seen: dict[Hashable, str] = {}
    faults: dict[KeyPath, str] = {}
    for path, identity, shown in entries:
        if identity in seen:
            earlier = "an earlier one" if seen[identity] == shown else seen[identity]
            faults[path] = f"got {shown}, the same as {earlier}; keep one of them"
        seen.setdefault(identity, shown)
    return faults


def _refuse(faults: Mapping[KeyPath, str]) -> None:
    if faults:
        raise refused(faults)


class CounterNames(Section):
    """What the counters of an engine of kind `generic` are called on its page, and what they mean.

    Attributes:
        output: None: it generates nothing, as an engine for embeddings.
        input_means: `logical`: the whole prompt; `computed`: without what was reused from a cache.
        model_label: The label that holds the model's name; None: the engine serves one model without a name.
    """

    input: SeriesName
    input_means: InputMeaning
    output: SeriesName | None = None
    cached_input: SeriesName | None = None
    model_label: SeriesName | None = None
    requests: SeriesName | None = None
    running: SeriesName | None = None
    waiting: SeriesName | None = None


TokenRate = Annotated[float, number(above=0, at_most=10**9)]


class Engine(Section):
    """An inference engine to read.

    Attributes:
        gpus: The GPUs that it uses, by index or UUID; None: found. Empty: it uses none.
        counters: For kind `generic`, and for no other.
        capacity_tokens_per_second: What it sustains at the usual mix; None: calibrated or learned.
        prefill_tokens_per_second: What it sustains of computed input alone; only with the next.
        decode_tokens_per_second: What it sustains of output alone.
        api_key: For engines that ask for one; sent as a bearer token.
    """

    name: EngineName
    url: EngineUrl
    kind: EngineKind = "auto"
    counters: CounterNames | None = None
    gpus: tuple[Gpu, ...] | None = None
    capacity_tokens_per_second: TokenRate | None = None
    prefill_tokens_per_second: TokenRate | None = None
    decode_tokens_per_second: TokenRate | None = None
    api_key: ApiKey | None = None

    @model_validator(mode="after")
    def _names_counters_where_they_are_not_known(self) -> Self:
        if self.kind == "generic" and self.counters is None:
            text = "missing; kind generic needs the names of its counters: input, input_means, output"
            raise refused({("counters",): text})
        if self.kind != "generic" and self.counters is not None:
            raise refused({("counters",): f"kind {self.kind} knows its own; remove it, or set kind: generic"})
        return self

    @field_validator("gpus")
    @classmethod
    def _names_each_gpu_once(cls, gpus: tuple[int | str, ...] | None) -> tuple[int | str, ...] | None:
        _refuse(_repeated(((index,), gpu, str(gpu)) for index, gpu in enumerate(gpus or ())))
        return gpus

    @model_validator(mode="after")
    def _knows_both_phases(self) -> Self:
        phases = {
            "prefill_tokens_per_second": self.prefill_tokens_per_second,
            "decode_tokens_per_second": self.decode_tokens_per_second,
        }
        missing = [name for name, rate in phases.items() if rate is None]
        if len(missing) == 1:
            (written,) = phases.keys() - missing
            raise refused({(missing[0],): f"missing; a load needs it beside {written}, or neither of them"})
        return self


class ModelRule(Section):
    """What holds for the served models whose name fits a pattern.

    Attributes:
        references: Names of the references to compare these models with; None: all.
        token_ratio: API tokens for each token of this model, for the same text.
    """

    references: tuple[ReferenceName, ...] | None = None
    token_ratio: Annotated[float, number(above=0, at_most=100)] = 1.0


class Server(Section):
    """The one port of the agent."""

    listen: ListenAddress = Address(host="127.0.0.1", port=9787)


class History(Section):
    """Where the history is kept."""

    path: AbsolutePath = Field(default_factory=default_history_path)


def _at_most_a_tick(seconds: float) -> Callable[[dict[str, Any]], float]:
    return lambda validated: min(seconds, validated["tick_seconds"])


class Sampling(Section):
    """How often things are looked at.

    Attributes:
        tick_seconds: Between two readings of each source.
        gpu_seconds: Between two looks at GPU power; by default 1, or the tick where that is shorter.
        deadline_seconds: After which a source is down; by default 5, or the tick where that is shorter.
        discovery_seconds: Between two looks for engines and GPUs that are not known yet.
    """

    tick_seconds: Annotated[float, number(at_least=0.1, at_most=60)] = 10.0
    gpu_seconds: Annotated[float, number(at_least=0.05, at_most=60)] = Field(
        default_factory=_at_most_a_tick(1.0)
    )
    deadline_seconds: Annotated[float, number(at_least=0.05, at_most=60)] = Field(
        default_factory=_at_most_a_tick(5.0)
    )
    discovery_seconds: Annotated[float, number(at_least=1, at_most=86_400)] = 60.0

    @model_validator(mode="after")
    def _fits_in_a_tick(self) -> Self:
        lengths = {"gpu_seconds": self.gpu_seconds, "deadline_seconds": self.deadline_seconds}
        _refuse(
            {
                (key,): f"got {seconds:g}, expected at most tick_seconds ({self.tick_seconds:g})"
                for key, seconds in lengths.items()
                if seconds > self.tick_seconds
            }
        )
        return self


class Settings(Section):
    """Everything that a person can set; all defaults where there is no file.

    Attributes:
        currency: Of all money in the file that is not marked as USD.
        month_hours: Hours in a month of cost: 730 (a year's twelfth) or 720 (30 days).
        engines: None: found by discovery. Empty: there are none to read.
        models: Rules by shell pattern of the served model's name; the first that fits holds.
        proxy: What `evenwatt proxy` runs; the agent reads each like an engine, where `engines` names its
            page.
    """

    currency: Currency = "USD"
    usd_rate: UsdRate | None = Field(default=None, validate_default=True)
    timezone: Timezone = Field(default_factory=system_timezone)
    month_hours: MonthHours = 730
    electricity: Electricity = Electricity()
    hardware: Hardware = Hardware()
    labour: Labour | None = None
    setup: Setup | None = None
    other: tuple[OtherCost, ...] = ()
    attribution: Attribution = Attribution()
    host_power: HostPower = HostPower()
    engines: tuple[Engine, ...] | None = None
    references: tuple[Reference, ...] = (
        CatalogueReference(name="anthropic:claude-haiku-4-5"),
        CatalogueReference(name="openai:gpt-4o-mini"),
        CatalogueReference(name="google:gemini-2.5-flash"),
    )
    prices: ApiPrices = ApiPrices()
    models: Mapping[str, ModelRule] = Field(default_factory=dict)
    windows: tuple[WindowText, ...] = (
        Window(label="1h", seconds=SECONDS_PER_HOUR),
        Window(label="24h", seconds=24 * SECONDS_PER_HOUR),
        Window(label="7d", seconds=7 * SECONDS_PER_DAY),
    )
    server: Server = Server()
    history: History = Field(default_factory=History)
    sampling: Sampling = Sampling()
    plan: Plan = Plan()
    proxy: tuple[Proxy, ...] = ()

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
        _refuse(_repeated(((index, "name"), cost.name, cost.name) for index, cost in enumerate(other)))
        return other

    @field_validator("engines")
    @classmethod
    def _reads_each_engine_once(cls, engines: tuple[Engine, ...] | None) -> tuple[Engine, ...] | None:
        # Two engines at one address would count every token twice.
        names = _repeated(
            ((index, "name"), engine.name, engine.name) for index, engine in enumerate(engines or ())
        )
        urls = _repeated(
            ((index, "url"), engine_place(engine.url), engine.url)
            for index, engine in enumerate(engines or ())
        )
        _refuse(names | urls)
        return engines

    @field_validator("proxy")
    @classmethod
    def _keeps_proxies_apart(cls, proxies: tuple[Proxy, ...]) -> tuple[Proxy, ...]:
        names = _repeated(((index, "name"), proxy.name, proxy.name) for index, proxy in enumerate(proxies))
        listening = _repeated(
            ((index, key), address, str(address))
            for index, proxy in enumerate(proxies)
            for key, address in (("listen", proxy.listen), ("metrics_listen", proxy.metrics_listen))
        )
        _refuse(names | listening)
        return proxies

    @field_validator("references")
    @classmethod
    def _names_references_apart(cls, references: tuple[Reference, ...]) -> tuple[Reference, ...]:
        _refuse(
            _repeated(
                ((index,), reference.name, reference.name) for index, reference in enumerate(references)
            )
        )
        return references

    @field_validator("models")
    @classmethod
    def _compares_with_known_references(
        cls, models: Mapping[str, ModelRule], info: ValidationInfo
    ) -> Mapping[str, ModelRule]:
        if "references" not in info.data:
            return models
        known = [reference.name for reference in info.data["references"]]
        _refuse(
            {
                (
                    pattern,
                    "references",
                    index,
                ): f"got {name}, expected a name from references: {', '.join(known)}"
                for pattern, rule in models.items()
                for index, name in enumerate(rule.references or ())
                if name not in known
            }
        )
        return models

    @field_validator("windows")
    @classmethod
    def _differ_in_length(cls, windows: tuple[Window, ...]) -> tuple[Window, ...]:
        if not windows:
            raise unexpected("at least one window, such as 24h")
        _refuse(_repeated(((index,), window.seconds, window.label) for index, window in enumerate(windows)))
        return windows
