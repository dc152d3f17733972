"""How long a scraper waits for /metrics."""

import http.client
import time

from benchmarks.figures import Table, quantile
from benchmarks.server import ENGINES, GPUS, metered_server

MODELS_PER_ENGINE = 2
REQUESTS = 1_000
PAUSE_SECONDS = 0.01
P50_MILLISECONDS = 2
P99_MILLISECONDS = 10

TICKS = {
    "a tick each 10 s": {"tick_seconds": 10, "gpu_seconds": 1},
    "a tick each 0.1 s": {"tick_seconds": 0.1, "gpu_seconds": 0.1, "deadline_seconds": 0.1},
}


def run(_seconds):
    table = Table(
        "latency",
        f"GET /metrics with {GPUS} GPUs and {ENGINES * MODELS_PER_ENGINE} models, {REQUESTS} requests one "
        f"after another, {PAUSE_SECONDS * 1e3:g} ms apart. A tick each 0.1 s is a hundred times the usual: "
        "its p99 is of requests that met one.",
    )
    for ticks, sampling in TICKS.items():
        with metered_server(sampling, models_per_engine=MODELS_PER_ENGINE) as agent:
            for how, ask in (("kept connection", _kept(agent)), ("new connections", _new(agent))):
                waits = _milliseconds(ask)
                table.add(f"{ticks}, {how}: p50", quantile(waits, 0.5), "ms", P50_MILLISECONDS)
                table.add(f"{ticks}, {how}: p99", quantile(waits, 0.99), "ms", P99_MILLISECONDS)
                table.add(f"{ticks}, {how}: max", max(waits), "ms")
    return table


def _kept(agent):
    connection = http.client.HTTPConnection("127.0.0.1", agent.port, timeout=5)
    return lambda: _get(connection)


def _new(agent):
    def ask():
        connection = http.client.HTTPConnection("127.0.0.1", agent.port, timeout=5)
        _get(connection)
        connection.close()

    return ask


def _get(connection):
    connection.request("GET", "/metrics")
    connection.getresponse().read()


def _milliseconds(ask):
    waits = []
    for _ in range(REQUESTS):
        began = time.perf_counter()
        ask()
        waits.append((time.perf_counter() - began) * 1e3)
        time.sleep(PAUSE_SECONDS)
    return waits
