"""The agent's page in a real browser, on a real agent: what a person sees, does, and is spared."""

import json
import re
import shutil
import socket
import threading
import time
from contextlib import closing, contextmanager, suppress

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import sync_playwright

from agent_process import AgentProcess
from evenwatt.economics.whatif import Change, CostParts, what_if
from simulated_days import SETTINGS, write_days

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
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
)
TABS = ("models", "gpus", "week", "history", "events", "sources", "assumptions", "whatif")
HOSTILE = (
    '<img src=x onerror="document.title=1">'
    "</script><script>document.title=2</script>"
    "\u202egnp.exe\u202c\u200b\x07 &amp; {{7*7}} "
) + "long" * 2_500
PROMISE = "document.querySelector('#verdict').textContent.includes('per Mtok')"


@pytest.fixture(scope="module")
def browser():
    """One Chromium for all tests of this file."""
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        yield chromium
        chromium.close()


def simulated(folder, *, models=None):
    """Return an agent on simulated readings with ten days behind it."""
    history = folder / "days.db"
    write_days(history, 10, models=models)
    return AgentProcess(folder, SETTINGS, command="demo", arguments=("--history", str(history)))


@pytest.fixture(scope="module")
def agent(tmp_path_factory):
    """The agent that most tests look at."""
    with simulated(tmp_path_factory.mktemp("agent")) as running:
        # What is told of capacities in the first tick is in the history after the next.
        running.wait_until_read_anew("sim-chat")
        yield running


@contextmanager
def shown(browser, address, *, width=1280, scheme="light", locale="en-GB", told=None, **options):
    """Open the page; nothing may be complained about, but what a test expects."""
    complaints = [] if told is None else told
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme, locale=locale, **options
    )
    page = context.new_page()
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("dialog", lambda dialog: complaints.append(dialog.message))
    page.goto(address)
    try:
        yield page
        if told is None:
            assert complaints == []
    finally:
        context.close()


def until(page, condition, arg=None, *, seconds=20.0):
    """Wait for a condition; Playwright's own way needs eval, which the page's policy forbids."""
    end = time.monotonic() + seconds
    while not page.evaluate(condition, arg):
        assert time.monotonic() < end, condition
        page.wait_for_timeout(30)


def chosen(page, tab):
    """Open a tab and wait for what it shows."""
    page.click(f"#tab-{tab}")
    until(page, f"document.querySelector('#panel').dataset.tab === '{tab}'")
    until(page, "document.querySelector('#panel').textContent.trim().length > 20")


def test_the_first_screen_says_whether_the_box_earns_its_keep(browser, agent):
    """Verdict, four costs, the curve with its point and marks, live power, money per day; no complaint."""
    with shown(browser, agent.url) as page:
        until(page, PROMISE)
        page.wait_for_selector("#curve .own-dot")
        page.wait_for_selector("#days rect.hardware")
        page.wait_for_selector("#live-power canvas")
        until(page, "document.querySelectorAll('#figures .value').length === 4")
        verdict = page.inner_text("#verdict")

        assert verdict.startswith("Last 7 days: €")
        assert "% load." in verdict
        assert "would have cost €" in verdict
        assert page.locator("#curve line.price").count() == 3
        assert page.locator("#curve circle.mark").count() == 3
        assert page.locator("#days rect.hatched").count() >= 8
        assert page.locator(".simulated").is_visible()
        assert page.locator("#connection[data-state=live]").is_visible()
        until(page, "document.querySelector('#live-watts').textContent.endsWith('W')")


def test_a_reader_without_scripts_is_told_the_verdict(browser, agent):
    """It stands in the page as it comes, where somebody looked a moment ago."""
    with shown(browser, agent.url) as page:
        until(page, PROMISE)
    with shown(browser, agent.url, java_script_enabled=False) as page:
        assert "a million tokens cost" in page.inner_text("#told")
        assert "needs JavaScript" in page.inner_text("main")


