"""Writes docs/configuration-keys.md from the sections of the configuration; with --check, only compares.

A key's meaning and unit stand in the docstring of its section, as `key (unit): Meaning.`; its last sentence
says what holds without the key where a value cannot, as `None: ...` or `Default: ...`. All else is read off
the code, and the example out of config.example.yaml.
"""

import inspect
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, get_args, get_origin

import yaml
from generated import parser, write_or_check
from msgspec.structs import FieldInfo

from evenwatt.config import Settings
from evenwatt.config.section import Section, default_of, keys_of

_ROOT = Path(__file__).parents[1]
DOCUMENT = _ROOT / "docs" / "configuration-keys.md"
EXAMPLE = _ROOT / "config.example.yaml"

HEAD = """\
# Configuration keys

Every key, written by `make docs` from the code. What belongs together, and why:
[configuration.md](configuration.md).

* `[]` stands for each entry of a list, `*` for a pattern of your own. A key that is *required* is so where
  what it stands in is written.
* **unit or type**: money is in `currency` but for USD. A *word* is one of those that the meaning names; a
  *secret* may be `credential:NAME`; *time* is a number with `s`, `m`, `h` or `d`.
* **default**: what holds where the key is not written.
* **example**: out of [config.example.yaml](../config.example.yaml), a whole file with all keys.
"""

_ENTRY = re.compile(r"^(\w+)(?: \(([^)]+)\))?: (.*?)(?=^\w+(?: \([^)]+\))?: |\Z)", re.DOTALL | re.MULTILINE)
_OTHERWISE = re.compile(r"(?:^| )(?:None|Default): (.+?)\.$")
_SETTING = re.compile(r"#(?! \S)(?=.)")
"""How a line of the example begins that is a setting once its `#` is gone: prose has one space after it."""

_TIMES = ((86_400, "d"), (3_600, "h"), (60, "m"), (1, "s"))
_NAMED_BY_USERS = {"models"}
BAR = "\\|"


class Key(NamedTuple):
    """A key that holds a value, as it is written from the top of the file."""

    path: str
    field: FieldInfo
    unit: str
    meaning: str


def main() -> int:
    """Write or check the document; return the exit status."""
    return write_or_check(DOCUMENT, document, check=parser(__doc__).parse_args().check)


def document() -> str:
    """Return the whole document."""
    keys = list(_keys(Settings, ""))
    examples = _examples({key.path for key in keys})
    alone = [key for key in keys if key.path.isidentifier()]
    parts = [HEAD, f"## Of the whole file\n\n{_table(alone, examples)}"]
    for name, field in keys_of(Settings).items():
        below = [key for key in keys if re.match(rf"{name}[.\[]", key.path)]
        if below:
            (section, _), *_ = _sections_in(field.type, "")
            parts.append(f"## {name}\n\n{_summary(section)}\n\n{_table(below, examples)}")
    return "\n".join(parts)


def _keys(section: type[Section], prefix: str) -> Iterator[Key]:
    described = _described(section)
    if unknown := described.keys() - keys_of(section).keys():
        sys.exit(
            f"scripts/config_docs.py: {section.__name__} describes {', '.join(unknown)}, which it has not"
        )
    for name, field in keys_of(section).items():
        inner = list(_sections_in(field.type, ""))
        if not inner:
            if name not in described:
                sys.exit(
                    f"scripts/config_docs.py: the docstring of {section.__name__} has to describe {name}"
                )
            yield Key(prefix + name, field, *described[name])
        for below, marker in inner:
            yield from _keys(below, f"{prefix}{name}{marker}.")


def _sections_in(annotation: Any, marker: str) -> Iterator[tuple[type[Section], str]]:
    """Yield the sections that a field holds, with what stands for their place in it."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        yield annotation, marker
    below = {tuple: "[]", Mapping: ".*"}.get(get_origin(annotation), marker)
    for part in get_args(annotation):
        yield from _sections_in(part, below)


def _described(section: type[Section]) -> dict[str, tuple[str, str]]:
    """Return unit and meaning by key, as the docstring has them."""
    _, _, attributes = inspect.cleandoc(section.__doc__ or "").partition("\n\nAttributes:\n")
    text = inspect.cleandoc(f"\n{attributes}")
    return {
        name: (unit or _type(keys_of(section).get(name)), " ".join(meaning.split()))
        for name, unit, meaning in _ENTRY.findall(text)
    }


def _type(field: FieldInfo | None) -> str:
    """Return what a key without a unit takes: one of some words, or any text."""
    return "word" if field is not None and "Literal" in str(field.type) else "text"


def _summary(section: type[Section]) -> str:
    return inspect.cleandoc(section.__doc__ or "").partition("\n\nAttributes:")[0].replace("\n\n", " ")


def _table(keys: Iterable[Key], examples: Mapping[str, str]) -> str:
    head = "| key | unit or type | default | meaning | example |\n| --- | --- | --- | --- | --- |\n"
    rows = (
        (f"`{key.path}`", key.unit, _default(key), _meaning(key), f"`{examples[key.path]}`") for key in keys
    )
    return head + "".join(f"| {' | '.join(cell.replace('|', BAR) for cell in row)} |\n" for row in rows)


def _meaning(key: Key) -> str:
    return _OTHERWISE.sub("", key.meaning).removesuffix(".")


def _default(key: Key) -> str:
    """Return what holds without the key: in words where the docstring has some, else the value."""
    if key.field.required:
        return "required"
    if otherwise := _OTHERWISE.search(key.meaning):
        return otherwise[1]
    value = default_of(key.field)
    return "none" if value is None else f"`{_written(value, key.unit)}`"


def _written(value: Any, unit: str) -> str:
    """Return a value as a person writes it into the file."""
    if isinstance(value, bool):
        return str(value).lower()
    if unit == "time":
        seconds, letter = next((seconds, letter) for seconds, letter in _TIMES if value % seconds == 0)
        return f"{value / seconds:g}{letter}"
    if isinstance(value, int | float):
        return f"{value:g}"
    if isinstance(value, tuple):
        return f"[{', '.join(_written(part, unit) for part in value)}]"
    return str(getattr(value, "label", value))


class _Texts(yaml.SafeLoader):
    """Reads every single value as it is written, with its quotes; dates and numbers too."""

    yaml_implicit_resolvers: ClassVar[dict[str, Any]] = {}


_Texts.add_constructor(
    "tag:yaml.org,2002:str", lambda _, node: f'"{node.value}"' if node.style == '"' else node.value
)


def _examples(keys: AbstractSet[str]) -> dict[str, str]:
    """Return the first value of each key in the example, as it is written there."""
    found: dict[str, str] = {}
    for block in re.split(r"\n(?!#(?! \S))", EXAMPLE.read_text(encoding="utf-8")):
        lines = [line[1:] for line in block.splitlines() if _SETTING.match(line)]
        for path, value in _values(yaml.load("\n".join(lines), _Texts), "", keys):
            found.setdefault(path, value)
    return found


def _values(value: Any, path: str, keys: AbstractSet[str]) -> Iterator[tuple[str, str]]:
    """Yield the keys below a place of the example, with what they hold."""
    if path in keys:
        yield path, _flow(value)
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield from _values(inner, f"{path}.{'*' if path in _NAMED_BY_USERS else name}".lstrip("."), keys)
    elif isinstance(value, list):
        for entry in value:
            yield from _values(entry, f"{path}[]", keys)


def _flow(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_flow, value))}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_flow(inner)}" for key, inner in value.items()) + "}"
    return str(value)


if __name__ == "__main__":
    sys.exit(main())
