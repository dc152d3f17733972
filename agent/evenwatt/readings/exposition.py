"""Picks the wanted samples out of a page of Prometheus text (version 0.0.4) or OpenMetrics text.

Only the lines of the wanted names are looked at: an engine's page has thousands of others, and a parser of
everything takes some fifty times as long. A wanted line must be right to the last character; the others may
be anything. A sample is known by its name on the line, never by the family that declares it: of one and the
same counter an OpenMetrics page declares `x` and a text page `x_total`.
"""

import functools
import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from evenwatt.errors import SourceContractError

__all__ = [
    "LARGEST_COUNT",
    "Sample",
    "bounded_text",
    "checked_page",
    "parse_samples",
    "printable",
    "token_count",
    "whole_gauge",
]

_SHOWN_CHARACTERS = 120
_TEXT_CHARACTERS = 256
_DIGEST_CHARACTERS = 16

LARGEST_COUNT = 2.0**53
"""Where the numbers of a page cease to be exact."""

_QUOTED = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_SAMPLE = re.compile(
    rb"([a-zA-Z_:][\w:]*+)[ \t]*+"
    rb'(?:\{([^"}]*+(?:' + _QUOTED + rb'[^"}]*+)*+)\}[ \t]*+|(?<=[ \t]))'
    rb"([^\s_#]++)"
    rb"(?:[ \t]++[-+.\deE]++)?+"  # a timestamp
    rb"[ \t]*+(?:#.*+)?\r?"  # an exemplar
)
_LABEL = re.compile(rb"[ \t]*+([a-zA-Z_]\w*+)[ \t]*+=[ \t]*+(" + _QUOTED + rb")[ \t]*+(?:,[ \t]*+|$)")
_ESCAPE = re.compile(r'\\([\\n"])')


class Sample(NamedTuple):
    """One line of a page: a series and its value, which may be NaN or infinite."""

    name: str
    labels: Mapping[str, str]
    value: float


def checked_page(body: bytes) -> bytes:
    """Return the page that a body holds, taken out of a JSON string where it comes in one.

    Builds of llama.cpp from before 2025-11-28 send such a string (its issue 17384).

    Raises:
        SourceContractError: It is not a page of metrics, or its end is missing: a number that is cut short
            would look like a counter that began anew.
    """
    page = body.lstrip()
    if page.startswith(b'"'):
        page = _unquoted(page).lstrip()
    if not page:
        raise SourceContractError("the page is empty; expected Prometheus metrics")
    first = page[: page.find(b"\n")] if b"\n" in page else page
    if not first.startswith(b"#") and not _SAMPLE.fullmatch(first.rstrip()):
        raise SourceContractError(
            f"the page begins with '{printable(first)}'; expected Prometheus metrics. "
            "Is this the address of the engine itself?"
        )
    if not page.endswith((b"\n", b"\n# EOF")):
        last = page[page.rfind(b"\n") + 1 :]
        raise SourceContractError(
            f"the page is cut short: it ends in '{printable(last)}' without a line end. "
            "It is read again at the next tick"
        )
    return page


def parse_samples(page: bytes, wanted: frozenset[str]) -> tuple[Sample, ...]:
    """Return the samples of exactly the wanted names, in the order of a checked page.

    Label values come back unescaped; what is not UTF-8 in them is replaced.

    Raises:
        SourceContractError: A wanted line cannot be read, or a wanted series is listed twice.
    """
    if not wanted:
        return ()
    lines = b"\n" + page
    samples = []
    seen = set()
    for found in _wanted_lines(wanted).finditer(lines):
        match = _SAMPLE.fullmatch(found[1])
        sample = None if match is None else _sample(match)
        if match is None or sample is None:
            raise _line_error(lines, found, 'expected `name{label="value"} number`')
        if match.group(1, 2) in seen:
            raise _line_error(lines, found, "the page lists this series twice, so its value is not known")
        seen.add(match.group(1, 2))
        samples.append(sample)
    return tuple(samples)


