"""The signature picture: cost per Mtok against load, what was observed on it, a line for each API price.

Prometheus knows two numbers of the curve: m, what a million tokens more cost, and f, what they cost at full
load. At a load L it is m + (f - m) / L. One query works that out for a row of loads and brings the prices
along; Grafana's transformations make columns of it, and its trend panel takes the load for the x axis.
"""

from grafana_foundation_sdk.builders import trend
from grafana_foundation_sdk.models import common as common_models
from grafana_foundation_sdk.models import dashboard as models

from .parts import (
    MONEY,
    SKY,
    VERMILION,
    Panel,
    Query,
    asked_now,
    legend,
    logarithmic,
    painted,
    titled,
    transformed,
)

__all__ = ["curve"]

_LOADS = (0.01, 0.015, 0.02, 0.03, 0.04, 0.06, 0.08, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1)
"""Closer together where the curve is steeper."""

_DESCRIPTION = (
    "What a million tokens of this engine would cost at each token load, at the prices and the mix of the "
    "window: what accrues with time is shared by more tokens at a higher load. The dot is what was observed. "
    "A straight line is what an API takes for the same tokens; own tokens are cheaper where the curve is "
    "below it."
)


def curve(engine: str) -> Panel:
    """Return the panel of an engine.

    Args:
        engine: Matchers that select its one row of a window.
    """
    panel = titled(
        trend.Panel(), "$engine: cost per Mtok ($currency) against load, $window", _DESCRIPTION, MONEY
    )
    panel = transformed(
        asked_now(panel, [Query(expr=_expr(engine))], as_table=True),
        (
            "groupingToMatrix",
            {"columnField": "series", "emptyValue": "null", "rowField": "load", "valueField": "Value"},
        ),
        (
            "convertFieldType",
            {"conversions": [{"destinationType": "number", "targetField": "load\\series"}], "fields": {}},
        ),
        ("organize", {"excludeByName": {}, "indexByName": {}, "renameByName": {"load\\series": "load"}}),
        ("sortBy", {"fields": {}, "sort": [{"field": "load"}]}),
    )
    return (
        panel.x_field("load")
        .line_width(2)
        .legend(legend())
        .show_points(common_models.VisibilityMode.NEVER)
        .span_nulls(True)
        .scale_distribution(logarithmic())
        .override_by_name("load", [_property("unit", "percentunit")])
        .override_by_name("own", [painted(SKY), _property("custom.lineWidth", 3)])
        .override_by_name(
            "observed",
            [
                painted(VERMILION),
                _property("custom.drawStyle", "points"),
                _property("custom.showPoints", "always"),
                _property("custom.pointSize", 14),
            ],
        )
    )


def _expr(engine: str) -> str:
    """Return one query for the whole picture: values by `load` and `series`."""
    marginal = f"scalar(evenwatt_marginal_cost_per_mtok{{{engine}}})"
    full_load = f"scalar(evenwatt_full_load_cost_per_mtok{{{engine}}})"
    loads = " or ".join(_at(load, f"vector({load:g})") for load in _LOADS)
    own = _named("own", f"{marginal} + ({full_load} - {marginal}) / ({loads})")
    # A straight line is known by its two ends.
    price = f"max by (reference) (evenwatt_api_price_per_mtok{{{engine}}})"
    ends = " or ".join(_at(load, price) for load in (_LOADS[0], _LOADS[-1]))
    prices = f'label_replace({ends}, "series", "$1", "reference", "(.+)")'
    # What was observed carries its load as a label too: only labels survive into the table.
    cost = f'scalar(evenwatt_cost_per_mtok{{{engine},basis="full",tokens="total"}})'
    observed = _named("observed", f'{cost} * count_values("load", evenwatt_load_ratio{{{engine}}})')
    return f"max by (load, series) (\n  {own}\n  or {prices}\n  or {observed}\n)"


def _at(load: float, expr: str) -> str:
    return f'label_replace({expr}, "load", "{load:g}", "", "")'


def _named(series: str, expr: str) -> str:
    return f'label_replace({expr}, "series", "{series}", "", "")'


def _property(name: str, value: object) -> models.DynamicConfigValue:
    return models.DynamicConfigValue(id_val=name, value=value)
