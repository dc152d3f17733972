"""Writes the OpenAPI file of the agent's API from the values that its answers are made of; --check compares.

Shapes and their descriptions are those of the code, so that neither can say what the other does not.
"""

import json
import re
import sys
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import date
from enum import Enum
from pathlib import Path
from typing import Any

from generated import parser, write_or_check
from msgspec import Struct

from evenwatt.economics.capacity import Capacity
from evenwatt.economics.cost import Costs
from evenwatt.ledger import Usage
from evenwatt.model import Assumption, Event, Note, SourceHealth
from evenwatt.service.page.columns import columns_of
from evenwatt.sinks.history.series import Series
from evenwatt.sinks.report.json import COMPUTED
from evenwatt.snapshot import (
    ElectricityView,
    EngineView,
    HistoryHealth,
    HostView,
    PendingPrice,
    ReferenceView,
)
from evenwatt.snapshot.alerts.values import AlertView, NotifierHealth
from evenwatt.snapshot.report.chargeback import Chargeback
from evenwatt.snapshot.report.values import Report

TARGET = Path(__file__).parent.parent / "agent" / "evenwatt" / "sinks" / "web" / "page" / "openapi.json"

NUMBER = {"type": ["number", "null"]}
OR_NEVER = {"type": ["number", "string", "null"], "description": '"never" where it is never reached'}
TEXT = {"type": "string"}
OR_TEXT = {"type": ["string", "null"]}
WHOLE = {"type": ["integer", "null"]}
FLAG = {"type": "boolean"}
SECONDS = {"type": "number", "description": "seconds since 1970 in UTC"}


class Shapes:
    """Schemas of values by their names."""

    def __init__(self) -> None:
        self.schemas: dict[str, Any] = {}

    def of(self, hint: Any) -> dict[str, Any]:
        """Return the schema of a type; a value's is written down once and referred to."""
        origin, arguments = typing.get_origin(hint), typing.get_args(hint)
        if origin in {typing.Union, types.UnionType}:
            return self._union(arguments)
        if origin is not None and issubclass(origin, Mapping):
            return {"type": "object", "additionalProperties": self.of(arguments[1])}
        if origin is not None and issubclass(origin, Sequence):
            return {"type": "array", "items": self.of(arguments[0])}
        if hint is Any:
            return {}
        return self._plain(hint)

    def _union(self, arguments: tuple[Any, ...]) -> dict[str, Any]:
        known = [self.of(argument) for argument in arguments if argument is not type(None)]
        if len(known) == len(arguments):
            return {"anyOf": known}
        (schema,) = known
        if isinstance(schema.get("type"), str | list):
            told = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
            values = {"enum": [*schema["enum"], None]} if "enum" in schema else {}
            return {**schema, "type": [*told, "null"], **values}
        return {"anyOf": [schema, {"type": "null"}]}

    def _plain(self, hint: type) -> dict[str, Any]:
        if hint is float:
            return {"type": ["number", "string"], "description": 'a number, or "never"'}
        for kind, schema in ((bool, FLAG), (int, {"type": "integer"}), (date, {**TEXT, "format": "date"})):
            if issubclass(hint, kind):
                return dict(schema)
        if issubclass(hint, Enum):
            return {**TEXT, "enum": [member.value for member in hint]}
        return dict(TEXT) if issubclass(hint, str) else self.value(hint)

    def value(self, kind: type) -> dict[str, Any]:
        """Return a reference to the schema of a value."""
        if kind.__name__ not in self.schemas:
            schema: dict[str, Any] = {}
            self.schemas[kind.__name__] = schema
            schema |= self._object(kind)
        return {"$ref": f"#/components/schemas/{kind.__name__}"}

    def _object(self, kind: type) -> dict[str, Any]:
        hints, told = typing.get_type_hints(kind), _attributes(kind)
        names = kind.__struct_fields__ if issubclass(kind, Struct) else [field.name for field in fields(kind)]
        computed = COMPUTED.get(kind, ())
        properties = {name: self.of(hints[name]) for name in names}
        for name in computed:
            getter = getattr(kind, name).fget
            properties[name] = self.of(typing.get_type_hints(getter)["return"])
            told[name] = (getter.__doc__ or "").strip()
        for name, schema in properties.items():
            if name in told and "$ref" not in schema:
                schema["description"] = told[name]
        return {**_closed(properties), "description": (kind.__doc__ or "").strip().partition("\n")[0]}


