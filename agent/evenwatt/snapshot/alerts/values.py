"""What alerts are made of: plain values."""

from collections.abc import Mapping
from enum import StrEnum

from msgspec import Struct, field

__all__ = [
    "ALERTS",
    "AlertKey",
    "AlertView",
    "NotifierHealth",
    "Observation",
    "Severity",
    "Thresholds",
    "alert_key",
]

ALERTS = (
    "EvenwattBelowBreakEvenLoad",
    "EvenwattBelowBreakEven",
    "EvenwattNeverBreaksEven",
    "EvenwattCostPerMtokJumped",
    "EvenwattIdleBurn",
    "EvenwattBudgetPace",
    "EvenwattEngineDownWhileMoneyFlows",
    "EvenwattSourceStale",
    "EvenwattLedgerGap",
    "EvenwattPriceAssumed",
    "EvenwattPriceStale",
    "EvenwattPricePending",
    "EvenwattGpuLost",
    "EvenwattEnergyDisagrees",
    "EvenwattHistoryNotWritten",
    "EvenwattHistorySetAside",
    "EvenwattConfigurationRefused",
)
"""The names of all alerts; what each means is in rules.py."""

AlertKey = tuple[str, tuple[tuple[str, str], ...]]
"""An alert's name and its labels in order: what tells one alert from another."""


class AlertState(StrEnum):
    """How an alert stands."""

    FIRING = "firing"
    PENDING = "pending"
    """It holds, and not for long enough yet."""
    OK = "ok"
    UNJUDGED = "unjudged"
    """Too little is known."""


class Severity(StrEnum):
    """How much it matters; the words that routes of Alertmanager usually go by."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


class Thresholds(Struct, frozen=True, kw_only=True):
    """What rules compare with. Unset, it is what dashboards/prometheus/thresholds.yaml says (tested).

    Attributes:
        window: By which break-even, jumps and the budget are judged, as the configuration names it.
        hold_seconds: How long a verdict on cost has to hold before it is told.
        resolve_after_seconds: How long it has to hold no longer before that is told.
        minimum_coverage_ratio: Share of the window that was watched, below which it is not judged.
        hysteresis_ratio: How far beyond its threshold a figure has to be before an alert that fires ends.
        idle_cost_per_day: That a loaded model may cost while nobody asks it anything.
        cost_jump_ratio: How many times the window's cost per Mtok that of the last 24 hours may be.
        budget_per_month: None: there is none.
        month_hours: Hours in a month of cost.
        gap_seconds: That may go unwatched within an hour.
        energy_disagreement_ratio: How far an energy counter may be from integrated power.
        disabled: Names of alerts that are not judged.
    """

    window: str
    hold_seconds: float
    resolve_after_seconds: float
    minimum_coverage_ratio: float
    hysteresis_ratio: float
    idle_cost_per_day: float
    cost_jump_ratio: float
    budget_per_month: float | None
    month_hours: float
    gap_seconds: float
    energy_disagreement_ratio: float
    disabled: frozenset[str]


class Observation(Struct, frozen=True, kw_only=True):
    """What a rule says of one thing that it could judge.

    Attributes:
        alert: The rule's name.
        labels: Of the thing: engine, reference, source, ...
        holds: Whether there is something to tell.
        figures: The numbers behind it, by name; None: not known.
        cost_per_day: What it costs; None: not known, or nothing.
    """

    alert: str
    labels: Mapping[str, str]
    holds: bool
    figures: Mapping[str, float | None] = field(default_factory=dict)
    cost_per_day: float | None = None

    @property
    def key(self) -> AlertKey:
        """What it is about."""
        return alert_key(self.alert, self.labels)


class AlertView(Struct, frozen=True, kw_only=True):
    """An alert as views show it.

    Attributes:
        since_utc_seconds: Since when it is in this state, where it is pending or firing.
        figures: The numbers behind it, by name.
        cost_per_day: What it costs, where that is known.
        reason: Why it is not judged.
    """

    alert: str
    severity: Severity
    labels: Mapping[str, str]
    state: AlertState
    since_utc_seconds: float | None = None
    figures: Mapping[str, float | None] = field(default_factory=dict)
    cost_per_day: float | None = None
    reason: str | None = None

    @property
    def subject(self) -> str:
        """What it is about, where that is neither an engine nor a reference."""
        return next((self.labels[name] for name in ("source", "setting", "uuid") if name in self.labels), "")


class NotifierHealth(Struct, frozen=True, kw_only=True):
    """How telling somebody fares.

    Attributes:
        up: Whether the last attempt went well; None: there was none yet.
        waiting: Messages that it has not taken yet.
        error: Why the last attempt failed, without secrets.
    """

    notifier: str
    kind: str
    up: bool | None = None
    waiting: int = 0
    error: str | None = None
    last_success_utc_seconds: float | None = None


def alert_key(alert: str, labels: Mapping[str, str]) -> AlertKey:
    """Return what tells an alert from others."""
    return alert, tuple(sorted(labels.items()))