def test_numbers_are_those_of_the_api(browser, agent):
    """The table behind the curve has each API's bill as the report has it."""
    with shown(browser, agent.url) as page:
        until(page, PROMISE)
        # Asked for once more, it may be another one: a newer report has taken the place of the kept one.
        with page.expect_response("**/api/v1/report?window=7d") as shown_report:
            page.reload()
        report = shown_report.value.json()
        page.wait_for_selector("#curve .own-dot")
        page.click("#curve-table summary")
        rows = page.locator("#curve-table table").first.locator("tbody tr")
        bills = [f"€{item['api_cost']:,.2f}" for item in report["comparisons"]]

        assert [rows.nth(n).locator("td").nth(4).inner_text() for n in range(rows.count())] == bills


@pytest.mark.parametrize("tab", TABS)
def test_each_tab_shows_something_and_complains_of_nothing(browser, agent, tab):
    """Each is reached by a click, keeps its address, and is there again after a reload."""
    with shown(browser, agent.url) as page:
        chosen(page, tab)
        page.reload()
        until(page, f"document.querySelector('#panel').dataset.tab === '{tab}'")
        until(page, "document.querySelector('#panel').textContent.trim().length > 20")

        assert page.get_attribute(f"#tab-{tab}", "aria-selected") == "true"
        assert "cannot be shown" not in page.inner_text("#panel")


def test_sliders_recompute_by_the_core_formulas(browser, agent):
    """The page's script and the Python core give the same for shared vectors, to the last digits."""
    parts = {
        "hardware_cost_per_hour": 0.5,
        "labour_cost_per_hour": 0.21,
        "other_cost_per_hour": 0.04,
        "idle_energy_cost_per_hour": 0.13,
        "load_energy_cost_per_hour": 0.6,
        "mtok_per_hour": 12.5,
    }
    vectors = [
        (parts, {"load_ratio": load, "electricity_factor": power, "hardware_factor": hardware}, price)
        for load in (0.0, 0.01, 0.37, 1.0, 1.4)
        for power in (0.0, 1.0, 3.7)
        for hardware in (0.0, 0.5, 1.0, 2.9)
        for price in (0.001, 0.19, 4.2)
    ]
    with shown(browser, agent.url) as page:
        told = page.evaluate(
            "async vectors => { const { whatIf } = await import('./page/economics.js');"
            " return vectors.map(([parts, change, price]) => {"
            "  const found = whatIf(parts, change, price, 730);"
            "  return Object.fromEntries(Object.entries(found).map(([key, value]) =>"
            "   [key, value === Infinity ? 'never' : value])); }) }",
            vectors,
        )
    for (held, change, price), found in zip(vectors, told, strict=True):
        expected = what_if(CostParts(**held), Change(**change), price_per_mtok=price)
        for name, value in found.items():
            own = getattr(expected, name)
            assert value == (
                own if own is None else pytest.approx(own, rel=1e-12) if own != float("inf") else "never"
            )


def test_a_slider_moves_the_numbers_and_the_curve(browser, agent):
    """By keyboard: more load makes a token cheaper; reset brings back what was."""
    with shown(browser, agent.url) as page:
        page.wait_for_selector("#curve .own-dot")
        chosen(page, "whatif")
        page.wait_for_selector("#what-if-load")
        before = page.inner_text("#panel .figures .value >> nth=0")
        page.focus("#what-if-load")
        for _ in range(20):
            page.keyboard.press("ArrowRight")
        after = page.inner_text("#panel .figures .value >> nth=0")
        page.click("text=Reset")
        until(
            page,
            "before => document.querySelector('#panel .figures .value').textContent === before",
            arg=before,
        )

        assert float(after.strip("€")) < float(before.strip("€"))
        assert page.locator("#panel details tbody tr").count() == 11
        assert page.locator("#panel path.own-line").count() == 2


def test_history_is_zoomed_by_buttons_and_by_dragging(browser, agent):
    """Each zoom asks the server for fewer seconds a point, down to minutes."""
    with shown(browser, agent.url) as page:
        chosen(page, "history")
        page.wait_for_selector("#panel .u-over")
        page.select_option("#history-span", "604800")
        until(
            page,
            "document.querySelector('#panel').textContent.includes('each 60 min')"
            " || document.querySelector('#panel').textContent.includes('each 2 h')"
            " || document.querySelector('#panel').textContent.includes('each 1 h')",
        )
        page.click("[aria-label='Later']")
        page.select_option("#history-span", "86400")
        until(page, "document.querySelector('#panel').textContent.includes('each 2 min')")
        box = page.locator("#panel .u-over").first.bounding_box()
        page.mouse.move(box["x"] + 300, box["y"] + 40)
        page.mouse.down()
        page.mouse.move(box["x"] + 420, box["y"] + 40, steps=5)
        page.mouse.up()
        until(page, "document.querySelector('#panel').textContent.includes('each 60 s')")


