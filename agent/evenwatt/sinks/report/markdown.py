"""A report as GitHub-flavoured Markdown, to be pasted into a ticket."""

import re
from collections.abc import Iterator
from html import escape

from evenwatt.sinks.report.overview import SIMULATED
from evenwatt.sinks.report.parts import OUR_WORDS, Kind, Section, Stress, Table
from evenwatt.sinks.report.sketch import day_lines, week_lines
from evenwatt.sinks.report.story import Story, story
from evenwatt.sinks.words import UNKNOWN
from evenwatt.snapshot.report.values import Report

__all__ = ["render_markdown"]

_MEANING = re.compile(r"([\\`*_\[\]<>#|~&])")
"""What Markdown, or the HTML in it, could take for markup within a line."""
_LINE_START = re.compile(r"^(\s*|\s*\d+)([-+=.)])(?=\s|$)")
_LINKS = re.compile(r"(?i)(://|www\.|@)")
"""What GitHub makes links and mentions of; a word joiner after it stops that, and is not seen."""
_WORD_JOINER = "\u2060"


def render_markdown(report: Report) -> str:
    """Return a report as one Markdown document."""
    return "\n".join(_lines(report, story(report))) + "\n"


def _lines(report: Report, told: Story) -> Iterator[str]:
    yield f"# {_prose(told.verdict)}"
    yield ""
    if told.simulated:
        yield f"> **{SIMULATED}**"
        yield ""
    yield f"{_prose(told.title)}, {_prose(told.window)}"
    yield ""
    if told.line_to_write is not None:
        yield f"To write, with your value: {_code(told.line_to_write)}"
        yield ""
    yield from _figures(told)
    for section in told.sections:
        yield from _section(report, section)
    for text, line in told.assumed:
        yield f"> **Assumed:** {_prose(text)}  "
        yield f"> To write, with your value: {_code(line)}"
        yield ""
    yield f"_{_prose(told.colophon)}_"


def _figures(told: Story) -> Iterator[str]:
    yield "| Key figure | | |"
    yield "|:---|---:|:---|"
    for figure in told.figures:
        value = "not known" if figure.value is None else f"**{_prose(figure.value)}**"
        yield f"| {_prose(figure.label)} | {value} | {_prose(figure.note)} |"
    yield ""


def _section(report: Report, section: Section) -> Iterator[str]:
    yield f"## {section.title}"
    yield ""
    for lead in section.leads:
        yield f"{_prose(lead)}  "
    if section.leads:
        yield ""
    yield from _sketch(report, section.name)
    for table in section.tables:
        yield from _table(table)
    for note in section.notes:
        yield f"- {_prose(note)}"
    if section.notes:
        yield ""


def _sketch(report: Report, name: str) -> Iterator[str]:
    if name == "money" and len(report.days) > 1:
        yield from _fenced(day_lines(report))
    if name == "traffic" and report.week.has_tokens:
        yield from _fenced(week_lines(report.week, wide=2))


def _fenced(lines: list[str]) -> Iterator[str]:
    yield "```text"
    yield from lines
    yield "```"
    yield ""


def _table(table: Table) -> Iterator[str]:
    opening = (
        f"<details><summary>{escape(table.title)}</summary>"
        if table.is_detail
        else f"**{_prose(table.title)}**"
    )
    yield opening
    yield ""
    yield f"| {' | '.join(_prose(column.title) for column in table.columns)} |"
    yield f"|{'|'.join('---:' if column.kind.is_number else ':---' for column in table.columns)}|"
    for row in table.rows:
        cells = [
            _cell(cell, column.kind, strong=row.stress is Stress.TOTAL)
            for cell, column in zip(row.cells, table.columns, strict=True)
        ]
        yield f"| {' | '.join(cells)} |"
    yield ""
    if table.is_detail:
        yield "</details>"
        yield ""


def _cell(cell: str, kind: Kind, *, strong: bool) -> str:
    if not cell:
        return ""
    if kind.is_number and cell == UNKNOWN:
        return "not known"
    is_foreign = kind is Kind.NAME and cell not in OUR_WORDS
    words = _code(cell).replace("|", "\\|") if is_foreign else _prose(cell)
    return f"**{words}**" if strong else words


def _code(text: str) -> str:
    """Return text as a code span, whatever backticks it has itself."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * (longest + 1)
    space = " " if text.startswith("`") or text.endswith("`") or not text.strip() else ""
    return f"{fence}{space}{text}{space}{fence}"


def _prose(text: str) -> str:
    escaped = _LINE_START.sub(r"\1\\\2", _MEANING.sub(r"\\\1", text))
    return _LINKS.sub(rf"\1{_WORD_JOINER}", escaped)
