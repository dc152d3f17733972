"""How long a person waits for the page, how smoothly it zooms, and how long a program waits for the API."""

import html
import http.client
import json
import shutil
import tempfile
import time
from contextlib import ExitStack, closing
from pathlib import Path

import yaml
from playwright.sync_api import sync_playwright

from agent_process import AgentProcess
from benchmarks.figures import Table, median, quantile
from benchmarks.report import CONFIG, ENGINES, write_year
from benchmarks.resources import cpu_seconds
from benchmarks.server import LIFE_SECONDS, PAGE_LINES
from engine_process import EngineProcess

HOUR, DAY = 3_600, 86_400
OPENINGS = 11
ASKED = 100
ZOOMS = 6
PAINT_MILLISECONDS = 300
PAGE_MEGABYTES = 1.2
P99_MILLISECONDS = 50
FRAME_MILLISECONDS = 1.5 * 1000 / 60
"""A frame that came later than this was missed."""

_FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run")
_PAINTED = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? null"
_DRAWN = "performance.getEntriesByName('evenwatt-verdict')[0]?.startTime ?? null"
_READ = """() => new Promise((tell) => {
    new PerformanceObserver((seen) => tell(seen.getEntries()[0].renderTime))
        .observe({ type: 'element', buffered: true });
})"""
"""When the words below the headline were painted: the verdict, for which the HTML has been checked."""
_WEIGHT = """['navigation', 'resource'].flatMap(kind => performance.getEntriesByType(kind))
    .reduce(([wire, whole], each) => [wire + each.transferSize, whole + each.decodedBodySize], [0, 0])"""
_RECORD = """() => {
    const frames = globalThis.frames = [];
    let last = performance.now();
    const ask = () => { globalThis.asked = requestAnimationFrame(frame); };
    const frame = (now) => { frames.push(now - last); last = now; ask(); };
    ask();
}"""
_RECORDED = "() => { cancelAnimationFrame(globalThis.asked); return globalThis.frames.slice(1); }"


def run(_seconds):
    table = Table(
        "page",
        "An agent with a year of history (4 models, 8 GPUs, its last 30 days by minutes) and 3 engines of "
        f"{PAGE_LINES} lines read each 10 s. Paints are the median of {OPENINGS} openings with an empty "
        f"cache, after one that nobody counts; of the API each path is asked {ASKED} times, `cold` for what "
        "nobody asked before. Chromium has no window and no GPU, and draws on the processors that the agent "
        "runs on.",
    )
    with tempfile.TemporaryDirectory(prefix="evenwatt-bench-") as name, ExitStack() as stack:
        agent = stack.enter_context(_agent_of_a_year(Path(name), stack))
        _measure_browser(table, agent)
        _measure_api(table, agent)
    return table


def _agent_of_a_year(folder, stack):
    write_year(folder / "history.db")
    arguments = ("--lines", str(PAGE_LINES), "--life", str(LIFE_SECONDS))
    engines = {name: stack.enter_context(EngineProcess(folder, *arguments)).url for name in ENGINES}
    settings = yaml.safe_load(CONFIG) | {
        "engines": [{"name": name, "kind": "vllm", "url": url} for name, url in engines.items()],
        "sampling": {"tick_seconds": 10, "gpu_seconds": 1},
    }
    return AgentProcess(folder, settings)


def _measure_browser(table, agent):
    with (
        sync_playwright() as playwright,
        closing(playwright.chromium.launch(executable_path=shutil.which("chromium"), args=_FLAGS)) as browser,
    ):
        _opened(browser, f"{agent.url}/healthz", _PAINTED)
        first = _opened(browser, agent.url, _DRAWN)
        blank = [_opened(browser, f"{agent.url}/healthz", _PAINTED)[0] for _ in range(OPENINGS)]
        opened = [_opened_again(browser, agent) for _ in range(OPENINGS)]
        painted, drawn, read, weights = zip(*opened, strict=True)
        table.add("a page of one word: painted", median(blank), "ms")
        table.add("first opening since the agent's start: scripts drew the verdict", first[1], "ms")
        table.add("painted", median(painted), "ms", PAINT_MILLISECONDS)
        table.add(
            "opened again within minutes: the verdict is painted, in words",
            median(read),
            "ms",
            PAINT_MILLISECONDS,
        )
        table.add("opened again: scripts drew it, with its figures", median(drawn), "ms")
        wire, whole = weights[-1]
        table.add("all that it loads, over the wire", wire / 1e6, "MB", PAGE_MEGABYTES)
        table.add("all that it loads, unpacked", whole / 1e6, "MB", PAGE_MEGABYTES)
        _measure_zoom(table, browser, agent)