def _closed(properties: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": dict(properties), "required": list(properties)}


def _listed(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": schema}


def _by_name(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": schema}


def _attributes(kind: type) -> dict[str, str]:
    """Return what a docstring says of each attribute."""
    _, _, text = (kind.__doc__ or "").partition("Attributes:\n")
    found = re.findall(r"^\s{8}(\w+): (.*(?:\n\s{12}.*)*)", text, re.MULTILINE)
    return {name: " ".join(words.split()) for name, words in found}


def status(shapes: Shapes) -> dict[str, Any]:
    """Return the schema of /api/v1/status, as sinks.status builds it."""
    costs = shapes.value(Costs)
    row = _closed(
        {
            "engine": TEXT,
            "model": TEXT,
            "tokens": _by_name(WHOLE),
            "cost": costs,
            "idle_cost": _by_name(NUMBER),
            "cost_per_mtok": _by_name(NUMBER),
            "phase_cost_per_mtok": _closed({"input": NUMBER, "output": NUMBER, "method": TEXT}),
            "load_ratio": NUMBER,
            "load_is_upper_bound": FLAG,
            "capacity": shapes.of(Capacity | None),
            "references": _listed(shapes.value(ReferenceView)),
        }
    )
    gpu_numbers = (
        "counter_power_ratio",
        "power_watts",
        "power_limit_watts",
        "utilization_ratio",
        "memory_used_bytes",
        "memory_bytes",
        "temperature_celsius",
        "energy_joules",
    )
    gpu = _closed(
        {
            "index": {"type": "integer"},
            "uuid": TEXT,
            "name": TEXT,
            "fault": OR_TEXT,
            "engines": _listed(TEXT),
            "energy_source": {**TEXT, "enum": ["counter", "power"]},
            **dict.fromkeys(gpu_numbers, NUMBER),
        }
    )
    money = [
        f"{name}_cost" for name in ("hardware", "energy", "labour", "other", "idle_loaded", "idle_empty")
    ]
    total = _closed({"engine": TEXT, "model": TEXT, **dict.fromkeys(Usage.__struct_fields__, NUMBER)})
    total["properties"] |= dict.fromkeys(money, NUMBER)
    host = shapes.value(HostView)
    shapes.schemas["HostView"]["properties"]["energy_joules"] = _by_name(NUMBER)
    window = {
        "window": TEXT,
        "start_utc_seconds": SECONDS,
        "seconds": {"type": "number"},
        "coverage_ratio": {"type": "number"},
        "rows": _listed(row),
    }
    return _closed(
        {
            "version": TEXT,
            "simulated": FLAG,
            "utc_seconds": SECONDS,
            "started_utc_seconds": SECONDS,
            "currency": TEXT,
            "config_reload_ok": FLAG,
            "history": shapes.value(HistoryHealth),
            "electricity_price_per_kwh": NUMBER,
            "electricity": shapes.value(ElectricityView),
            "cost_per_hour": costs,
            "assumptions": _listed(shapes.value(Assumption)),
            "notes": _listed(shapes.value(Note)),
            "sources": _listed(shapes.value(SourceHealth)),
            "last_scrape_utc_seconds": NUMBER,
            "last_scrape_by": OR_TEXT,
            "gpus_released": FLAG,
            "gpus": _listed(gpu),
            "host": host,
            "engines": _listed(shapes.value(EngineView)),
            "totals": _listed(total),
            "windows": _listed(_closed(window)),
            "pending_prices": _listed(shapes.value(PendingPrice)),
            "alerts": _listed(shapes.value(AlertView)),
            "notifiers": _listed(shapes.value(NotifierHealth)),
            "events": _listed(shapes.value(Event)),
        }
    )


def live() -> dict[str, Any]:
    """Return the schema of a tick."""
    rates = _closed(dict.fromkeys(("input", "cached_input", "output", "total"), NUMBER))
    gpu = _closed({"index": {"type": "integer"}, "uuid": TEXT, "power_watts": NUMBER})
    now = _closed({"seconds": {"type": "number"}, "tokens": {"type": "number"}, "cost_per_mtok": NUMBER})
    return _closed(
        {
            "utc_seconds": SECONDS,
            "simulated": FLAG,
            "currency": TEXT,
            "power_watts": {**NUMBER, "description": "of the machine, as far as it is measured"},
            "host_watts": NUMBER,
            "gpu_watts": _listed(gpu),
            "cost_per_hour": {**NUMBER, "description": "full, at the power of this moment"},
            "tokens_per_second": {"anyOf": [rates, {"type": "null"}]},
            "now": {**now, "description": "the last five minutes, or since the agent started"},
            "requests_running": NUMBER,
            "requests_waiting": NUMBER,
            "sources_down": _listed(TEXT),
        }
    )


def history() -> dict[str, Any]:
    """Return the schema of a stretch of the history, by the columns that there are."""
    empty = Series(
        start_utc_seconds=0,
        end_utc_seconds=60,
        width_seconds=60,
        first_utc_seconds=0,
        last_utc_seconds=60,
        rows=(),
    )
    columns = {
        name: _listed(NUMBER) if isinstance(value, list) else {"type": "integer"}
        for name, value in columns_of(empty).items()
    }
    return {
        **_closed(columns),
        "description": "Columns of equal length; null where nothing is known of a span.",
    }


def document() -> dict[str, Any]:
    """Return the OpenAPI document."""
    shapes = Shapes()
    report = shapes.value(Report)
    shape = {"shape": {**TEXT, "const": "evenwatt-report/1"}}
    shapes.schemas["Report"]["properties"] = {**shape, **shapes.schemas["Report"]["properties"]}
    points = _closed({name: _listed(NUMBER) for name in ("utc_seconds", "power_watts", "tokens_per_second")})
    moments = live()
    moments["properties"] |= {"points": {**points, "description": "the last half hour"}}
    moments["required"] = list(moments["properties"])
    shapes.schemas |= {
        "Status": status(shapes),
        "Tick": live(),
        "Live": moments,
        "History": history(),
        "Events": _closed({"events": _listed(shapes.value(Event))}),
        "Error": {**_closed({"error": TEXT}), "description": "What was found, what is expected, what to do."},
    }
    clients = shapes.value(Chargeback)
    window = _parameter("window", "`24h`, `7d`, up to `31d`, or `month`", {**TEXT, "default": "7d"})
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "evenwatt",
            "version": "1",
            "description": (
                "What a million tokens really costs on this machine. Read only. Names carry their units; "
                'null is not known and never 0; "never" is a break-even that is never reached. Every '
                "answer has an ETag and is compressed where the client takes it; fields are added, and "
                "none is taken away."
            ),
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": {
            "/api/v1/status": _path("What the agent sees now", _ref("Status")),
            "/api/v1/live": _path("This tick and the last half hour of power and tokens", _ref("Live")),
            "/api/v1/stream": {
                "get": {
                    "summary": "Each tick as a server-sent event named `tick`, whose data is a Tick",
                    "responses": {"200": {"description": "A stream", "content": {"text/event-stream": {}}}},
                }
            },
            "/api/v1/report": _path("The report on a window, as `evenwatt report --json`", report, window),
            "/api/v1/clients": _path("What each client's tokens cost in a window", clients, window),
            "/api/v1/history": _path(
                "A stretch of the history in at most so many points",
                _ref("History"),
                _parameter("from", "UTC seconds; left out: a day before the end", {"type": "number"}),
                _parameter("to", "UTC seconds; left out: the end of the history", {"type": "number"}),
                _parameter("points", "at most", _whole(10, 2_000, 600)),
            ),
            "/api/v1/events": _path(
                "The latest events, newest first",
                _ref("Events"),
                _parameter("limit", "at most", _whole(1, 500, 100)),
            ),
        },
        "components": {"schemas": dict(sorted(shapes.schemas.items()))},
    }


def _whole(least: int, most: int, default: int) -> dict[str, Any]:
    return {"type": "integer", "minimum": least, "maximum": most, "default": default}


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def _parameter(name: str, description: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "query", "description": description, "schema": dict(schema)}


def _path(summary: str, schema: Mapping[str, Any], *parameters: Mapping[str, Any]) -> dict[str, Any]:
    def answer(description: str, content: Mapping[str, Any]) -> dict[str, Any]:
        return {"description": description, "content": {"application/json": {"schema": dict(content)}}}

    answers = {"200": answer("The answer", schema)}
    if parameters:
        answers |= {
            "400": answer("A parameter means nothing", _ref("Error")),
            "404": answer("The history holds nothing of it", _ref("Error")),
            "503": answer("The history cannot be read now", _ref("Error")),
        }
    else:
        answers["503"] = {"description": "No tick is done yet, or the last one is too old; in words"}
    return {"get": {"summary": summary, "parameters": list(parameters), "responses": answers}}


def main() -> int:
    """Write or check the file; return the exit status."""
    return write_or_check(TARGET, _text, check=parser(__doc__).parse_args().check)


def _text() -> str:
    return json.dumps(document(), indent=1) + "\n"


if __name__ == "__main__":
    sys.exit(main())