def test_history_and_its_numbers_are_reached_by_keyboard(browser, agent):
    """From the panel on: span, earlier, later, closer, wider; then the table behind the charts unfolds."""
    told = "document.querySelector('#panel [aria-live]').textContent"
    with shown(browser, agent.url) as page:
        chosen(page, "history")
        until(page, "document.querySelector('#panel summary')")
        before = page.evaluate(told)
        page.focus("#panel")
        names = []
        for _ in range(5):
            page.keyboard.press("Tab")
            names.append(page.evaluate("document.activeElement.ariaLabel ?? document.activeElement.id"))
            if names[-1] == "Zoom in":
                page.keyboard.press("Enter")
                until(page, f"before => {told} !== before", arg=before)
        page.focus("#panel summary")
        page.keyboard.press("Enter")

        assert names == ["history-span", "Earlier", "Later", "Zoom in", "Zoom out"]
        assert page.locator("#panel details table").is_visible()
        assert page.locator("#panel details tbody tr").count() > 10


def test_zooming_stops_where_the_history_does(browser, agent):
    """Out of all bounds, and later than now, there is nothing to ask for; the whole history is shown."""
    told = "document.querySelector('#panel [aria-live]').textContent"
    with shown(browser, agent.url) as page:
        chosen(page, "history")
        until(page, f"{told}.includes('a point each')")
        for _ in range(16):
            page.click("[aria-label='Zoom out']")
            page.click("[aria-label='Later']")
        until(page, f"{told}.includes('each 6 h') || {told}.includes('each 60 min')")

        assert "cannot be shown" not in page.evaluate(told)
        assert page.locator("#panel .u-over").count() == 3


@pytest.mark.parametrize(("locale", "said"), [("de-DE", "0,0"), ("en-GB", "€0.0"), ("fr-FR", "0,0")])
def test_numbers_are_written_as_the_reader_does(browser, agent, locale, said):
    """The verdict and what stands below it have the reader's decimals; no amount is in another's."""
    with shown(browser, agent.url, locale=locale) as page:
        until(page, PROMISE)
        text = page.inner_text(".verdict")

        assert said in page.inner_text("#verdict")
        assert "EUR" not in text
        if said == "0,0":
            assert re.findall(r"[0-9]\.[0-9]{2,}\s?€|€[0-9]", text) == []


def test_nothing_moves_for_whoever_asks_for_that(browser, agent):
    """With reduced motion no element has a transition or an animation, on any tab."""
    moving = (
        "[...document.querySelectorAll('*')].map(each => getComputedStyle(each)).filter(style =>"
        " style.transitionDuration.split(', ').some(one => one !== '0s') || style.animationName !== 'none'"
        " || style.scrollBehavior === 'smooth').length + document.getAnimations().length"
    )
    with shown(browser, agent.url, reduced_motion="reduce") as page:
        page.wait_for_selector("#curve .own-dot")
        for tab in TABS:
            chosen(page, tab)

            assert page.evaluate(moving) == 0


def test_the_theme_is_chosen_and_kept(browser, agent):
    """Automatic follows the system; light and dark hold against it, also after a reload."""
    paper = "getComputedStyle(document.body).backgroundColor"
    with shown(browser, agent.url, scheme="dark") as page:
        dark = page.evaluate(paper)
        page.click("#theme")
        light = page.evaluate(paper)
        page.reload()

        assert light != dark
        assert page.evaluate(paper) == light
        assert page.inner_text("#theme") == "Theme: light"
        page.click("#theme")
        assert page.evaluate(paper) == dark


