"""What the tests of the configuration share: text in, settings or faults out; the keys of the schema."""

from collections.abc import Iterator, Mapping
from textwrap import dedent
from typing import get_args, get_origin

import pytest
from msgspec.structs import FieldInfo

from evenwatt.config import Settings, parse_settings
from evenwatt.config.section import Section, keys_of
from evenwatt.errors import ConfigError


def settings_of(text: str) -> Settings:
    """Return the settings that a YAML text stands for."""
    return parse_settings(dedent(text).encode(), "config.yaml")


def faults_in(text: str | bytes) -> list[str]:
    """Return the lines that tell what is wrong with a text, without the name of the file."""
    content = dedent(text).encode() if isinstance(text, str) else text
    with pytest.raises(ConfigError) as error:
        parse_settings(content, "config.yaml")
    return [fault.removeprefix("config.yaml:").strip() for fault in error.value.faults]


def fields_of(section: type[Section] = Settings, prefix: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """Yield every key that holds a value, dotted: `[]` for entries of a list, `*` for names of the user's."""
    for key, field in keys_of(section).items():
        inner = list(_sections_in(field.type, ""))
        if not inner:
            yield prefix + key, field
        for marker, below in inner:
            yield from fields_of(below, f"{prefix}{key}{marker}.")


def _sections_in(annotation, marker) -> Iterator[tuple[str, type[Section]]]:
    if isinstance(annotation, type) and issubclass(annotation, Section):
        yield marker, annotation
    origin = get_origin(annotation)
    below = {tuple: "[]", Mapping: ".*"}.get(origin, marker)
    for part in get_args(annotation):
        yield from _sections_in(part, below)
