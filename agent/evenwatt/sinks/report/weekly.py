"""When tokens came: the hours of the week, peak and trough, and the shape of traffic in words."""

import math
from collections.abc import Iterator

from evenwatt.sinks.report.calendar import WEEKDAYS, moment_words
from evenwatt.sinks.report.parts import Column, Kind, Row, Section, Table
from evenwatt.sinks.words import UNKNOWN, mtok, number, percent
from evenwatt.snapshot.report.traffic import PeakToTrough, Shape, TrafficShape
from evenwatt.snapshot.report.values import Report

__all__ = ["hour_words", "thousands", "traffic_section"]

_THOUSAND = 1_000

_SHAPE_LEADS = {
    Shape.STEADY: "Traffic is steady: its hours differ little.",
    Shape.DAY_NIGHT: "Traffic follows the day: its hour explains {explained} of how hours differ.",
    Shape.BURSTY: "Traffic comes in bursts: hours differ much, and the hour of the day does not tell when.",
}


def traffic_section(report: Report) -> Section:
    """Return when tokens came."""
    return Section(
        name="traffic",
        title="When tokens came",
        leads=tuple(_leads(report)),
        tables=(_hours(report),),
        notes=tuple(_notes(report)),
    )


def hour_words(hour: int) -> str:
    """Return an hour of the day as a span."""
    return f"{hour:02d}:00 to {(hour + 1) % 24:02d}:00"


def thousands(tokens: float | None) -> str:
    """Return tokens in thousands."""
    return number(None if tokens is None else tokens / _THOUSAND, 0)


def _leads(report: Report) -> Iterator[str]:
    traffic = report.decision.traffic
    if traffic.shape is not None:
        explained = percent(traffic.explained_by_hour_ratio)
        yield _SHAPE_LEADS[traffic.shape].format(explained=explained)
    peak = report.week.peak
    if peak is not None:
        yield _peak_words(peak)
    elif report.totals.tokens.total_tokens:
        yield "Which hour is busiest shows once each hour of the day was seen."
    else:
        yield "No token was served."


def _peak_words(peak: PeakToTrough) -> str:
    busiest = f"The busiest hour of the day is {hour_words(peak.peak_hour)}"
    rate = f"{thousands(peak.peak_tokens_per_hour)} thousand tokens an hour on average"
    if math.isinf(peak.ratio):
        return f"{busiest}, {rate}; from {hour_words(peak.trough_hour)} there never were any."
    return (
        f"{busiest}, {rate}: {number(peak.ratio, 1)} times the quietest, {hour_words(peak.trough_hour)}, "
        f"with {thousands(peak.trough_tokens_per_hour)} thousand."
    )


def _hours(report: Report) -> Table:
    """Return the 168 means as the picture has them: a row for each hour, a column for each weekday."""
    week = report.week
    rows = [
        Row(
            cells=(
                hour_words(hour),
                *(thousands(week.cell(weekday, hour).tokens_per_hour) for weekday in range(7)),
                thousands(week.hours_of_day[hour].tokens_per_hour),
            )
        )
        for hour in range(24)
    ]
    return Table(
        title="Thousand tokens an hour, mean of each hour of the week",
        columns=(
            Column(title="Hour", kind=Kind.TEXT),
            *(Column(title=day[:3]) for day in WEEKDAYS),
            Column(title="all days"),
        ),
        rows=tuple(rows),
        is_detail=True,
    )


def _notes(report: Report) -> Iterator[str]:
    peak, zone = report.week.peak, report.head.window.zone_name
    if peak is not None and peak.busiest_utc_seconds is not None:
        yield (
            f"The busiest single hour began {moment_words(peak.busiest_utc_seconds, zone)}: "
            f"{mtok(peak.busiest_tokens)} Mtok, {number(peak.busiest_over_mean, 1)} times the mean hour."
        )
    measures = _measures(report.decision.traffic)
    if measures:
        yield measures
    if report.week.is_approximate:
        yield (
            "The minutes of this window are not kept any more, and the site's hours do not begin with those "
            "of UTC: each was taken for the local hour in which most of it lies."
        )


def _measures(traffic: TrafficShape) -> str:
    told = (
        ("without a token", traffic.idle_hours_ratio, "of the hours"),
        ("at night, 22 to 6 h", traffic.night_ratio, "of the tokens"),
        ("on weekends", traffic.weekend_ratio, "of the tokens"),
    )
    parts = [f"{percent(value)} {of} {what}" for what, value, of in told if percent(value) != UNKNOWN]
    return f"{', '.join(parts)}." if parts else ""
