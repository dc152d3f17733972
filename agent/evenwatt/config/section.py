"""What every section of the configuration is: keys that stand together, what each takes, and their rules.

A section is a struct whose annotations say all of it. `Annotated[T, parser]` is a value that a parser of
`parsers` reads; `tuple[T, ...]`, `Mapping[str, T]` and another section are lists, names of the user's, and
what stands below; a `Rule` beside any of them holds for it as a whole. Why no library does this is told in
docs/decisions/0023.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Self, Union, cast, get_args, get_origin

from msgspec import NODEFAULT, Struct
from msgspec.structs import FieldInfo, fields

from evenwatt.config.refusals import KeyPath, Misfit, Refused, misshapen

__all__ = ["Rule", "Section", "default_of", "keys_of"]

_LONGEST_NAME = 20

Parse = Callable[[Any], Any]
"""From a plain value to what a key holds; raises `Refused`."""


class Rule(Struct, frozen=True):
    """What has to hold for a value that is right in all its parts.

    Attributes:
        faults: From the value to what is wrong, by path below it.
    """

    faults: Callable[[Any], Iterable[tuple[KeyPath, str]]]


class Section(Struct, frozen=True, kw_only=True):
    """Keys that stand together in the file; it never changes, and it takes no key that it does not know.

    Attributes:
        written: The keys that somebody wrote.
    """

    written: frozenset[str] = frozenset()

    @classmethod
    def parsed(cls, values: Any) -> Self:
        """Return the section that a mapping of plain values stands for; a key without a value is not written.

        Raises:
            Refused: Something in it does not fit. Its own rules are judged once all its values are right.
        """
        if not isinstance(values, Mapping):
            raise misshapen("a mapping")
        keys = keys_of(cls)
        unknown = {key: _meant(key, keys) for key in values if key not in keys}
        right: dict[str, Any] = {}
        misfits: list[Misfit] = []
        for key, field in keys.items():
            if values.get(key) is not None:
                try:
                    right[key] = _parser(field.type)(values[key])
                except Refused as refusal:
                    misfits += refusal.below(key)
            elif field.required and key not in unknown.values():  # a key that was meant is not missing
                misfits.append(Misfit(path=(key,), text="missing; this key has to be written here"))
        misfits += (Misfit(path=(key,), text=_unknown(meant, keys)) for key, meant in unknown.items())
        in_doubt = {misfit.path[0] for misfit in misfits}.union(unknown.values(), right)
        known = right | {key: default_of(field) for key, field in keys.items() if key not in in_doubt}
        misfits += _misfits(cls._faults_between(known))
        if not misfits:
            section = cls(written=frozenset(right), **known)
            misfits += _misfits(section._faults())
        if misfits:
            raise Refused(misfits)
        return section

    @classmethod
    def _faults_between(cls, right: Mapping[str, Any]) -> Iterable[tuple[KeyPath, str]]:
        """Yield what cannot hold together, whatever is wrong with other keys.

        Args:
            right: The values that are right by themselves, what holds without a key included.
        """
        del right
        return ()

    def _faults(self) -> Iterable[tuple[KeyPath, str]]:
        """Yield what cannot hold together."""
        return ()


@cache
def keys_of(section: type[Section]) -> Mapping[str, FieldInfo]:
    """Return the keys of a section, in their order."""
    return {field.name: field for field in fields(section) if field.name not in Section.__struct_fields__}


def default_of(key: FieldInfo) -> Any:
    """Return what holds where a key is not written; None for one that has to be."""
    if key.default_factory is not NODEFAULT:
        return key.default_factory()
    return None if key.required else key.default


def _misfits(faults: Iterable[tuple[KeyPath, str]]) -> Iterator[Misfit]:
    return (Misfit(path=path, text=text) for path, text in faults)


def _meant(unknown: str, keys: Iterable[str]) -> str | None:
    return next(iter(get_close_matches(unknown, keys, n=1)), None)


def _unknown(meant: str | None, keys: Iterable[str]) -> str:
    return f"unknown key; did you mean {meant}?" if meant else f"unknown key; known here: {', '.join(keys)}"


# --- what an annotation takes -------------------------------------------------------------------------------


@cache
def _parser(annotation: Any) -> Parse:
    kind, parts = get_origin(annotation), get_args(annotation)
    if kind is Annotated:
        inner, *marks = parts
        rules = [mark for mark in marks if isinstance(mark, Rule)]
        parsers = [mark for mark in marks if not isinstance(mark, Rule)]
        return _ruled(parsers[0] if parsers else _parser(inner), rules)
    if kind in {Union, UnionType}:
        (inner,) = (part for part in parts if part is not NoneType)
        return _parser(inner)
    if kind is tuple:
        return _list_of(_parser(parts[0]))
    if kind is Mapping:
        return _names_to(_parser(parts[0]), _parser(parts[1]))
    return str if annotation is str else cast("type[Section]", annotation).parsed


def _ruled(parse: Parse, rules: Sequence[Rule]) -> Parse:
    def parse_and_judge(value: Any) -> Any:
        parsed = parse(value)
        misfits = [misfit for rule in rules for misfit in _misfits(rule.faults(parsed))]
        if misfits:
            raise Refused(misfits)
        return parsed

    return parse_and_judge if rules else parse


def _list_of(parse: Parse) -> Parse:
    def parse_list(values: Any) -> tuple[Any, ...]:
        if not isinstance(values, list | tuple):
            raise misshapen("a list")
        parsed: list[Any] = []
        misfits: list[Misfit] = []
        for index, value in enumerate(values):
            try:
                parsed.append(parse(value))
            except Refused as refusal:
                misfits += refusal.below(index)
        if misfits:
            raise Refused(misfits)
        return tuple(parsed)

    return parse_list


def _names_to(parse_name: Parse, parse: Parse) -> Parse:
    def parse_mapping(values: Any) -> Mapping[str, Any]:
        if not isinstance(values, Mapping):
            raise misshapen("a mapping")
        parsed: dict[str, Any] = {}
        misfits: list[Misfit] = []
        for name, value in values.items():
            try:
                parse_name(name)
            except Refused as refusal:
                misfits += (_misnamed(name, misfit) for misfit in refusal.misfits)
                continue  # a fault below it would show all of the name
            try:
                parsed[name] = parse(value)
            except Refused as refusal:
                misfits += refusal.below(name)
        if misfits:
            raise Refused(misfits)
        return parsed

    return parse_mapping


def _misnamed(name: str, misfit: Misfit) -> Misfit:
    """Return what a name that was refused is told as: in part, for a password may stand behind its colon."""
    begin = name.partition(":")[0][:_LONGEST_NAME]
    return Misfit(text=f"got a name that begins with {begin!r}, expected {misfit.text}")