def token_count(sample: Sample) -> int:
    """Return the value of a counter of whole things.

    Raises:
        SourceContractError: The value is not a whole number from 0 up to 2**53, where a page's numbers cease
            to be exact.
    """
    if not (0 <= sample.value <= LARGEST_COUNT and sample.value.is_integer()):
        raise SourceContractError(
            f"counter {sample.name} is {sample.value}; expected a whole number from 0 up. "
            "The engine's page is wrong, and nothing of it is counted"
        )
    return int(sample.value)


def whole_gauge(samples: Iterable[Sample]) -> int | None:
    """Return the sum of a gauge of whole things over its series; None where it is absent or no count."""
    values = [sample.value for sample in samples]
    if not values or not all(0 <= value <= LARGEST_COUNT for value in values):
        return None
    return int(sum(values))


def bounded_text(text: str) -> str:
    """Return a name that an engine gave as one that can be stored: at most 256 characters of valid Unicode.

    A longer name ends in a digest of the whole, so that two of them stay two.
    """
    text = text.encode("utf-8", "replace").decode("utf-8")
    if len(text) <= _TEXT_CHARACTERS:
        return text
    digest = hashlib.sha256(text.encode()).hexdigest()[:_DIGEST_CHARACTERS]
    return f"{text[: _TEXT_CHARACTERS - _DIGEST_CHARACTERS - 1]}~{digest}"


def printable(raw: bytes | str) -> str:
    """Return the beginning of foreign text as one line of 120 characters at most, controls escaped."""
    if isinstance(raw, str):
        raw = raw.encode("utf-8", "backslashreplace")  # JSON may escape half a character, which is no text
    text = raw[: 4 * _SHOWN_CHARACTERS].decode("utf-8", "backslashreplace")
    shown = "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode("ascii")
        for character in text[:_SHOWN_CHARACTERS]
    )
    is_cut = len(shown) > _SHOWN_CHARACTERS or len(text) > _SHOWN_CHARACTERS
    return f"{shown[: _SHOWN_CHARACTERS - 1]}…" if is_cut else shown


@functools.lru_cache(maxsize=16)
def _wanted_lines(wanted: frozenset[str]) -> re.Pattern[bytes]:
    # The pattern begins with a literal newline, not with `^`: the search then skips from line to line.
    names = "|".join(re.escape(name) for name in sorted(wanted)).encode()
    return re.compile(rb"\n[ \t]*+((?:" + names + rb")(?![\w:])[^\n]*+)")


def _unquoted(page: bytes) -> bytes:
    try:
        text = json.loads(page)
    except ValueError as exc:
        raise SourceContractError(
            f"the page is '{printable(page)}', a JSON string that cannot be read; expected Prometheus metrics"
        ) from exc
    return str(text).encode("utf-8", "replace")


def _sample(match: re.Match[bytes]) -> Sample | None:
    """Return the sample of a line of the right shape; None where its labels or its number are malformed."""
    labels = _labels(match[2] or b"")
    try:
        value = float(match[3])
    except ValueError:
        return None
    return None if labels is None else Sample(match[1].decode("ascii"), labels, value)


def _labels(text: bytes) -> dict[str, str] | None:
    labels = {}
    position = len(text) - len(text.lstrip(b" \t"))
    while position < len(text):
        match = _LABEL.match(text, position)
        if match is None:
            return None
        labels[match[1].decode("ascii")] = _unescaped(match[2][1:-1].decode("utf-8", "replace"))
        position = match.end()
    return labels


def _unescaped(value: str) -> str:
    if "\\" not in value:
        return value
    return _ESCAPE.sub(lambda match: "\n" if match[1] == "n" else match[1], value)


def _line_error(lines: bytes, found: re.Match[bytes], fault: str) -> SourceContractError:
    number = lines.count(b"\n", 0, found.start(1))
    return SourceContractError(
        f"line {number} of the page is '{printable(found[1])}'; {fault}. "
        "Does something rewrite the page on its way?"
    )
