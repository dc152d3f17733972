"""The rules: which alert holds on a snapshot. Each is the twin of the rule of its name for Prometheus.

What cannot be judged is not observed, so an absent observation is not the same as one that does not hold. The
twins compare the same exported numbers; `tests/properties/test_alerts_agree.py` holds them together.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping

from msgspec import Struct

from evenwatt.economics.effective import Basis, TokenBase
from evenwatt.snapshot.alerts.values import AlertKey, Observation, Severity, Thresholds, alert_key
from evenwatt.snapshot.values import Snapshot
from evenwatt.snapshot.windows import ALL, ReferenceView, WindowRow, WindowView
from evenwatt.units import SECONDS_PER_DAY, SECONDS_PER_HOUR, SECONDS_PER_MINUTE, TOKENS_PER_MTOK

__all__ = ["RULES", "Case", "Rule", "observations"]

_DAY_WINDOW = "24h"
_IDLE_WINDOW = "1h"
_STALE_SECONDS = 300.0
_HOURS_PER_DAY = 24


class Case(Struct, frozen=True, kw_only=True):
    """What rules look at.

    Attributes:
        firing: The alerts that fired at the evaluation before; their thresholds give way a little.
        gap_seconds: By source, what went unwatched within the last hour.
    """

    snapshot: Snapshot
    thresholds: Thresholds
    firing: frozenset[AlertKey] = frozenset()
    gap_seconds: Mapping[str, float] | None = None

    def slack(self, alert: str, labels: Mapping[str, str]) -> float:
        """Return the part of a threshold by which it gives way for this alert."""
        return self.thresholds.hysteresis_ratio if alert_key(alert, labels) in self.firing else 0.0

    def window(self, name: str) -> WindowView | None:
        """Return a window; None where the configuration has none of that name."""
        return next((view for view in self.snapshot.windows if view.name == name), None)

    @property
    def verdict_window(self) -> WindowView | None:
        """The window by which cost is judged; None where there is none, or too little of it was watched."""
        view = self.window(self.thresholds.window)
        if view is None or view.coverage_ratio < self.thresholds.minimum_coverage_ratio:
            return None
        return view

    @property
    def machine_cost_per_day(self) -> float | None:
        """What the machine costs a day as things stand."""
        full = self.snapshot.cost_per_hour.full
        return None if full is None else full * _HOURS_PER_DAY


class Rule(Struct, frozen=True, kw_only=True):
    """A rule and how it behaves over time.

    Attributes:
        observe: What it says of everything that it can judge.
        why_not: Why it can judge nothing, where that is so.
        hold_seconds: How long it has to hold before it fires; None: the thresholds' own.
        resolve_after_seconds: How long it has to hold no longer before it ends; None: the thresholds' own.
    """

    alert: str
    severity: Severity
    observe: Callable[[Case], Iterator[Observation]]
    why_not: Callable[[Case], str | None]
    hold_seconds: float | None = None
    resolve_after_seconds: float | None = None

    def holds_for(self, thresholds: Thresholds) -> float:
        """Return how long it has to hold."""
        return thresholds.hold_seconds if self.hold_seconds is None else self.hold_seconds

    def ends_after(self, thresholds: Thresholds) -> float:
        """Return how long it has to hold no longer."""
        own = self.resolve_after_seconds
        return thresholds.resolve_after_seconds if own is None else own


def observations(case: Case) -> Iterator[Observation]:
    """Yield what every rule says that is not switched off."""
    for rule in RULES.values():
        if rule.alert not in case.thresholds.disabled:
            yield from rule.observe(case)


# --- the verdict on cost ------------------------------------------------------------------------------------


def _below_break_even_load(case: Case) -> Iterator[Observation]:
    alert = "EvenwattBelowBreakEvenLoad"
    for view, row, reference, labels in _engine_references(case):
        load, break_even = row.load_ratio, reference.break_even_load_ratio
        if load is None or break_even is None or math.isinf(break_even):
            continue
        yield Observation(
            alert=alert,
            labels=labels,
            holds=load < break_even * (1 + case.slack(alert, labels)),
            figures={
                "load_ratio": load,
                "break_even_load_ratio": break_even,
                "load_is_upper_bound": float(row.load_is_upper_bound),
            },
            cost_per_day=_extra_cost_per_day(view, row, reference),
        )


def _below_break_even(case: Case) -> Iterator[Observation]:
    alert = "EvenwattBelowBreakEven"
    view = case.verdict_window
    row = None if view is None else view.row()
    if view is None or row is None:
        return
    for reference in row.references:
        labels = _reference_labels(view, row, reference)
        if reference.ratio is not None:
            yield Observation(
                alert=alert,
                labels=labels,
                holds=reference.ratio < 1 + case.slack(alert, labels),
                figures={
                    "break_even_ratio": reference.ratio,
                    "api_price_per_mtok": reference.price_per_mtok,
                    "cost_per_mtok": _cost_per_mtok(row),
                },
                cost_per_day=_extra_cost_per_day(view, row, reference),
            )


def _never_breaks_even(case: Case) -> Iterator[Observation]:
    for view, row, reference, labels in _engine_references(case):
        if reference.break_even_load_ratio is not None:
            yield Observation(
                alert="EvenwattNeverBreaksEven",
                labels=labels,
                holds=reference.break_even_load_ratio == math.inf,
                figures={
                    "api_price_per_mtok": reference.price_per_mtok,
                    "cost_per_mtok": _cost_per_mtok(row),
                },
                cost_per_day=_extra_cost_per_day(view, row, reference),
            )


def _cost_per_mtok_jumped(case: Case) -> Iterator[Observation]:
    alert = "EvenwattCostPerMtokJumped"
    window, day = case.verdict_window, case.window(_DAY_WINDOW)
    if window is None or day is None or window.seconds <= day.seconds:
        return
    row, day_row = window.row(), day.row()
    usual, last = (None if each is None else _cost_per_mtok(each) for each in (row, day_row))
    if usual is None or last is None or day_row is None or not usual:
        return
    ratio = last / usual
    yield Observation(
        alert=alert,
        labels={},
        holds=ratio > case.thresholds.cost_jump_ratio * (1 - case.slack(alert, {})),
        figures={"ratio": ratio, "day_cost_per_mtok": last, "cost_per_mtok": usual},
        cost_per_day=(last - usual) * day_row.tokens.total_tokens / TOKENS_PER_MTOK,
    )


# --- money --------------------------------------------------------------------------------------------------


def _idle_burn(case: Case) -> Iterator[Observation]:
    view = case.window(_IDLE_WINDOW)
    for row in () if view is None else view.rows:
        cost = None if view is None else view.mean_per_hour(row.money.idle_loaded)
        if row.engine == ALL or row.model != ALL or cost is None:
            continue
        per_day = _HOURS_PER_DAY * cost
        is_dear = per_day > case.thresholds.idle_cost_per_day
        yield Observation(
            alert="EvenwattIdleBurn",
            labels={"engine": row.engine},
            holds=is_dear and not row.tokens.total_tokens,
            figures={"idle_cost_per_day": per_day, "tokens": row.tokens.total_tokens},
            cost_per_day=per_day,
        )


def _budget_pace(case: Case) -> Iterator[Observation]:
    alert = "EvenwattBudgetPace"
    view, budget = case.verdict_window, case.thresholds.budget_per_month
    row = None if view is None else view.row()
    cost = None if view is None or row is None else view.mean_per_hour(row.money.whole_costs.full)
    if budget is None or cost is None:
        return
    per_month = case.thresholds.month_hours * cost
    yield Observation(
        alert=alert,
        labels={},
        holds=per_month > budget * (1 - case.slack(alert, {})),
        figures={"cost_per_month": per_month, "budget_per_month": budget},
        cost_per_day=_HOURS_PER_DAY * cost,
    )


def _engine_down_while_money_flows(case: Case) -> Iterator[Observation]:
    costs = case.snapshot.cost_per_hour
    known = [cost for cost in (costs.hardware, costs.energy, costs.labour, costs.other) if cost is not None]
    for engine in case.snapshot.engines if known else ():
        yield Observation(
            alert="EvenwattEngineDownWhileMoneyFlows",
            labels={"engine": engine.engine, "kind": engine.kind},
            holds=not engine.up and sum(known) > 0,
            cost_per_day=case.machine_cost_per_day,
        )


# --- whether the numbers can be trusted ---------------------------------------------------------------------


def _source_stale(case: Case) -> Iterator[Observation]:
    now = case.snapshot.moment.utc_seconds
    for source in case.snapshot.sources:
        if source.last_success_utc_seconds is not None:
            age = now - source.last_success_utc_seconds
            yield Observation(
                alert="EvenwattSourceStale",
                labels={"source": source.source},
                holds=age > _STALE_SECONDS,
                figures={"age_seconds": age},
                cost_per_day=case.machine_cost_per_day,
            )


def _ledger_gap(case: Case) -> Iterator[Observation]:
    gaps = case.gap_seconds or {}
    names = (source.source for source in case.snapshot.sources)
    for name in dict.fromkeys([*names, *case.snapshot.source_totals]):
        seconds = gaps.get(name, 0.0)
        yield Observation(
            alert="EvenwattLedgerGap",
            labels={"source": name},
            holds=seconds > case.thresholds.gap_seconds,
            figures={"gap_seconds": seconds},
            cost_per_day=case.machine_cost_per_day,
        )


def _price_assumed(case: Case) -> Iterator[Observation]:
    for assumption in case.snapshot.assumptions:
        yield Observation(
            alert="EvenwattPriceAssumed",
            labels={"setting": assumption.setting},
            holds=True,
            cost_per_day=case.machine_cost_per_day,
        )


def _price_stale(case: Case) -> Iterator[Observation]:
    if case.snapshot.electricity.is_stale is not None:
        yield Observation(
            alert="EvenwattPriceStale",
            labels={},
            holds=case.snapshot.electricity.is_stale,
            figures={"price_per_kwh": case.snapshot.electricity_price_per_kwh},
            cost_per_day=case.machine_cost_per_day,
        )


def _price_pending(case: Case) -> Iterator[Observation]:
    for pending in case.snapshot.pending_prices:
        yield Observation(
            alert="EvenwattPricePending",
            labels={"reference": pending.reference},
            holds=True,
            cost_per_day=case.machine_cost_per_day,
        )


def _gpu_lost(case: Case) -> Iterator[Observation]:
    for gpu in case.snapshot.gpus:
        yield Observation(
            alert="EvenwattGpuLost",
            labels={"gpu": str(gpu.index), "uuid": gpu.uuid},
            holds=gpu.fault is not None,
            cost_per_day=case.machine_cost_per_day,
        )


def _energy_disagrees(case: Case) -> Iterator[Observation]:
    alert = "EvenwattEnergyDisagrees"
    for gpu in case.snapshot.gpus:
        labels = {"gpu": str(gpu.index), "uuid": gpu.uuid}
        ratio = case.snapshot.counter_power_ratios.get(gpu.uuid)
        if ratio is not None:
            most = case.thresholds.energy_disagreement_ratio * (1 - case.slack(alert, labels))
            yield Observation(
                alert=alert,
                labels=labels,
                holds=abs(ratio - 1) > most,
                figures={"counter_power_ratio": ratio},
                cost_per_day=case.machine_cost_per_day,
            )


def _history_not_written(case: Case) -> Iterator[Observation]:
    history = case.snapshot.history
    yield _of_the_agent(case, "EvenwattHistoryNotWritten", not history.up, ticks=history.pending_ticks)


def _history_set_aside(case: Case) -> Iterator[Observation]:
    yield _of_the_agent(case, "EvenwattHistorySetAside", case.snapshot.history.set_aside is not None)


def _configuration_refused(case: Case) -> Iterator[Observation]:
    yield _of_the_agent(case, "EvenwattConfigurationRefused", not case.snapshot.config_reload_ok)


# --- parts of rules -----------------------------------------------------------------------------------------


def _of_the_agent(case: Case, alert: str, holds: bool, **figures: float) -> Observation:
    return Observation(
        alert=alert, labels={}, holds=holds, figures=figures, cost_per_day=case.machine_cost_per_day
    )


def _engine_references(
    case: Case,
) -> Iterator[tuple[WindowView, WindowRow, ReferenceView, dict[str, str]]]:
    """Yield each engine with each reference that it is compared with, and their labels."""
    view = case.verdict_window
    for row in () if view is None else view.rows:
        if view is not None and row.model == ALL:
            for reference in row.references:
                yield view, row, reference, _reference_labels(view, row, reference)


def _reference_labels(view: WindowView, row: WindowRow, reference: ReferenceView) -> dict[str, str]:
    return {
        "engine": row.engine,
        "model": row.model,
        "reference": reference.reference,
        "window": view.name,
    }


def _cost_per_mtok(row: WindowRow) -> float | None:
    return row.cost_per_mtok.get((Basis.FULL, TokenBase.TOTAL))


def _extra_cost_per_day(view: WindowView, row: WindowRow, reference: ReferenceView) -> float | None:
    """Return what own tokens cost more than the reference's, a day of the window."""
    own, price = row.money.whole_costs.full, reference.price_per_mtok
    if own is None or price is None:
        return None
    bill = price * row.tokens.total_tokens / TOKENS_PER_MTOK
    per_hour = view.mean_per_hour(own - bill)
    return None if per_hour is None else _HOURS_PER_DAY * per_hour


