"""YAML text as plain values, with the place of each: mappings, lists and text, and nothing else.

Every single value is text, or None where the file has none: what `0.30`, `on` or `2025-01-15` mean is for
their key to say, not for YAML to guess. Anchors and aliases work, within a bound; merge keys and tags do not.
"""

import os
import re
from typing import Any

import yaml
from msgspec import Struct, field
from yaml.reader import ReaderError

from evenwatt.config.faults import Fault, Place
from evenwatt.config.refusals import KeyPath

__all__ = ["Document", "Unreadable", "read_document"]

_MOST_VALUES = 20_000
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_TAGS = frozenset(
    f"tag:yaml.org,2002:{kind}"
    for kind in ("bool", "float", "int", "map", "merge", "null", "seq", "str", "timestamp", "value")
)
"""What YAML guesses by itself; any other tag was written."""

_ENVIRONMENT = re.compile(r"\$?\$\{([^}]*)\}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

_SYNTAX = {
    r"'\t'": "a tab where YAML allows none; indent with spaces",
    "another document": "a second document begins here; keep one, without a line of ---",
    "undefined alias": "an alias (*) without its anchor (&); put text that begins with * in quotes",
    "duplicate anchor": "an anchor (&) for the second time; put text that begins with & in quotes",
    "tag handle": "a YAML tag (!) of unknown kind; put text that begins with ! in quotes",
    "but got '{'": "a brace that cannot stand here; inside braces, put ${NAME} in quotes",
    "mapping values are not allowed": "a colon that cannot stand here; check the indentation and the quotes",
    "could not find expected ':'": "a key without its colon, or a colon without the space after it",
}
"""What problems of the parser mean, by a part of its words: those that people run into most, and those that
repeat a name from the file, which may be a secret that somebody forgot to quote."""


class Unreadable(Exception):
    """The text is not a document, so nothing more can be said about it.

    Attributes:
        fault: Why.
    """

    def __init__(self, text: str, line: int | None = None) -> None:
        super().__init__(text)
        self.fault = Fault(text=text, line=line)


class Document(Struct):
    """What a file says.

    Attributes:
        values: Mappings, lists, text and None, as they stand in the file; empty where it says nothing.
        places: Where each value stands, by its path; the file itself is the empty path.
        faults: What is wrong with single values as far as the text tells.
    """

    values: dict[str, Any] = field(default_factory=dict)
    places: dict[KeyPath, Place] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)


def read_document(text: str) -> Document:
    """Return what a YAML text says.

    Raises:
        Unreadable: It is no YAML, no mapping, nested too deeply, or too much.
    """
    try:
        root = yaml.compose(text, Loader=_Loader)
        return _Unfolding().of(root)
    except yaml.MarkedYAMLError as error:
        raise Unreadable(_syntax_in_words(error), _line_of(error)) from None
    except ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise Unreadable(f"a character that no YAML may hold (U+{error.character:04X})", line) from None
    except RecursionError:
        raise Unreadable(
            "nested too deeply, or an alias that holds itself; the keys here need four levels"
        ) from None
    except (ValueError, OverflowError):
        # The scanner itself does not check the range of \U and of the version in %YAML.
        raise Unreadable("not valid YAML: a number out of range in an escape or in a directive") from None


class _Loader(yaml.SafeLoader):
    """Stops where a text holds too much, before it is in memory as nodes."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._nodes = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        self._nodes += 1
        if self._nodes > _MOST_VALUES:
            raise _too_much(self.line + 1)
        return super().compose_node(parent, index)


def _too_much(line: int) -> Unreadable:
    return Unreadable(f"more than {_MOST_VALUES:,} values, aliases counted where they are used", line)


def _syntax_in_words(error: yaml.MarkedYAMLError) -> str:
    problem = f"{error.context or ''} {error.problem or ''}"
    for part, words in _SYNTAX.items():
        if part in problem:
            return words
    return f"not valid YAML ({problem.strip()}); check indentation, brackets and quotes"


def _line_of(error: yaml.MarkedYAMLError) -> int | None:
    mark = error.problem_mark or error.context_mark
    return mark.line + 1 if mark else None


class _Unfolding:
    """Turns the nodes of one text into a document; what an alias holds is counted at each use."""

    def __init__(self) -> None:
        self._document = Document()

    def of(self, root: yaml.Node | None) -> Document:
        line = 1 if root is None else root.start_mark.line + 1
        values = None if root is None else self._value(root, (), line)
        if isinstance(values, dict):
            self._document.values = values
        elif values is not None:
            found = self._document.places[()].found
            raise Unreadable(f"got {found}, expected keys with values, such as month_hours: 730", line)
        self._document.places.setdefault((), Place(line=1, found="nothing"))
        return self._document

    def _value(self, node: yaml.Node, path: KeyPath, line: int) -> Any:
        places = self._document.places
        if len(places) >= _MOST_VALUES:
            raise _too_much(line)
        if node.tag not in _TAGS:
            self._fault("a YAML tag (!), which nothing here uses; write the value alone", path, line)
        if isinstance(node, yaml.ScalarNode):
            return self._text(node, path, line)
        if isinstance(node, yaml.MappingNode):
            places[path] = Place(line=line, found="a mapping")
            return self._mapping(node, path)
        places[path] = Place(line=line, found="a list")
        return [
            self._value(entry, (*path, index), entry.start_mark.line + 1)
            for index, entry in enumerate(node.value)
        ]

    def _text(self, node: yaml.ScalarNode, path: KeyPath, line: int) -> str | None:
        is_plain = node.style is None
        if is_plain and node.value in _NULLS:
            self._document.places[path] = Place(line=line, found="nothing")
            return None
        shown = node.value if is_plain and node.value.isprintable() else repr(node.value)
        self._document.places[path] = Place(line=line, found="text", text=shown)
        return self._with_environment(node.value, path, line)

    def _mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                self._fault("a key that is a list or a mapping; expected a name", path, line)
                continue
            below = (*path, key_node.value)
            if key_node.value in values:
                first = self._document.places[below].line
                self._fault(f"written twice, first on line {first}; keep one", below, line)
            values[key_node.value] = self._value(value_node, below, line)
        return values

    def _with_environment(self, text: str, path: KeyPath, line: int) -> str:
        def variable(match: re.Match[str]) -> str:
            if match[0].startswith("$$"):
                return match[0][1:]
            if not _VARIABLE.fullmatch(match[1]):
                self._fault(
                    f"{match[0]!r} names no environment variable; $${{ stands for ${{ itself", path, line
                )
            elif match[1] not in os.environ:
                self._fault(
                    f"environment variable {match[1]} is not set; set it, or write the value here", path, line
                )
            return os.environ.get(match[1], match[0])

        return _ENVIRONMENT.sub(variable, text)

    def _fault(self, text: str, path: KeyPath, line: int) -> None:
        self._document.faults.append(Fault(text=text, path=path, line=line))
