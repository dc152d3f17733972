"""Every rendering of every example, byte for byte; rewritten only by --update."""

import pytest

from evenwatt.sinks.report.html import render_html
from evenwatt.sinks.report.markdown import render_markdown
from evenwatt.sinks.report.terminal import print_report
from report_examples import EXAMPLES

HTML_EXAMPLES = ("month", "unknown-hardware", "hostile")
"""Pages are long; the other examples differ in what Markdown shows as well."""


@pytest.mark.parametrize("name", EXAMPLES)
def test_markdown(name, matches_golden):
    """Markdown is as it was looked at."""
    assert matches_golden(f"report-{name}.md", render_markdown(EXAMPLES[name]()))


@pytest.mark.parametrize("name", EXAMPLES)
def test_terminal_of_80_columns(name, matches_golden, monkeypatch, capsys):
    """What a terminal of 80 columns shows, or a pipe, is as it was looked at."""
    monkeypatch.setenv("COLUMNS", "80")
    print_report(EXAMPLES[name]())

    assert matches_golden(f"report-{name}.txt", capsys.readouterr().out)


@pytest.mark.parametrize("name", HTML_EXAMPLES)
def test_html(name, matches_golden):
    """The page is as it was looked at."""
    assert matches_golden(f"report-{name}.html", render_html(EXAMPLES[name]()))