def _opened(browser, address, awaited, *asked):
    """Return when something was painted, when what is awaited was there, what else is asked, the weight."""
    with closing(browser.new_context(viewport={"width": 1280, "height": 900})) as context:
        page = context.new_page()
        page.goto(address)
        while (there := page.evaluate(awaited)) is None:
            page.wait_for_timeout(20)
        page.wait_for_timeout(1_500)
        return page.evaluate(_PAINTED), there, *map(page.evaluate, asked), page.evaluate(_WEIGHT)


def _opened_again(browser, agent):
    sentence = json.loads(_body(agent, "/api/v1/report?window=7d"))["verdict"]["sentence"]
    if html.escape(sentence).encode() not in _body(agent, "/"):
        raise RuntimeError("the page has no verdict to paint")
    return _opened(browser, agent.url, _DRAWN, _READ)


def _body(agent, path):
    with closing(http.client.HTTPConnection("127.0.0.1", agent.port, timeout=20)) as connection:
        connection.request("GET", path)
        return connection.getresponse().read()


def _measure_zoom(table, browser, agent):
    with closing(browser.new_context(viewport={"width": 1280, "height": 900})) as context:
        page = context.new_page()
        page.goto(f"{agent.url}/#history")
        page.wait_for_selector("#panel .u-over")
        page.select_option("#history-span", str(30 * DAY))
        page.wait_for_timeout(2_000)
        page.locator("#panel").scroll_into_view_if_needed()
        box = page.locator("#panel .u-over").first.bounding_box()
        page.evaluate(_RECORD)
        page.mouse.move(box["x"] + 5, box["y"] + 40)
        page.mouse.down()
        for step in range(200):
            page.mouse.move(box["x"] + 5 + 4 * step, box["y"] + 40)
        _add_frames(table, "dragging across 30 days", page.evaluate(_RECORDED))
        page.mouse.up()
        frames = []
        for _ in range(ZOOMS):
            page.wait_for_timeout(800)
            page.evaluate(_RECORD)
            page.click("[aria-label='Zoom in']")
            page.wait_for_timeout(220)
            frames += page.evaluate(_RECORDED)
        _add_frames(table, "zooming in from there", frames)


def _add_frames(table, what, frames):
    late = sum(frame > FRAME_MILLISECONDS for frame in frames)
    table.add(f"{what}: a frame, p50", median(frames), "ms", FRAME_MILLISECONDS)
    table.add(f"{what}: a frame, p99", quantile(frames, 0.99), "ms", FRAME_MILLISECONDS)
    table.add(f"{what}: late frames", 100 * late / len(frames), "%")


def _measure_api(table, agent):
    now = int(time.time())

    def stretches(days, points=600):
        """Return stretches of which no two are the same, all within the year."""
        last = now - ASKED * HOUR
        return [
            f"history?from={last - int(days * DAY) + n * HOUR}&to={last + n * HOUR}&points={points}"
            for n in range(ASKED)
        ]

    for what, paths in {
        "status": ["status"] * ASKED,
        "live": ["live"] * ASKED,
        "openapi.json": ["openapi.json"] * ASKED,
        "report of 7 days, kept": ["report?window=7d"] * ASKED,
        "reports of 7 h to 29 days, cold": [f"report?window={7 * (n + 1)}h" for n in range(ASKED)],
        "clients, cold": [f"clients?window={7 * (n + 1)}h" for n in range(ASKED)],
        "a day of history, cold": stretches(1),
        "36 hours of history, cold": stretches(1.5),
        "30 days of history, cold": stretches(30),
        "100 days of history in 1200 points, cold": stretches(100, 2_000),
        "360 days of history, cold": stretches(360),
        "events, cold": [f"events?limit={n + 1}" for n in range(ASKED)],
    }.items():
        cpu_before = cpu_seconds(agent.pid)
        waits = _milliseconds(agent, paths)
        table.add(f"{what}: CPU each", (cpu_seconds(agent.pid) - cpu_before) * 1e3 / ASKED, "ms")
        table.add(f"{what}: p50", median(waits), "ms")
        table.add(f"{what}: p99", quantile(waits, 0.99), "ms", P99_MILLISECONDS)


def _milliseconds(agent, paths):
    waits = []
    with closing(http.client.HTTPConnection("127.0.0.1", agent.port, timeout=20)) as connection:
        for path in paths:
            began = time.perf_counter()
            connection.request("GET", f"/api/v1/{path}", headers={"Accept-Encoding": "gzip"})
            answer = connection.getresponse()
            answer.read()
            waits.append((time.perf_counter() - began) * 1e3)
            if answer.status != http.HTTPStatus.OK:
                raise RuntimeError(f"{path}: {answer.status}")
    return waits
