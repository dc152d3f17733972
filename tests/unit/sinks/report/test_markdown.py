"""Markdown: tables that GitHub reads as tables, and no foreign text that becomes markup, link or mention."""

import pytest
from markdown_it import MarkdownIt
from msgspec.structs import replace

from evenwatt.sinks.report.markdown import render_markdown
from report_examples import EXAMPLES, hostile
from report_values import report


def tokens(text):
    """Return what a reader of GitHub's Markdown makes of it, block by block and within them."""
    found = MarkdownIt("gfm-like", {"linkify": False}).parse(text)
    return found + [child for token in found for child in token.children or ()]


@pytest.mark.parametrize("name", EXAMPLES)
def test_tables_are_read_as_tables(name):
    """Each line of a table has as many cells as its head, and each line with bars is in one."""
    text = render_markdown(EXAMPLES[name]())
    tables = []
    for token in tokens(text):
        if token.type == "table_open":
            tables.append([])
        elif token.type == "tr_open":
            tables[-1].append(0)
        elif token.type in {"th_open", "td_open"}:
            tables[-1][-1] += 1

    assert tables
    assert all(len(set(rows)) == 1 for rows in tables)
    assert sum(line.startswith("|") for line in text.splitlines()) == sum(len(rows) + 1 for rows in tables)


def test_nothing_foreign_becomes_markup():
    """Of hostile names no link, image or HTML comes; the only HTML are our own folds."""
    found = tokens(render_markdown(hostile()))

    assert not [token for token in found if token.type in {"link_open", "image", "html_inline"}]
    html = [token.content for token in found if token.type == "html_block"]
    assert html
    assert all(text.startswith(("<details><summary>", "</details>")) for text in html)


def test_nothing_foreign_is_linked_or_mentioned_by_github():
    """Addresses and mentions outside of code are broken by a word joiner."""
    prose = [token.content for token in tokens(render_markdown(hostile())) if token.type == "text"]

    assert not [text for text in prose if "@team" in text or "http://g" in text]


def test_simulated_is_said_before_any_number():
    """The mark stands directly below the verdict."""
    lines = render_markdown(hostile()).splitlines()

    assert lines[2] == "> **SIMULATED: nothing below was measured.**"


def test_week_is_drawn_in_characters():
    """The hours of the week are seven lines, office hours darkest."""
    lines = render_markdown(report()).splitlines()
    (monday,) = [line for line in lines if line.startswith("Mon  ")]

    assert monday[5 + 2 * 10 : 5 + 2 * 11] == "██"
    assert monday[5:7] == "··"


def test_a_number_at_the_beginning_is_no_list():
    """A sentence that begins with a number and a point stays a sentence."""
    example = report()
    text = render_markdown(replace(example, verdict=replace(example.verdict, sentence="1. Not a list")))

    assert text.splitlines()[0] == "# 1\\. Not a list"
