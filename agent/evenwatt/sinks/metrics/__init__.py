"""The snapshot as Prometheus metrics: `METRICS` is the contract, and docs/metrics.md is made from it."""

from evenwatt.sinks.metrics.names import METRICS, MetricSpec
from evenwatt.sinks.metrics.rendering import CONTENT_TYPE, render_metrics

__all__ = ["CONTENT_TYPE", "METRICS", "MetricSpec", "render_metrics"]
