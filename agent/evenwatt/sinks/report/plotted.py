"""The signature curve of a report."""

from evenwatt.sinks.curve.geometry import Curve, curve_of
from evenwatt.sinks.words import clean
from evenwatt.snapshot.report.values import Report

__all__ = ["report_curve"]


def report_curve(report: Report, *, label_distance: float) -> Curve | None:
    """Return the picture of a report's curve; None where it is not known."""
    if report.curve is None:
        return None
    line, observed = report.curve.line, report.curve.observed
    loads = {item.reference: item.break_even_load_ratio for item in report.comparisons}
    return curve_of(
        fixed_cost_per_hour=line.fixed_cost_per_hour,
        load_cost_per_hour=line.load_cost_per_hour,
        mtok_per_hour=line.mtok_per_hour,
        observed=(observed.load_ratio, observed.cost_per_mtok),
        prices=[(clean(name), price, loads.get(name)) for name, price in report.curve.api_prices.items()],
        label_distance=label_distance,
    )
