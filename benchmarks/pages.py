"""What it takes to get an engine's counters: its page parsed, and a whole reading over HTTP."""

import tempfile
import time
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from benchmarks.figures import Table, median
from benchmarks.server import LIFE_SECONDS
from counting_engine import Counts, Engine, Truth, Work
from engine_process import EngineProcess
from evenwatt.readings.engine import EngineSource
from evenwatt.readings.engines.vllm import VLLM
from evenwatt.readings.exposition import checked_page, parse_samples

LINES = (590, 1_500, 3_400)
BUDGET_LINES = 1_500
BUDGET_MILLISECONDS = 2
TIMES = 200
TIMES_SLOW = 10


def run(_seconds):
    table = Table(
        "pages",
        f"CPU of one thread, median of {TIMES} ({TIMES_SLOW} for the general parser, prometheus_client's). A "
        "whole reading is the page over HTTP from loopback, its listener looked up twice, and the parse.",
    )
    with tempfile.TemporaryDirectory(prefix="evenwatt-bench-") as name:
        folder = Path(name)
        for lines in LINES:
            budget = BUDGET_MILLISECONDS if lines == BUDGET_LINES else None
            page = _page(folder, lines)
            count = page.count(b"\n")
            table.add(
                f"{count} lines: targeted parse", _milliseconds(lambda p=page: _targeted(p)), "ms", budget
            )
            table.add(
                f"{count} lines: general parse", _milliseconds(lambda p=page: _general(p), TIMES_SLOW), "ms"
            )
            table.add(f"{count} lines: whole reading", _reading_milliseconds(folder, lines), "ms", budget)
    return table


def _page(folder, lines):
    work = Work(["model-0"], Counts(input_tokens=1_000, output_tokens=200, completed_requests=2))
    return Engine(work, Truth(folder / "truth"), lines=lines, started_utc_seconds=time.time()).page()


def _targeted(page):
    VLLM.models(parse_samples(checked_page(page), VLLM.wanted), "")


def _general(page):
    list(text_string_to_metric_families(page.decode()))


def _reading_milliseconds(folder, lines):
    with EngineProcess(folder, "--lines", str(lines), "--life", str(LIFE_SECONDS)) as engine:
        source = EngineSource(name="engine", url=engine.url, kind="vllm")
        cost = _milliseconds(source.read)
        source.close()
    return cost


def _milliseconds(call, times=TIMES):
    spent = []
    for _ in range(times):
        before = time.thread_time()
        call()
        spent.append(time.thread_time() - before)
    return median(spent) * 1e3
