"""What the schema refuses, in words for the person who wrote it; no word of the validator reaches him."""

import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from evenwatt.config.faults import Fault, Place
from evenwatt.config.refusals import EXPECTED, REFUSED
from evenwatt.config.schema import Settings
from evenwatt.config.section import KeyPath, section_at

__all__ = ["faults_of"]

_LONGEST_SHOWN = 60
_CREDENTIALS_IN_URL = re.compile(r"(?<=://).*(?=@)|(?<=\?).+")

_SHAPES = {"dict_type": "a mapping", "model_type": "a mapping", "tuple_type": "a list"}
"""What is expected, by the validator's type of error, where no single value is."""

_CONSEQUENCE = "default_factory_not_called"
"""The type of error of a default that depends on a value which is itself at fault."""


def faults_of(error: ValidationError, places: Mapping[KeyPath, Place]) -> Iterator[Fault]:
    """Yield every fault behind a refusal by the schema.

    Args:
        error: The refusal.
        places: Where the values stand that were refused; what the file lacks is placed at its section.
    """
    refusals = error.errors(include_url=False, include_input=False)
    misspelt = {_nearest(details["loc"]) for details in refusals if details["type"] == "extra_forbidden"}
    for details in refusals:
        for path, text in _texts(details, places):
            # A key that was meant is not missing.
            if not (details["type"] == "missing" and path in misspelt):
                yield Fault(line=_line(path, places), path=path, text=text)


def _texts(details: ErrorDetails, places: Mapping[KeyPath, Place]) -> Iterator[tuple[KeyPath, str]]:
    path, kind, context = details["loc"], details["type"], details.get("ctx", {})
    if kind == REFUSED:
        for below, text in context["faults"].items():
            yield (*path, *below), text
    elif kind == "extra_forbidden":
        yield path, _unknown_key(path)
    elif kind == "missing":
        yield path, "missing; this key has to be written here"
    elif kind == EXPECTED and context["secret"]:
        yield path, f"expected {context['expected']} (what was found is not shown: it is a secret)"
    elif kind == EXPECTED:
        yield path, f"got {_shown(places[path])}, expected {context['expected']}"
    elif kind != _CONSEQUENCE:
        yield path, f"got {places[path].found}, expected {_SHAPES.get(kind, 'something else')}"


def _line(path: KeyPath, places: Mapping[KeyPath, Place]) -> int:
    while path not in places:
        path = path[:-1]
    return places[path].line


def _shown(place: Place) -> str:
    if place.text is None:
        return place.found
    text = _CREDENTIALS_IN_URL.sub("<secret>", place.text) if "://" in place.text else place.text
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}..."


def _unknown_key(path: KeyPath) -> str:
    nearest = _nearest(path)
    if nearest:
        return f"unknown key; did you mean {nearest[-1]}?"
    return f"unknown key; known here: {', '.join(section_at(Settings, path[:-1]).model_fields)}"


def _nearest(path: KeyPath) -> KeyPath | None:
    """Return the path of the known key that an unknown one looks like."""
    known = section_at(Settings, path[:-1]).model_fields
    matches = get_close_matches(str(path[-1]), known, n=1)
    return (*path[:-1], *matches) if matches else None
