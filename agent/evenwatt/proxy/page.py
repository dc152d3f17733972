"""The proxy's own page of metrics: the totals that are on the disk, and what is watched while it runs."""

import os
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final

import psutil
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.registry import Collector

from evenwatt import __version__
from evenwatt.proxy.exchange import Books
from evenwatt.proxy.totals import Sums

__all__ = ["PAGE_TYPE", "PROXY_METRICS", "Page"]

PAGE_TYPE: Final = CONTENT_TYPE_PLAIN_0_0_4

_HELP: Final = {
    "evenwatt_proxy_tokens_total": (
        "Tokens of finished requests that are on the disk; the types are disjoint. "
        "Where an engine does not tell its cached input, it is inside input."
    ),
    "evenwatt_proxy_reasoning_tokens_total": (
        "The part of the output tokens that was reasoning, where the engine tells."
    ),
    "evenwatt_proxy_requests_total": (
        "Finished requests that are on the disk. "
        "counted says how far their tokens are known: exact, lower_bound or unknown."
    ),
    "evenwatt_proxy_counting_since_timestamp_seconds": (
        "When the totals began, over all restarts; another value means other totals."
    ),
    "evenwatt_proxy_requests_running": "Counted requests that run now.",
    "evenwatt_proxy_unwritten_requests": "Finished requests that are not on the disk yet.",
    "evenwatt_proxy_state_writable": "Whether the last commit went well.",
    "evenwatt_proxy_passed_requests_total": (
        "Requests passed on that do no inference, since the process started."
    ),
    "evenwatt_proxy_tunnels_total": ("WebSocket connections passed on uncounted, since the process started."),
    "evenwatt_proxy_upstream_info": "The engine behind the proxy.",
    "evenwatt_proxy_build_info": "The version of the proxy.",
    "process_start_time_seconds": "When the process started.",
}
PROXY_METRICS: Final[Mapping[str, str]] = MappingProxyType(_HELP)
"""The metrics of the page, beside the histograms of `Observations`, and what they mean."""

_OWNER_LABELS: Final = ("model", "client", "place", "outcome", "counted")
_TYPES: Final = {
    "input": "input_tokens",
    "cached_input": "cached_input_tokens",
    "output": "output_tokens",
}


class Page:
    """Renders the page of one proxy.

    Args:
        books: What it shows.
        upstream: The address of the engine.
    """

    def __init__(self, books: Books, upstream: str) -> None:
        self._books = books
        self._registry = CollectorRegistry()
        self._registry.register(_Totals(books, upstream))

    def rendered(self) -> bytes:
        """Return the page as it is now."""
        return generate_latest(self._registry) + generate_latest(self._books.observations.registry)


class _Totals(Collector):
    def __init__(self, books: Books, upstream: str) -> None:
        self._books = books
        self._upstream = upstream
        self._started_utc_seconds = psutil.Process(os.getpid()).create_time()

    def collect(self) -> Iterator[Metric]:
        yield from self._durable()
        totals, observations = self._books.totals, self._books.observations
        yield _gauge("evenwatt_proxy_counting_since_timestamp_seconds", totals.counting_since_utc_seconds)
        yield _gauge("evenwatt_proxy_requests_running", observations.running)
        yield _gauge("evenwatt_proxy_unwritten_requests", totals.unwritten)
        yield _gauge("evenwatt_proxy_state_writable", float(totals.fault is None))
        yield _counter("evenwatt_proxy_passed_requests_total", observations.passed)
        yield _counter("evenwatt_proxy_tunnels_total", observations.tunnels)
        engine = {"upstream": self._upstream, "engine": self._books.engine.kind}
        yield _info("evenwatt_proxy_upstream_info", engine)
        yield _info("evenwatt_proxy_build_info", {"version": __version__})
        yield _gauge("process_start_time_seconds", self._started_utc_seconds)

    def _durable(self) -> Iterator[Metric]:
        tokens = _counter("evenwatt_proxy_tokens_total", labels=(*_OWNER_LABELS, "type"))
        reasoning = _counter("evenwatt_proxy_reasoning_tokens_total", labels=_OWNER_LABELS)
        requests = _counter("evenwatt_proxy_requests_total", labels=_OWNER_LABELS)
        for owner, sums in sorted(self._books.totals.shown.items()):
            requests.add_metric(owner, sums.requests)
            for kind, count in _counts(sums):
                tokens.add_metric([*owner, kind], count)
            if sums.reasoning_tokens is not None:
                reasoning.add_metric(owner, sums.reasoning_tokens)
        yield from (tokens, reasoning, requests)


def _counts(sums: Sums) -> Iterator[tuple[str, int]]:
    for kind, field in _TYPES.items():
        count = getattr(sums, field)
        if count is not None:
            yield kind, count


def _gauge(name: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, PROXY_METRICS[name], value=value)


def _counter(
    name: str, value: float | None = None, *, labels: tuple[str, ...] | None = None
) -> CounterMetricFamily:
    return CounterMetricFamily(name, PROXY_METRICS[name], value=value, labels=labels)


def _info(name: str, value: Mapping[str, str]) -> InfoMetricFamily:
    return InfoMetricFamily(name.removesuffix("_info"), PROXY_METRICS[name], value=dict(value))
