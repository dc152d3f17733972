"""The way to a value inside a JSON document: keys and indexes, as in `data[0].price`."""

import json
import re
from typing import Any

from evenwatt.errors import SourceContractError
from evenwatt.readings.exposition import printable

__all__ = ["parse_json", "value_at"]

_STEP = re.compile(r"\[(\d+)\]|([^.\[\]]+)")
_SHOWN_CHARACTERS = 80


def parse_json(body: bytes, shown: str) -> Any:
    """Return the document that a body is.

    Args:
        body: As it came.
        shown: What to call its place in a fault.

    Raises:
        SourceContractError: It is no JSON, or nested beyond sense.
    """
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        found = printable(body[:_SHOWN_CHARACTERS])
        raise SourceContractError(f"{shown} is no JSON: found '{found}'; see the address") from error


def value_at(document: Any, path: str, shown: str) -> Any:
    """Return the value at a path.

    Args:
        document: What `parse_json` gave, or a part of it.
        path: Keys divided by dots, and indexes from 0 in brackets.
        shown: What to call the document in a fault.

    Raises:
        SourceContractError: There is nothing at the path.
    """
    value = document
    for index, key in _STEP.findall(path):
        try:
            value = value[int(index)] if index and isinstance(value, list) else value[key]
        except (KeyError, IndexError, TypeError) as error:
            step = f"[{index}]" if index else key
            raise SourceContractError(
                f"{shown} has nothing at {path}: {step} is not in {_in_words(value)}; see the path"
            ) from error
    return value


def _in_words(value: Any) -> str:
    if isinstance(value, dict):
        names = ", ".join(printable(str(name)) for name in list(value)[:8])
        return f"an object with {names or 'no keys'}"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    return f"'{printable(str(value)[:_SHOWN_CHARACTERS])}'"