# --- why a rule can judge nothing ---------------------------------------------------------------------------


def _lacks(case: Case, *windows: str) -> str | None:
    missing = [name for name in windows if case.window(name) is None]
    return f"windows: lacks {' and '.join(missing)}" if missing else None


def _not_watched(case: Case) -> str | None:
    view = case.window(case.thresholds.window)
    if view is None or view.coverage_ratio >= case.thresholds.minimum_coverage_ratio:
        return _lacks(case, case.thresholds.window)
    return (
        f"{view.coverage_ratio:.1%} of the last {view.name} was watched, and "
        f"{case.thresholds.minimum_coverage_ratio:.0%} is needed"
    )


def _no_comparison(case: Case) -> str | None:
    return _not_watched(case) or "no tokens, no capacity or no price to compare with in the window"


def _no_day(case: Case) -> str | None:
    window, day = case.window(case.thresholds.window), case.window(_DAY_WINDOW)
    if window is not None and day is not None and window.seconds <= day.seconds:
        return f"alerts.window is no longer than {_DAY_WINDOW}"
    return (
        _lacks(case, _DAY_WINDOW) or _not_watched(case) or "no tokens, or no full cost, in one of the windows"
    )


def _no_idle_cost(case: Case) -> str | None:
    return _lacks(case, _IDLE_WINDOW) or "no engine that is loaded and idle is known"


