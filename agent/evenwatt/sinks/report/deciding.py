"""What would change the verdict, and what a team needs to decide."""

import math
from collections.abc import Iterator

from evenwatt.economics.scenarios import Scenario, ScenarioName
from evenwatt.economics.sensitivity import Input, Sensitivity
from evenwatt.sinks.report.overview import is_a_day
from evenwatt.sinks.report.parts import Column, Kind, Row, Section, Stress, Table, name_cell
from evenwatt.sinks.report.spending import owner_words
from evenwatt.sinks.words import UNKNOWN, clean, duration, money, number, per_mtok, percent
from evenwatt.snapshot.report.comparison import Comparison, IdlePower
from evenwatt.snapshot.report.traffic import ModelShape, Shape
from evenwatt.snapshot.report.values import Report

__all__ = ["change_section", "decision_section"]

_INPUTS = {
    Input.API_PRICE: "API price, {currency} per Mtok",
    Input.LOAD: "load",
    Input.ELECTRICITY_PRICE: "electricity, {currency} per kWh",
    Input.IDLE_POWER: "power without load, W",
    Input.HARDWARE_PRICE: "hardware, {currency} a month",
    Input.LABOUR: "labour, {currency} a month",
}

_WAYS = {
    Input.API_PRICE: "an API price of {value} {currency} per Mtok",
    Input.LOAD: "a load of {value}",
    Input.ELECTRICITY_PRICE: "{value} {currency} per kWh",
    Input.IDLE_POWER: "{value} W without load",
    Input.HARDWARE_PRICE: "{value} {currency} a month for the hardware",
    Input.LABOUR: "{value} {currency} a month for labour",
}

_SCENARIOS = {
    ScenarioName.SLEEP: "Asleep in quiet hours",
    ScenarioName.UNLOAD: "Idle models unloaded",
    ScenarioName.ONE_GPU_MORE: "One GPU more",
    ScenarioName.ONE_GPU_LESS: "One GPU less",
}

SHAPES = {
    Shape.STEADY: "steady",
    Shape.DAY_NIGHT: "day and night",
    Shape.BURSTY: "bursty",
}

_DOUBLE = 2.0


def change_section(report: Report) -> Section:
    """Return which input would turn the verdict, and what the machine could do otherwise."""
    tables = [*_sensitivities(report), *_scenarios(report)]
    return Section(
        name="change",
        title="What would change the verdict",
        leads=tuple(_change_leads(report)),
        tables=tuple(tables),
        notes=tuple(_change_notes(report)),
    )


def _change_leads(report: Report) -> Iterator[str]:
    for item in report.comparisons:
        reachable = [found for found in _known(item) if math.isfinite(found.break_even_factor)]
        if reachable:
            ways = " or ".join(_way(found, report.head.currency) for found in reachable[:2])
            yield f"Against {name_cell(item.reference)} both would cost the same at {ways}."
        elif item.sensitivities:
            yield f"Against {name_cell(item.reference)} no single input would turn the verdict."


def _way(found: Sensitivity, currency: str) -> str:
    if found.value is None:
        factor = found.break_even_factor
        return f"{number(factor, 2)} times the load" if factor >= 1 else f"{percent(factor)} of the load"
    what = _WAYS[found.input].format(value=_value(found, found.break_even_value), currency=currency)
    return f"{what} (now {_value(found, found.value)})"


def _known(item: Comparison) -> list[Sensitivity]:
    """Return inputs of which something can be said: where only the effect is known, that is the load's."""
    return [found for found in item.sensitivities if found.value is not None or found.input is Input.LOAD]


def _value(found: Sensitivity, value: float | None) -> str:
    if value is not None and math.isinf(value):
        return "never"
    match found.input:
        case Input.LOAD:
            return percent(value)
        case Input.IDLE_POWER:
            return number(value, 0)
        case Input.HARDWARE_PRICE | Input.LABOUR:
            return money(value)
        case Input.API_PRICE | Input.ELECTRICITY_PRICE:
            return per_mtok(value)


def _change(factor: float) -> str:
    if math.isinf(factor):
        return "not by this alone"
    if factor >= _DOUBLE:
        return f"× {number(factor, 2 if factor < 10 * _DOUBLE else 0)}"  # noqa: RUF001 -- multiplied, no letter
    return f"{factor - 1:+.1%}"


def _sensitivities(report: Report) -> Iterator[Table]:
    currency = report.head.currency
    for item in report.comparisons:
        if item.sensitivities:
            yield Table(
                title=f"Against {name_cell(item.reference)}, one input at a time",
                columns=(
                    Column(title="Input", kind=Kind.TEXT),
                    Column(title="in this window", kind=Kind.VALUE),
                    Column(title="same cost at", kind=Kind.VALUE),
                    Column(title="change", kind=Kind.VALUE),
                ),
                rows=tuple(
                    Row(
                        cells=(
                            _INPUTS[found.input].format(currency=currency),
                            _value(found, found.value),
                            _value(found, found.break_even_value),
                            _change(found.break_even_factor),
                        )
                    )
                    for found in _known(item)
                ),
            )


