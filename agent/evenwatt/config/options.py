"""Settings given on the command line, laid over those of a file: the same keys, the same words when wrong."""

from collections.abc import Iterable, Sequence
from typing import Any

from msgspec import Struct

from evenwatt.config.document import Document, Unreadable, read_document
from evenwatt.config.faults import Fault, Place
from evenwatt.config.refusals import KeyPath
from evenwatt.errors import OptionError

__all__ = ["Override", "lay_over", "override_of", "rendered_faults"]


class Override(Struct, frozen=True, kw_only=True):
    """One key that an option says, or takes away.

    Attributes:
        option: As it is typed: `--price-per-kwh`.
        path: Of the key.
        value: Text, or lists and mappings of text, as a file would hold them; None: the key, with all that is
            below it, is as if nobody had written it.
    """

    option: str
    path: KeyPath
    value: Any = None


def override_of(option: str, text: str) -> Override:
    """Return what `KEY=VALUE` says, the value written as in a file: `electricity.price_per_kwh=0.31`.

    An empty value takes the key away.

    Raises:
        OptionError: It is not of that form; what the key takes is judged with the settings.
    """
    key, has_value, value = text.partition("=")
    path = tuple(key.strip().split("."))
    if not has_value or not all(path):
        raise OptionError(
            f"{option}: got {text!r}, expected KEY=VALUE, such as electricity.price_per_kwh=0.31"
        )
    try:
        document = read_document(f"value: {value}")
    except Unreadable as error:
        raise OptionError(f"{option} {key.strip()}: {error.fault.text}") from None
    if document.faults:
        raise OptionError("\n".join(f"{option} {key.strip()}: {fault.text}" for fault in document.faults))
    return Override(option=f"{option} {key.strip()}", path=path, value=document.values["value"])


def lay_over(document: Document, overrides: Iterable[Override]) -> None:
    """Write the values of options into what a file says, in their order; an option wins."""
    for override in overrides:
        if override.value is None:
            _remove(document, override.path)
        else:
            _set(document, override.path, override.value)


def rendered_faults(faults: Iterable[Fault], overrides: Sequence[Override], file: str) -> tuple[str, ...]:
    """Return finished lines: those of options name the option, those of the file its line.

    Args:
        faults: What is wrong.
        overrides: The options that were given.
        file: What to call the file.
    """
    in_order = sorted(faults, key=lambda fault: fault.line or 0)
    return tuple(dict.fromkeys(_rendered(fault, overrides, file) for fault in in_order))


def _rendered(fault: Fault, overrides: Sequence[Override], file: str) -> str:
    for override in overrides:
        if override.value is not None and fault.path[: len(override.path)] == override.path:
            return f"{override.option}: {fault.text}"
    if fault.line:
        return fault.rendered(file)
    # What stands nowhere in the file was brought about by the options for its section.
    options = {o.option: None for o in overrides if o.value is not None and o.path[:1] == fault.path[:1]}
    return f"{', '.join(options)}: {fault.text}" if options else fault.rendered(file)


def _set(document: Document, path: KeyPath, value: Any) -> None:
    _remove(document, path)
    values = document.values
    for number, step in enumerate(path[:-1], start=1):
        document.places.setdefault(path[:number], Place(line=0, found="options"))
        if not isinstance(values.get(str(step)), dict):
            values[str(step)] = {}
        values = values[str(step)]
    values[str(path[-1])] = value
    _place(document, path, value)


def _place(document: Document, path: KeyPath, value: Any) -> None:
    if isinstance(value, dict | list):
        document.places[path] = Place(line=0, found="a mapping" if isinstance(value, dict) else "a list")
        entries = value.items() if isinstance(value, dict) else enumerate(value)
        for step, inner in entries:
            _place(document, (*path, step), inner)
    else:
        document.places[path] = Place(line=0, found="text", text=str(value))


def _remove(document: Document, path: KeyPath) -> None:
    values: Any = document.values
    for step in path[:-1]:
        values = values.get(step) if isinstance(values, dict) else None
    if isinstance(values, dict):
        values.pop(path[-1], None)
    for placed in [placed for placed in document.places if placed[: len(path)] == path]:
        del document.places[placed]
    document.faults[:] = [fault for fault in document.faults if fault.path[: len(path)] != path]