def _no_budget(case: Case) -> str | None:
    if case.thresholds.budget_per_month is None:
        return "alerts.budget_per_month is not set"
    return _not_watched(case) or "the full cost is not known"


def _because(text: str) -> Callable[[Case], str | None]:
    return lambda _: text


_MINUTES = SECONDS_PER_MINUTE
_HOURS = SECONDS_PER_HOUR


def _by_name(rules: Iterable[Rule]) -> dict[str, Rule]:
    return {rule.alert: rule for rule in rules}


RULES = _by_name(
    (
        Rule(
            alert="EvenwattBelowBreakEvenLoad",
            severity=Severity.WARNING,
            observe=_below_break_even_load,
            why_not=_no_comparison,
        ),
        Rule(
            alert="EvenwattBelowBreakEven",
            severity=Severity.WARNING,
            observe=_below_break_even,
            why_not=_no_comparison,
        ),
        Rule(
            alert="EvenwattNeverBreaksEven",
            severity=Severity.INFO,
            observe=_never_breaks_even,
            why_not=_no_comparison,
            hold_seconds=6 * _HOURS,
        ),
        Rule(
            alert="EvenwattCostPerMtokJumped",
            severity=Severity.WARNING,
            observe=_cost_per_mtok_jumped,
            why_not=_no_day,
        ),
        Rule(
            alert="EvenwattIdleBurn",
            severity=Severity.WARNING,
            observe=_idle_burn,
            why_not=_no_idle_cost,
            # The window before it is one hour.
            hold_seconds=5 * _HOURS,
            resolve_after_seconds=0,
        ),
        Rule(
            alert="EvenwattBudgetPace",
            severity=Severity.WARNING,
            observe=_budget_pace,
            why_not=_no_budget,
            hold_seconds=6 * _HOURS,
        ),
        Rule(
            alert="EvenwattEngineDownWhileMoneyFlows",
            severity=Severity.WARNING,
            observe=_engine_down_while_money_flows,
            why_not=_because("no engine, or no cost, is known"),
            hold_seconds=15 * _MINUTES,
            resolve_after_seconds=5 * _MINUTES,
        ),
        Rule(
            alert="EvenwattSourceStale",
            severity=Severity.WARNING,
            observe=_source_stale,
            why_not=_because("no source has been read yet"),
            hold_seconds=5 * _MINUTES,
            resolve_after_seconds=5 * _MINUTES,
        ),
        Rule(
            alert="EvenwattLedgerGap",
            severity=Severity.INFO,
            observe=_ledger_gap,
            why_not=_because("there is no source"),
            hold_seconds=0,
            resolve_after_seconds=0,
        ),
        Rule(
            alert="EvenwattPriceAssumed",
            severity=Severity.INFO,
            observe=_price_assumed,
            why_not=_because(""),
            hold_seconds=SECONDS_PER_DAY,
            resolve_after_seconds=0,
        ),
        Rule(
            alert="EvenwattPriceStale",
            severity=Severity.WARNING,
            observe=_price_stale,
            why_not=_because("the electricity price comes from no feed"),
            hold_seconds=1 * _HOURS,
            resolve_after_seconds=5 * _MINUTES,
        ),
        Rule(
            alert="EvenwattPricePending",
            severity=Severity.INFO,
            observe=_price_pending,
            why_not=_because(""),
            hold_seconds=1 * _HOURS,
            resolve_after_seconds=0,
        ),
        Rule(
            alert="EvenwattGpuLost",
            severity=Severity.CRITICAL,
            observe=_gpu_lost,
            why_not=_because("there is no GPU"),
            hold_seconds=5 * _MINUTES,
            resolve_after_seconds=5 * _MINUTES,
        ),
        Rule(
            alert="EvenwattEnergyDisagrees",
            severity=Severity.WARNING,
            observe=_energy_disagrees,
            why_not=_because("no busy GPU with an energy counter was compared yet"),
            hold_seconds=1 * _HOURS,
        ),
        Rule(
            alert="EvenwattHistoryNotWritten",
            severity=Severity.CRITICAL,
            observe=_history_not_written,
            why_not=_because(""),
            hold_seconds=10 * _MINUTES,
            resolve_after_seconds=5 * _MINUTES,
        ),
        Rule(
            alert="EvenwattHistorySetAside",
            severity=Severity.CRITICAL,
            observe=_history_set_aside,
            why_not=_because(""),
            hold_seconds=0,
            resolve_after_seconds=0,
        ),
        Rule(
            alert="EvenwattConfigurationRefused",
            severity=Severity.WARNING,
            observe=_configuration_refused,
            why_not=_because(""),
            hold_seconds=5 * _MINUTES,
            resolve_after_seconds=0,
        ),
    )
)
"""All rules, by the name of their alert."""
