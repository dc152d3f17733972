"""Writes docs/api.md from the OpenAPI file, which is made of the code itself; with --check, only compares."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from generated import parser, write_or_check
from openapi import TARGET

DOCUMENT = Path(__file__).parents[1] / "docs" / "api.md"

HEAD = """\
# The JSON API

Every path, answer and field, written by `make docs` from the code. The agent serves the same as OpenAPI at
`/api/v1/openapi.json`. How answers are cached, and what is looked up when: [page.md](page.md#the-json-api).

"""


def main() -> int:
    """Write or check the document; return the exit status."""
    return write_or_check(DOCUMENT, document, check=parser(__doc__).parse_args().check)


def document() -> str:
    """Return the whole document."""
    api = json.loads(TARGET.read_text(encoding="utf-8"))
    parts = [HEAD + api["info"]["description"] + "\n"]
    for path, methods in api["paths"].items():
        parts += [_operation(method.upper(), path, operation) for method, operation in methods.items()]
    parts.append("## Values\n\nWhat answers are made of. *or null*: not known.\n")
    for name, schema in sorted(api["components"]["schemas"].items()):
        parts.append(f"### {name}\n\n{_fields(schema)}")
    return "\n".join(parts)


def _operation(method: str, path: str, operation: Any) -> str:
    text = f"## {method} {path}\n\n{operation['summary']}.\n"
    parameters = [
        (f"`{one['name']}`", _type(one["schema"]), _range(one["schema"]), one.get("description", ""))
        for one in operation.get("parameters", ())
    ]
    if parameters:
        text += f"\n{_table(('parameter', 'type', 'values', 'meaning'), parameters)}"
    answers = [
        (status, _type(_body(answer)), answer["description"])
        for status, answer in operation["responses"].items()
    ]
    return f"{text}\n{_table(('status', 'answer', 'when'), answers)}"


def _body(answer: Any) -> Any:
    """Return the schema of an answer; an empty one where it is words or a stream."""
    return next((content.get("schema", {}) for content in answer.get("content", {}).values()), {})


def _range(schema: Any) -> str:
    limits = [
        f"{word} {schema[key]}" for key, word in (("minimum", "from"), ("maximum", "to")) if key in schema
    ]
    default = [f"default `{schema['default']}`"] if "default" in schema else []
    return ", ".join([" ".join(limits), *default] if limits else default)


def _fields(schema: Any) -> str:
    text = f"{schema['description']}\n\n" if "description" in schema else ""
    rows = [
        (f"`{name}`", _type(one), one.get("description", ""))
        for name, one in schema.get("properties", {}).items()
    ]
    return text + (_table(("field", "type", "meaning"), rows) if rows else f"{_type(schema)}\n")


def _type(schema: Any) -> str:
    """Return a type in words, with links to the values that are described here."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "enum" in schema:
        return ", ".join("null" if value is None else f"`{value}`" for value in schema["enum"])
    if "const" in schema:
        return f"`{schema['const']}`"
    choices = schema.get("anyOf") or schema.get("oneOf")
    if choices:
        return " or ".join(dict.fromkeys(map(_type, choices)))
    named = schema.get("type", "text")
    return " or ".join(_one_type(kind, schema) for kind in ([named] if isinstance(named, str) else named))


def _one_type(kind: str, schema: Any) -> str:
    if kind == "array":
        return f"list of {_type(schema['items'])}" if "items" in schema else "list"
    if kind == "object" and isinstance(schema.get("additionalProperties"), dict):
        return f"mapping to {_type(schema['additionalProperties'])}"
    return {"string": "text", "boolean": "true or false", "integer": "whole number"}.get(kind, kind)


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    return "".join(f"| {' | '.join(_cells(cells))} |\n" for cells in (head, ("---",) * len(head), *rows))


def _cells(cells: tuple[str, ...]) -> Iterator[str]:
    for cell in cells:
        yield " ".join(cell.replace("|", "\\|").split())


if __name__ == "__main__":
    sys.exit(main())
