"""Alerts without a Prometheus: the rules on a snapshot, and what fires and ends over time. Pure."""
