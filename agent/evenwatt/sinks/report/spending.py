"""What the machine cost, by component, by state, by day and by model."""

from collections.abc import Iterator

from evenwatt.model import UNALLOCATED, State
from evenwatt.sinks.report.calendar import day_spans, span_words
from evenwatt.sinks.report.overview import is_a_day, missing_costs
from evenwatt.sinks.report.parts import Column, Kind, Row, Section, Stress, Table, name_cell
from evenwatt.sinks.words import UNKNOWN, duration, kwh, money, mtok, number, per_mtok, percent
from evenwatt.snapshot.report.values import Report, ReportRow
from evenwatt.units import SECONDS_PER_HOUR, TOKENS_PER_MTOK

__all__ = ["COMPONENTS", "STATES", "models", "money_section", "owner_words"]

COMPONENTS = (("hardware", "Hardware"), ("energy", "Electricity"), ("labour", "Labour"), ("other", "Other"))
"""Attribute of `Costs` and what a person calls it."""

_UNCHARGED = {"labour": "labour", "other": "other costs, as a rack or a line"}

STATES = {
    State.ACTIVE: "Requests running",
    State.IDLE_LOADED: "Idle, model in memory",
    State.IDLE_EMPTY: "Idle, nothing loaded",
}


def money_section(report: Report) -> Section:
    """Return where the money went."""
    return Section(
        name="money",
        title="Where the money went",
        leads=tuple(_leads(report)),
        tables=(_components(report), _states(report), _days(report)),
        notes=tuple(_notes(report)),
    )


def models(report: Report) -> Section:
    """Return what each model did and cost."""
    notes = ["Cost per Mtok: full cost over all tokens, input (cached or not) and output."]
    if len(report.rows) > 1:
        notes.append(
            "Where engines share a GPU, or models an engine, each part is an allocation, not a measurement."
        )
    return Section(
        name="models",
        title="Cost of each model",
        tables=(_models(report), *_models_against_apis(report)),
        notes=tuple(notes),
    )


def owner_words(engine: str, model: str) -> str:
    """Return what a person calls an engine and its model."""
    return "no engine" if engine == UNALLOCATED else name_cell(engine, model)


def _share(part: float | None, whole: float | None) -> float | None:
    return None if part is None or not whole else part / whole


def _each(cost: float | None, tokens: float) -> str:
    """Return the cost of a million tokens; an empty cell without tokens, as there it is not even unknown."""
    if not tokens:
        return ""
    return per_mtok(None if cost is None else cost / tokens * TOKENS_PER_MTOK)


def _leads(report: Report) -> Iterator[str]:
    costs, currency = report.totals.costs, report.head.currency
    fixed, variable = report.decision.fixed_cost, report.decision.variable_cost
    if costs.full and fixed is not None and variable is not None and report.idle_power.used != "none":
        yield (
            f"{money(fixed)} {currency} of {money(costs.full)} would have accrued without a single token; "
            f"{money(variable)} is electricity that the load drew on top."
        )
    missing = missing_costs(report)
    if missing:
        yield f"There is no full cost: {' and '.join(missing)} not known."


def _components(report: Report) -> Table:
    totals, currency = report.totals, report.head.currency
    monthly = report.decision.month_share if is_a_day(report.head) else 0.0

    def row(title: str, cost: float | None, stress: Stress = Stress.PLAIN) -> Row:
        month = None if cost is None or not monthly else cost / monthly
        share = percent(_share(cost, totals.costs.full))
        each = _each(cost, totals.tokens.total_tokens)
        cells = (title, money(cost), share, each, *((money(month),) if monthly else ()))
        return Row(cells=cells, stress=stress)

    charged = [(name, title) for name, title in COMPONENTS if name not in _uncharged(report)]
    rows = [row(title, getattr(totals.costs, name)) for name, title in charged]
    if totals.costs.full is None and totals.costs.known is not None:
        rows.append(row("What is known", totals.costs.known, Stress.TOTAL))
    else:
        rows.append(row("All", totals.costs.full, Stress.TOTAL))
    return Table(
        title="Cost by component",
        columns=(
            Column(title="Component", kind=Kind.TEXT),
            Column(title=f"cost, {currency}"),
            Column(title="share"),
            Column(title=f"per Mtok, {currency}"),
            *((Column(title=f"a month, {currency}"),) if monthly else ()),
        ),
        rows=tuple(rows),
    )


def _uncharged(report: Report) -> list[str]:
    """Return what nobody charges: a row of zeros says less than a sentence."""
    costs = report.totals.costs
    return [name for name in ("labour", "other") if getattr(costs, name) == 0]


def _states(report: Report) -> Table:
    totals, currency = report.totals, report.head.currency
    seconds = sum(share.seconds for share in totals.states)
    return Table(
        title="Busy and idle",
        columns=(
            Column(title="State", kind=Kind.TEXT),
            Column(title="time, h"),
            Column(title="of time"),
            Column(title="energy, kWh"),
            Column(title="mean, W", is_wide=True),
            Column(title=f"cost, {currency}"),
            Column(title="of cost"),
        ),
        rows=tuple(
            Row(
                cells=(
                    STATES[share.state],
                    number(share.seconds / SECONDS_PER_HOUR, 1),
                    percent(_share(share.seconds, seconds)),
                    kwh(share.kwh) if share.seconds else "",
                    number(share.watts, 0) if share.seconds else "",
                    money(share.cost),
                    percent(_share(share.cost, totals.costs.full)),
                )
            )
            for share in totals.states
        ),
    )


