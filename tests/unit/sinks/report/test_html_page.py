"""The page: valid, complete without a script, nothing fetched, nothing foreign that becomes markup."""

import base64
import hashlib
import re
from itertools import pairwise

import pytest
from justhtml import JustHTML

from evenwatt.sinks.report.html import render_html
from evenwatt.sinks.words import clean
from report_examples import EXAMPLES, HOSTILE, hostile, unknown_hardware
from report_values import empty_report, report


def parsed(page):
    """Return the tree of a page that a browser would read without mending anything."""
    return JustHTML(page, strict=True, sanitize=False)


@pytest.fixture(scope="module", params=EXAMPLES)
def page(request):
    """The page of each example; that it is parsed at all says that a browser has nothing to mend."""
    text = render_html(EXAMPLES[request.param]())
    return text, parsed(text)


def test_nothing_is_left_open(page):
    """The document is whole, and has its language and title."""
    text, tree = page

    assert text.startswith('<!DOCTYPE html>\n<html lang="en">')
    assert text.endswith("</html>\n")
    assert tree.query("title")[0].to_text()


def test_nothing_is_fetched_and_nothing_runs(page):
    """No script, no event attribute, no style attribute, and no address but the empty icon."""
    text, tree = page
    attributes = [(node.name, name, value) for node in tree.query("*") for name, value in node.attrs.items()]

    assert not tree.query("script, iframe, object, embed, img, base, form")
    assert not [found for found in attributes if found[1].startswith("on") or found[1] == "style"]
    addresses = [
        value for _, name, value in attributes if name in {"href", "src", "srcset", "action", "data"}
    ]
    assert addresses == ["data:,"]
    assert "@import" not in text
    assert set(re.findall(r"url\(([^)]*)\)", text)) <= {"#hatch"}


def test_its_policy_allows_its_own_style_only(page):
    """The policy names the digest of the style that is in the page, and allows no script at all."""
    _, tree = page
    (style,) = tree.query("style")
    digest = base64.b64encode(hashlib.sha256(style.to_text(strip=False).encode()).digest()).decode()
    (policy,) = [node.attrs["content"] for node in tree.query("meta") if "http-equiv" in node.attrs]

    assert f"style-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy
    assert "script-src" not in policy


def test_every_picture_has_words_and_a_table(page):
    """A picture has a label, a caption and, in the same section, the numbers that it is drawn from."""
    _, tree = page
    sections = [section for section in tree.query("section") if section.query("figure")]

    assert sections
    for section in sections:
        assert section.query("table")
        assert all(figure.query("figcaption") for figure in section.query("figure"))
    for picture in tree.query("svg"):
        assert (
            picture.attrs.get("aria-hidden") == "true"
            or picture.attrs.get("aria-label")
            or not (picture.attrs.get("role"))
        )


def test_ids_are_unique_and_found(page):
    """What is labelled by an element finds that element."""
    _, tree = page
    ids = [node.attrs["id"] for node in tree.query("*") if "id" in node.attrs]
    wanted = [node.attrs["aria-labelledby"] for node in tree.query("*") if "aria-labelledby" in node.attrs]

    assert len(ids) == len(set(ids))
    assert wanted
    assert set(wanted) <= set(ids)


def test_headings_descend_one_level_at_a_time(page):
    """One first heading, and none left out below it."""
    levels = [int(node.name[1]) for node in page[1].query("h1, h2, h3, h4")]

    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))


def test_hostile_names_are_text():
    """Each hostile name is read in the page as what it is, with its control characters made visible."""
    text = parsed(render_html(hostile())).to_text()

    for name in HOSTILE:
        assert re.sub(r"\s+", " ", clean(name)) in re.sub(r"\s+", " ", text)


def test_simulated_is_said_first():
    """A page of simulated readings says so before anything else; one of real readings does not."""
    assert parsed(render_html(hostile())).query("body")[0].to_text().lstrip().startswith("SIMULATED")
    assert "SIMULATED" not in render_html(report())


def test_what_is_not_known_says_so_with_the_line_to_write():
    """Without a hardware price the page shows no cost of it, and the line that would make it known."""
    text = parsed(render_html(unknown_hardware())).to_text()

    assert "hardware: {mode: owned, purchase_price: 2800, lifetime_years: 3}" in text
    assert "not known" in text
    assert "Hardware 0" not in text


def test_no_tokens_no_cost_per_token():
    """A window without tokens has costs, and neither a curve nor a cost of a million tokens."""
    tree = parsed(render_html(empty_report()))

    assert "nothing to divide by" in tree.to_text()
    assert not tree.query(".curve")
    assert "335.25" in tree.to_text()


def test_assumed_values_are_labelled():
    """What nobody wrote is labelled as assumed, with its line."""
    (box,) = parsed(render_html(report())).query(".assumed")

    assert "Assumed" in box.to_text()
    assert "electricity: {price_per_kwh: 0.30}" in box.to_text()
