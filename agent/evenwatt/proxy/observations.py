"""What is watched while the proxy runs and begins anew with it: running requests and how long they take."""

from typing import Final

from prometheus_client import CollectorRegistry, Histogram

__all__ = ["Observations"]

_FIRST_TOKEN_SECONDS: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
_DURATION_SECONDS: Final = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800)


class Observations:
    """Running figures of one proxy.

    Attributes:
        registry: Of the histograms.
        models: The labels of models given so far.
        running: Counted requests that have not ended.
        passed: Requests that were passed on uncounted: listings, health, everything that does no inference.
        tunnels: WebSocket connections that were passed on uncounted.
    """

    def __init__(self, models: set[str]) -> None:
        self.registry = CollectorRegistry()
        self.models = models
        self.running = 0
        self.passed = 0
        self.tunnels = 0
        self._first_token = Histogram(
            "evenwatt_proxy_time_to_first_token_seconds",
            "From the head of a request to the first generated text, of streamed answers.",
            ["model"],
            registry=self.registry,
            buckets=_FIRST_TOKEN_SECONDS,
        )
        self._duration = Histogram(
            "evenwatt_proxy_request_duration_seconds",
            "From the head of a request to the end of its answer.",
            ["model", "outcome"],
            registry=self.registry,
            buckets=_DURATION_SECONDS,
        )

    def observe(self, model: str, outcome: str, seconds: float, first_text_seconds: float | None) -> None:
        """Note a request that has ended."""
        self._duration.labels(model, outcome).observe(seconds)
        if first_text_seconds is not None:
            self._first_token.labels(model).observe(first_text_seconds)
