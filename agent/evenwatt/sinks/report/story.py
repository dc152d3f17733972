"""A report in the order in which it is read, worded once for every rendering."""

from msgspec import Struct

from evenwatt.sinks.report.comparing import api_section, load_section
from evenwatt.sinks.report.deciding import change_section, decision_section
from evenwatt.sinks.report.overview import colophon, figures, masthead
from evenwatt.sinks.report.parts import Figure, Section
from evenwatt.sinks.report.spending import models, money_section
from evenwatt.sinks.report.standing import Assumed, assumed, standing_section
from evenwatt.sinks.report.weekly import traffic_section
from evenwatt.sinks.words import clean
from evenwatt.snapshot.report.values import Report

__all__ = ["Story", "story"]


class Story(Struct, frozen=True, kw_only=True):
    """A report in words and tables.

    Attributes:
        line_to_write: The line of the configuration that would make an unknown verdict known.
        assumed: Stands in its own box at the end of the last section.
    """

    simulated: bool
    title: str
    window: str
    verdict: str
    line_to_write: str | None
    figures: tuple[Figure, ...]
    sections: tuple[Section, ...]
    assumed: tuple[Assumed, ...]
    colophon: str


def story(report: Report) -> Story:
    """Return a report in words and tables."""
    title, window = masthead(report)
    line = report.verdict.line_to_write
    return Story(
        simulated=report.head.simulated,
        title=title,
        window=window,
        verdict=clean(report.verdict.sentence),
        line_to_write=None if line is None else clean(line),
        figures=figures(report),
        sections=(
            load_section(report),
            money_section(report),
            api_section(report),
            models(report),
            traffic_section(report),
            change_section(report),
            decision_section(report),
            standing_section(report),
        ),
        assumed=assumed(report),
        colophon=colophon(report),
    )
