"""Pictures of the dashboards for docs/, drawn over simulated days in a real Prometheus."""