def _scenarios(report: Report) -> Iterator[Table]:
    currency = report.head.currency
    told = [scenario for scenario in report.scenarios if scenario.unknown_because is None]
    if told:
        yield Table(
            title="The same window, run otherwise",
            columns=(
                Column(title="Change", kind=Kind.TEXT),
                Column(title="saves, kWh"),
                Column(title=f"saves, {currency}"),
                Column(title=f"a month, {currency}"),
                Column(title=f"per Mtok, {currency}"),
                Column(title="load"),
            ),
            rows=tuple(_scenario_row(scenario) for scenario in told),
        )


def _scenario_row(scenario: Scenario) -> Row:
    return Row(
        cells=(
            _SCENARIOS[scenario.name],
            number(scenario.saved_kwh, 2),
            money(scenario.saved_cost),
            money(scenario.saved_cost_per_month),
            per_mtok(scenario.cost_per_mtok),
            percent(scenario.load_ratio),
        )
    )


def _change_notes(report: Report) -> Iterator[str]:
    for scenario in report.scenarios:
        name = _SCENARIOS[scenario.name]
        if scenario.unknown_because is not None:
            yield f"{name}: not known, because {clean(scenario.unknown_because)}."
        elif scenario.assumes:
            yield f"{name}: {' '.join(clean(sentence) for sentence in scenario.assumes)}"
    yield from _idle_power(report.idle_power)


def _idle_power(idle: IdlePower) -> Iterator[str]:
    if idle.observed_watts is not None:
        yield f"Power without load, observed while no request ran: {number(idle.observed_watts, 0)} W."
    if idle.fit is not None:
        quality = "" if idle.fit.r_squared is None else f", R² {number(idle.fit.r_squared, 2)}"
        yield (
            f"The same from a line of power against token rate: {number(idle.fit.idle_watts, 0)} ± "
            f"{number(idle.fit.idle_watts_error, 0)} W and {per_mtok(idle.fit.joules_per_token)} J "
            f"per token, over {number(idle.fit.points, 0)} hours{quality}."
        )
    elif idle.refused is not None:
        yield f"Power without load cannot be fitted: {clean(idle.refused)}."
    if idle.used == "none":
        yield "Power without load is not known: all electricity counts as if it had been drawn without load."


def decision_section(report: Report) -> Section:
    """Return monthly bills and which models carry load that could wait."""
    return Section(
        name="decision",
        title="What a decision needs",
        leads=tuple(_decision_leads(report)),
        tables=(_monthly(report), *_shapes(report)),
        notes=(
            f"A month like this window, of {number(report.head.month_hours, 0)} hours: scaled, no forecast.",
            "Could wait: tokens in nearly all hours, little variation. Whether anyone waits, only you know.",
        ),
    )


def _decision_leads(report: Report) -> Iterator[str]:
    batch = [model for model in report.decision.models if model.is_batch_like]
    if batch:
        names = ", ".join(owner_words(model.engine, model.model) for model in batch)
        share = percent(sum(model.token_share for model in batch))
        yield f"{names}: {share} of the tokens, steady round the clock, as work that could wait often is."


def _monthly(report: Report) -> Table:
    decision = report.decision
    rows = [
        Row(cells=(name_cell(bill.reference), money(bill.observed_cache), money(bill.no_cache)))
        for bill in decision.bills
    ]
    own = money(decision.own_cost_per_month)
    rows.append(Row(cells=("this machine", own, own), stress=Stress.TOTAL))
    return Table(
        title=f"A month like this window{_extrapolated(report)}, {report.head.currency}",
        columns=(
            Column(title="Where", kind=Kind.NAME),
            Column(title="with cache hits"),
            Column(title="without cache"),
        ),
        rows=tuple(rows),
    )


def _extrapolated(report: Report) -> str:
    """Return a warning where a month is told from so little that it holds no night, or no day."""
    seconds = report.head.accounted_seconds
    return "" if is_a_day(report.head) else f", extrapolated from {duration(seconds)}"


def _shapes(report: Report) -> Iterator[Table]:
    if report.decision.models:
        yield Table(
            title="Traffic of each model",
            columns=(
                Column(title="Engine / model", kind=Kind.NAME),
                Column(title="of tokens"),
                Column(title="shape", kind=Kind.TEXT),
                Column(title="variation", is_wide=True),
                Column(title="hours without"),
                Column(title="at night", is_wide=True),
                Column(title="weekend", is_wide=True),
                Column(title="could wait", kind=Kind.TEXT),
            ),
            rows=tuple(_shape_row(model) for model in report.decision.models),
        )


def _shape_row(model: ModelShape) -> Row:
    traffic = model.traffic
    return Row(
        cells=(
            owner_words(model.engine, model.model),
            percent(model.token_share),
            UNKNOWN if traffic.shape is None else SHAPES[traffic.shape],
            number(traffic.variation_ratio, 2),
            percent(traffic.idle_hours_ratio),
            percent(traffic.night_ratio),
            percent(traffic.weekend_ratio),
            "yes" if model.is_batch_like else "no",
        )
    )