def test_a_gpu_whose_limit_is_not_known_has_no_bar_for_its_power(browser, agent):
    """An empty or a full bar would say something; the watts stand there alone."""

    def without_limits(route):
        status = route.fetch().json()
        for gpu in status["gpus"]:
            gpu["power_limit_watts"] = None
        route.fulfill(json=status)

    with shown(browser, f"{agent.url}#gpus") as page:
        page.route("**/api/v1/status", without_limits)
        page.reload()
        page.wait_for_selector("#panel .meter")
        bars = page.locator("#panel .card").first.locator("meter")

        assert [bar.get_attribute("aria-label") for bar in bars.all()] == ["memory", "kernels running"]


@pytest.mark.parametrize("tab", TABS)
def test_a_phone_shows_all_of_it_without_scrolling_sideways(browser, agent, tab):
    """390 pixels: the page is as wide as its window on every tab, and no text of a picture leaves it."""
    with shown(browser, agent.url, width=390, scheme="dark") as page:
        page.wait_for_selector("#curve .own-dot")
        chosen(page, tab)
        page.wait_for_timeout(300)
        outside = page.evaluate(
            "[...document.querySelectorAll('svg.plot text')].filter(text => {"
            " const box = text.getBoundingClientRect(); return box.left < -1 || box.right > innerWidth + 1"
            "}).map(text => text.textContent)"
        )

        assert page.evaluate("document.documentElement.scrollWidth") == 390
        assert outside == []


def test_everything_is_reached_by_keyboard(browser, agent):
    """Skip link first; in the tabs arrows, Home and End choose; Tab leads on into the panel."""
    focused = "document.activeElement.id || document.activeElement.className"
    with shown(browser, agent.url) as page:
        page.wait_for_selector("#curve .own-dot")
        page.keyboard.press("Tab")
        first = page.evaluate(focused)
        page.focus("#tab-models")
        seen = []
        for key in ("ArrowRight", "End", "ArrowRight", "ArrowLeft", "Home"):
            page.keyboard.press(key)
            seen.append(page.evaluate(focused))
        page.keyboard.press("Tab")

        assert first == "skip"
        assert seen == ["tab-gpus", "tab-whatif", "tab-models", "tab-whatif", "tab-models"]
        assert page.evaluate(focused) == "panel"


@pytest.mark.parametrize(
    ("width", "scheme"), [(1280, "light"), (1280, "dark"), (390, "light"), (390, "dark")]
)
def test_everybody_can_read_it(browser, agent, width, scheme):
    """axe-core finds nothing serious on any tab: contrast, names, order, roles."""
    with shown(browser, agent.url, width=width, scheme=scheme, bypass_csp=True) as page:
        page.wait_for_selector("#curve .own-dot")
        page.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true })")
        found = []
        for tab in TABS:
            chosen(page, tab)
            # What is above the tabs is the same with each of them.
            part = None if tab == TABS[0] else "section.details"
            found += [
                (tab, violation["id"], violation["nodes"][0]["html"][:200])
                for violation in Axe().run(page, context=part).response["violations"]
                if violation["impact"] in {"serious", "critical"}
            ]

    assert found == []


def test_paper_shows_what_is_folded_and_no_button(browser, agent):
    """Printed, the tables behind charts are unfolded, and what can be pressed is not there."""
    with shown(browser, agent.url) as page:
        page.wait_for_selector("#curve-table table", state="attached")
        page.emulate_media(media="print")
        until(
            page,
            "document.querySelector('#curve-table table').checkVisibility({contentVisibilityAuto: true})",
        )

        assert not page.locator("#theme").is_visible()
        assert not page.locator("#tabs").is_visible()


def test_a_restart_of_the_agent_is_survived(browser, tmp_path):
    """While it is away the page says so; when it is back the page goes on, without a reload."""
    with simulated(tmp_path) as agent:
        # Tokens that no API had a price for yet would be compared with none, in the whole window.
        agent.wait_for(lambda: agent.metric("evenwatt_api_cost_total"))
        _watch_a_restart(browser, agent)


def _watch_a_restart(browser, agent):
    with shown(browser, agent.url, told=[]) as page:
        until(page, PROMISE)
        page.evaluate("globalThis.isSame = true")
        agent.kill()
        page.wait_for_selector("#connection[data-state=lost]")
        verdict = page.inner_text("#verdict")
        agent.start()
        agent.wait_until_ready()
        page.wait_for_selector("#connection[data-state=live]", timeout=20_000)
        first = page.inner_text("#connection")
        until(page, "first => document.querySelector('#connection').textContent !== first", arg=first)

        assert page.evaluate("globalThis.isSame") is True
        # A page that looked before the first capacity was told has no load in its sentence yet.
        said, before = (re.sub(r" at \d+% load", "", text) for text in (page.inner_text("#verdict"), verdict))
        assert said == before