def _days(report: Report) -> Table:
    currency = report.head.currency
    unit, spans = day_spans(report.days)
    rows = []
    for span in spans:
        tokens = span.tokens.total_tokens
        full = span.costs.full
        held = span.accounted_seconds > 0
        cells = [money(getattr(span.costs, name)) if held else UNKNOWN for name, _ in COMPONENTS]
        rows.append(
            Row(
                cells=(
                    span_words(span.first, span.last),
                    mtok(tokens) if held else UNKNOWN,
                    *cells,
                    money(full) if held else UNKNOWN,
                    money(span.idle_cost) if held else UNKNOWN,
                    _each(full, tokens),
                )
            )
        )
    return Table(
        title=f"Each {unit}",
        columns=(
            Column(title=unit.capitalize(), kind=Kind.TEXT),
            Column(title="Mtok"),
            *(Column(title=f"{title.lower()}, {currency}", is_wide=True) for _, title in COMPONENTS),
            Column(title=f"all, {currency}"),
            Column(title=f"idle, {currency}"),
            Column(title=f"per Mtok, {currency}"),
        ),
        rows=tuple(rows),
        is_detail=True,
    )


def _notes(report: Report) -> Iterator[str]:
    totals = report.totals
    uncharged = _uncharged(report)
    if uncharged:
        yield f"Nothing is charged for {' and '.join(_UNCHARGED[name] for name in uncharged)}."
    if totals.unpriced_seconds:
        yield f"For {duration(totals.unpriced_seconds)} of the machine's time no hardware price was known."
    if totals.unpriced_kwh:
        yield f"For {kwh(totals.unpriced_kwh)} kWh no electricity price was known."
    if totals.kwh is not None:
        rest = (
            "GPUs alone; the rest of the machine is not measured"
            if totals.host_kwh is None
            else f"GPUs {kwh(totals.gpu_kwh)}, rest of the machine {kwh(totals.host_kwh)}"
        )
        yield f"Energy that was measured: {kwh(totals.kwh)} kWh ({rest})."
    else:
        yield "Energy was not measured."
    if totals.input_cost_per_mtok is not None and totals.output_cost_per_mtok is not None:
        yield (
            f"By the time spent in each phase, an allocation: {per_mtok(totals.input_cost_per_mtok)} "
            f"{report.head.currency} per Mtok of computed input, "
            f"{per_mtok(totals.output_cost_per_mtok)} of output."
        )


def _models(report: Report) -> Table:
    currency = report.head.currency
    return Table(
        title="Models by engine",
        columns=(
            Column(title="Engine / model", kind=Kind.NAME),
            Column(title="input, Mtok"),
            Column(title="cached, Mtok", is_wide=True),
            Column(title="output, Mtok"),
            Column(title="energy, kWh", is_wide=True),
            Column(title=f"cost, {currency}"),
            Column(title="of it idle", is_wide=True),
            Column(title="of all cost"),
            Column(title=f"per Mtok, {currency}"),
            Column(title="load", is_wide=True),
        ),
        rows=tuple(_model_row(row) for row in report.rows),
    )


def _model_row(row: ReportRow) -> Row:
    unused = row.engine == UNALLOCATED
    tokens = row.tokens
    return Row(
        cells=(
            owner_words(row.engine, row.model),
            "" if unused else mtok(tokens.input_tokens),
            "" if unused else mtok(tokens.cached_input_tokens),
            "" if unused else mtok(tokens.output_tokens),
            kwh(row.kwh),
            money(row.costs.full),
            money(row.idle_cost),
            percent(row.cost_share),
            "" if not tokens.total_tokens else per_mtok(row.cost_per_mtok.full_total),
            "" if unused else percent(row.load_ratio),
        )
    )


def _models_against_apis(report: Report) -> Iterator[Table]:
    currency = report.head.currency
    rows = [
        Row(
            cells=(
                owner_words(row.engine, row.model),
                name_cell(view.reference),
                per_mtok(row.cost_per_mtok.full_total),
                per_mtok(view.price_per_mtok),
                per_mtok(view.price_per_mtok_no_cache),
                number(view.ratio, 2),
            )
        )
        for row in report.rows
        for view in row.references
    ]
    if rows:
        yield Table(
            title="Each model against each API",
            columns=(
                Column(title="Engine / model", kind=Kind.NAME),
                Column(title="API", kind=Kind.NAME),
                Column(title=f"own per Mtok, {currency}"),
                Column(title=f"API per Mtok, {currency}"),
                Column(title="without cache", is_wide=True),
                Column(title="API / own"),
            ),
            rows=tuple(rows),
            is_detail=True,
        )
