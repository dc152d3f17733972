"""The report's page in a real browser: two widths, light and dark, and on paper."""

import shutil
import time

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import sync_playwright

from evenwatt.sinks.report.html import render_html
from report_examples import EXAMPLES

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(shutil.which("chromium") is None, reason="there is no chromium on this machine"),
]

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
    "--host-resolver-rules=MAP * ~NOTFOUND",
)
WIDTHS = (390, 1280)
SCHEMES = ("light", "dark")
NAMES = ("month", "hostile")


@pytest.fixture(scope="module")
def browser():
    """One Chromium for all tests of this file."""
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture(scope="module", params=NAMES)
def address(request, tmp_path_factory):
    """The address of the page of an example."""
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(render_html(EXAMPLES[request.param]()), encoding="utf-8")
    return path.as_uri()


@pytest.fixture(scope="module", params=[(width, scheme) for width in WIDTHS for scheme in SCHEMES], ids=str)
def page(request, browser, address):
    """The page as one reader sees it, and what the browser complained about or asked for."""
    width, scheme = request.param
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    shown, told = context.new_page(), []
    shown.on("console", lambda message: told.append(message.text))
    shown.on("pageerror", lambda error: told.append(str(error)))
    shown.on("request", lambda request: told.append(request.url) if request.url != address else None)
    shown.goto(address)
    yield shown, told
    context.close()


def test_nothing_is_complained_about_or_asked_for(page):
    """The console stays empty, and no request is made but for the page."""
    _, told = page

    assert [words for words in told if words != "data:,"] == []


def test_nothing_is_wider_than_the_window(page):
    """The page does not scroll sideways, and no text of a picture leaves it."""
    shown, _ = page
    width = shown.evaluate("innerWidth")
    outside = shown.evaluate(
        "[...document.querySelectorAll('svg.plot text')].filter(t => {"
        "  const box = t.getBoundingClientRect();"
        "  return box.left < 0 || box.right > innerWidth"
        "}).map(t => t.textContent)"
    )

    assert width == shown.evaluate("document.documentElement.scrollWidth")
    assert outside == []


@pytest.mark.parametrize("page", [(390, "dark"), (1280, "light")], ids=str, indirect=True)
def test_everybody_can_read_it(page):
    """axe-core finds no violation: contrast of text as WCAG's AA asks, names, order, tables."""
    shown, _ = page
    shown.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true })")
    found = Axe().run(shown)

    assert [
        (violation["id"], violation["nodes"][0]["html"][:200]) for violation in found.response["violations"]
    ] == []


def test_text_of_pictures_has_contrast(page):
    """What axe does not look at: every text in a picture against the paper, 4.5 to 1 at least."""
    shown, _ = page

    assert shown.evaluate(CONTRAST_OF_PICTURES) == []


def test_paper_shows_what_is_folded(browser, address):
    """Printed, tables behind pictures are unfolded: no script does that, the style does."""
    shown = browser.new_page()
    shown.goto(address)
    folded = shown.evaluate(IS_UNFOLDED)
    shown.emulate_media(media="print")
    until = time.monotonic() + 10
    while not shown.evaluate(
        IS_UNFOLDED
    ):  # asked from outside: within, the page's policy forbids to evaluate
        assert time.monotonic() < until
        shown.wait_for_timeout(50)
    shown.close()

    assert not folded


IS_UNFOLDED = "document.querySelector('details table').checkVisibility({contentVisibilityAuto: true})"

CONTRAST_OF_PICTURES = """() => {
  const channels = colour => colour.match(/[\\d.]+/g).slice(0, 3).map(Number);
  const light = colour => {
    const [r, g, b] = channels(colour).map(c => c / 255)
      .map(c => c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ratio = (one, other) => {
    const [dark, bright] = [light(one), light(other)].sort((a, b) => a - b);
    return (bright + 0.05) / (dark + 0.05);
  };
  const paper = getComputedStyle(document.body).backgroundColor;
  const behind = text => {
    const name = [...text.classList].find(c => c.startsWith("on-"));
    if (!name) return paper;
    return getComputedStyle(text.ownerSVGElement.querySelector("rect." + name.slice(3))).fill;
  };
  return [...document.querySelectorAll("svg.plot text")]
    .map(t => [t.textContent, ratio(getComputedStyle(t).fill, behind(t))])
    .filter(([, found]) => found < 4.5)
    .map(([words, found]) => words + ": " + found.toFixed(2));
}"""