def test_names_of_models_are_text_and_nothing_else(browser, tmp_path):
    """Markup, direction marks, control characters and ten kilobytes: shown as text, cut, and never run."""
    with (
        simulated(tmp_path, models={"sim-chat": HOSTILE}) as agent,
        shown(browser, agent.url, width=390) as page,
    ):
        for tab in TABS:
            chosen(page, tab)
        chosen(page, "models")
        cell = page.locator("#panel bdi", has_text="<img").first

        assert page.title() == "evenwatt"
        assert page.locator("img").count() == 0
        assert page.locator("script").count() == 2
        assert len(cell.inner_text()) <= 60
        assert page.evaluate("document.body.innerText.includes('\\u202e')") is False
        assert page.evaluate("document.documentElement.scrollWidth") == 390


def test_an_agent_with_nothing_to_meter_teaches(browser, tmp_path):
    """No GPU, no engine, no tokens, assumed prices: each says what it means and what to write."""
    with AgentProcess(tmp_path, {"engines": []}) as agent, shown(browser, agent.url, told=[]) as page:
        page.wait_for_selector("#taught .teach")
        taught = page.inner_text("#taught")
        told = {tab: (chosen(page, tab), page.inner_text("#panel"))[1] for tab in TABS}

        assert "No GPU is metered" in taught
        assert "No engine is read" in taught
        assert "assumed" in taught
        assert "price_per_kwh" in taught
        assert 'engines:\n  - {name: chat, kind: vllm, url: "http://127.0.0.1:8000"}' in taught
        assert "evenwatt doctor" in told["gpus"]
        assert "price_per_kwh" in told["assumptions"]
        assert "Sliders need" in told["whatif"]
        assert not page.locator(".simulated").is_visible()


class _SubPath:
    """A reverse proxy that serves the agent below /power/meter/, as nginx would, over one connection each."""

    def __init__(self, port):
        self._agent_port = port
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        threading.Thread(target=self._run, daemon=True).start()

    def close(self):
        """Serve no more."""
        self._listening.close()

    def _run(self):
        with suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                threading.Thread(target=self._pass, args=(client,), daemon=True).start()

    def _pass(self, client):
        with suppress(OSError), client, socket.create_connection(("127.0.0.1", self._agent_port)) as agent:
            head = client.recv(65_536)
            method, path, rest = head.split(b" ", 2)
            if not path.startswith(b"/power/meter/"):
                client.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                return
            rest = rest.replace(b"Connection: keep-alive", b"Connection: close")
            agent.sendall(b" ".join((method, path.removeprefix(b"/power/meter"), rest)))
            while piece := agent.recv(65_536):
                client.sendall(piece)


def test_it_works_below_a_path_of_a_reverse_proxy(browser, agent):
    """Every file, question and the stream are asked for below the path; nothing is asked of the root."""
    with (
        closing(_SubPath(agent.port)) as proxy,
        shown(browser, f"http://127.0.0.1:{proxy.port}/power/meter/") as page,
    ):
        until(page, PROMISE)
        page.wait_for_selector("#connection[data-state=live]")
        for tab in TABS:
            chosen(page, tab)
        asked = page.evaluate(
            "performance.getEntriesByType('resource').map(each => new URL(each.name).pathname)"
        )

        assert all(path.startswith("/power/meter/") for path in asked), json.dumps(asked)


def test_the_whole_page_is_light(browser, agent):
    """With all its files and what it asks first it stays far below 1.2 MB."""
    with shown(browser, agent.url) as page:
        until(page, PROMISE)
        page.wait_for_selector("#days rect.hardware")
        page.wait_for_timeout(500)
        weight = page.evaluate(
            "performance.getEntriesByType('resource').reduce((sum, each) => sum + each.decodedBodySize, 0)"
        )

    assert 100_000 < weight < 1_200_000
