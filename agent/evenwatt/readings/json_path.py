"""The way to a value inside a JSON document: keys and indexes, as in `data[0].price`; and what it is."""

import json
import math
import re
from typing import Any

from evenwatt.errors import SourceContractError
from evenwatt.readings.exposition import printable

__all__ = ["finite_number", "parse_json", "quoted", "value_at"]

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


def finite_number(value: Any) -> float | None:
    """Return a finite number, also one that is written as text, as Prometheus and home automation do."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def quoted(value: Any) -> str:
    """Return a value as a fault quotes it: short, and nothing in it that a terminal would obey."""
    return f"'{printable(str(value)[:_SHOWN_CHARACTERS])}'"


def _in_words(value: Any) -> str:
    if isinstance(value, dict):
        names = ", ".join(printable(str(name)) for name in list(value)[:8])
        return f"an object with {names or 'no keys'}"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    return quoted(value)
