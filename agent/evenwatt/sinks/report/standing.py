"""What the numbers stand on: how much was watched, what is assumed, and what engines can sustain."""

from collections.abc import Iterator

from evenwatt.sinks.report.calendar import moment_words
from evenwatt.sinks.report.parts import Column, Kind, Row, Section, Table, name_cell
from evenwatt.sinks.words import clean, duration, number, percent
from evenwatt.snapshot.report.values import EngineCapacity, Report, ReportHead

__all__ = ["Assumed", "assumed", "standing_section"]

Assumed = tuple[str, str]
"""What is assumed, and the line that makes it true."""

_SOURCES = {
    "configured": "as configured",
    "calibrated": "measured by evenwatt calibrate",
    "learned": "learned from saturated minutes",
    "peak_seen": "only the most that was seen",
    "simulated": "simulated",
}

_LEAST_SHOWN = 0.0005


def assumed(report: Report) -> tuple[Assumed, ...]:
    """Return what nobody wrote; it is set apart in every rendering."""
    return tuple((clean(item.text), clean(item.line_to_write)) for item in report.head.assumptions)


def standing_section(report: Report) -> Section:
    """Return what the numbers stand on."""
    return Section(
        name="standing",
        title="What these numbers stand on",
        leads=tuple(_leads(report.head)),
        tables=tuple(_capacities(report)),
        notes=tuple(clean(note) for note in report.head.notes),
    )


def _leads(head: ReportHead) -> Iterator[str]:
    window = duration(head.window.seconds)
    yield f"evenwatt watched {percent(head.coverage_ratio)} of the window of {window}."
    if head.first_utc_seconds is None:
        yield "The history holds nothing of it."
    elif head.first_utc_seconds > head.window.start_utc_seconds:
        yield f"The history begins {moment_words(head.first_utc_seconds, head.window.zone_name)}."
    if head.estimated_ratio > _LEAST_SHOWN:
        yield (
            f"{percent(head.estimated_ratio)} of what it accounts for is estimated: counted by the sources "
            "while nobody looked, and spread evenly."
        )
    troubles = [
        _count(head.gaps, "gap"),
        _count(head.restarts, "restart of an engine", "restarts of engines"),
    ]
    told = [words for words in troubles if words]
    if told:
        yield f"Interruptions: {' and '.join(told)}."
    if head.down_seconds:
        yield f"The machine was off for {duration(head.down_seconds)}."


def _count(number_of: int, one: str, many: str = "") -> str:
    if not number_of:
        return ""
    return f"{number_of:,} {one if number_of == 1 else many or f'{one}s'}"


def _capacities(report: Report) -> Iterator[Table]:
    capacities, zone = report.head.capacities, report.head.window.zone_name
    if capacities:
        yield Table(
            title="What each engine can sustain",
            columns=(
                Column(title="Engine", kind=Kind.NAME),
                Column(title="tokens/s"),
                Column(title="load"),
                Column(title="prefill, tokens/s", is_wide=True),
                Column(title="decode, tokens/s", is_wide=True),
                Column(title="known from", kind=Kind.TEXT),
            ),
            rows=tuple(_capacity_row(capacity, zone) for capacity in capacities),
        )


def _capacity_row(capacity: EngineCapacity, zone: str) -> Row:
    source = _SOURCES.get(capacity.source, name_cell(capacity.source))
    if capacity.measured_utc_seconds is not None:
        source += f", {moment_words(capacity.measured_utc_seconds, zone)}"
    at_most = "≤ " if capacity.is_lower_bound and capacity.load_ratio is not None else ""
    return Row(
        cells=(
            name_cell(capacity.engine),
            number(capacity.tokens_per_second, 0),
            f"{at_most}{percent(capacity.load_ratio)}",
            number(capacity.prefill_tokens_per_second, 0),
            number(capacity.decode_tokens_per_second, 0),
            source,
        )
    )
