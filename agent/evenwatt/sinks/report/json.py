"""A report as JSON, for programs; its shape is documented in docs/report.md and only ever grows.

Names are those of the values in `snapshot`, units and all. A value that is not known is null; a break-even or
payback that is never reached, and a ratio to nothing, is the word "never". Dates are ISO 8601.
"""

import json
import math
from collections.abc import Mapping
from datetime import date
from typing import Any

from msgspec import Struct

from evenwatt.economics.cost import Costs
from evenwatt.economics.tokens import Tokens
from evenwatt.snapshot.report.values import Report, ReportTotals, ReportWindow

__all__ = ["COMPUTED", "SHAPE", "plain", "render_json"]

SHAPE = "evenwatt-report/1"
"""Counts up only when something that was there means something else, or is gone."""

COMPUTED: Mapping[type, tuple[str, ...]] = {
    Costs: ("full",),
    Tokens: ("total_tokens",),
    ReportWindow: ("seconds",),
    ReportTotals: ("idle_cost",),
}
"""What stands beside the fields of a value, so that no program has to work it out again."""


def render_json(report: Report) -> str:
    """Return a report as one JSON document: a line for each part, so that two can be compared."""
    document = {"shape": SHAPE, **plain(report)}
    parts = (f'"{name}": {json.dumps(part, allow_nan=False)}' for name, part in document.items())
    return "{" + ",\n ".join(parts) + "}\n"


def plain(value: Any) -> Any:
    """Return a value of a report as JSON has it: `math.inf` is "never"."""
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return "never" if math.isinf(value) else value
    if isinstance(value, Struct):
        names = (*value.__struct_fields__, *COMPUTED.get(type(value), ()))
        return {name: plain(getattr(value, name)) for name in names}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, date):
        return value.isoformat()
    return [plain(item) for item in value]
