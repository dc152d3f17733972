"""The dashboards of `dashboards/grafana/`, built by code: `python -m scripts.dashboards [--check]`."""
