"""How numbers, spans and foreign strings are worded for a person; one wording for every view.

Rounding happens here, for display only. What is not known has no digits: it is `UNKNOWN`.
"""

import math

from evenwatt.units import SECONDS_PER_DAY, SECONDS_PER_HOUR, SECONDS_PER_MINUTE, TOKENS_PER_MTOK

__all__ = [
    "UNKNOWN",
    "WHOLE_RATIO",
    "aligned",
    "clean",
    "duration",
    "harmless",
    "kwh",
    "money",
    "mtok",
    "number",
    "per_mtok",
    "percent",
    "ratio",
    "shortened",
]

UNKNOWN = "-"
"""What stands for a value that is not known."""

WHOLE_RATIO = 0.995
"""A window of which more than this was watched is as good as whole."""

_FORMULA_MARKS = ("=", "+", "-", "@", "\t", "\r")
_LEAST_RATIO = 0.001
_LEAST_MONEY = 0.01
_SIGNIFICANT_DIGITS = 4
_MOST_DECIMALS = 6
_WHOLE_MONEY = 100_000
"""From here on cents say nothing."""


def harmless(text: str) -> str:
    """Return text for a cell that no spreadsheet takes for a formula: engines and clients make names up."""
    return f"'{text}" if text.startswith(_FORMULA_MARKS) else text


def number(value: float | None, digits: int, unit: str = "") -> str:
    """Return a number with thousands separated and so many decimals."""
    return UNKNOWN if value is None else f"{_no_minus_zero(value, digits):,.{digits}f}{unit}"


def percent(value: float | None) -> str:
    """Return a ratio as a percentage."""
    if value is None:
        return UNKNOWN
    return "<0.1%" if 0 < value < _LEAST_RATIO else f"{_no_minus_zero(value, 3):.1%}"


def money(value: float | None) -> str:
    """Return a sum of money with cents; one that is not zero is never shown as zero."""
    if value is None:
        return UNKNOWN
    if 0 < abs(value) < _LEAST_MONEY / 2:
        return "< 0.01" if value > 0 else "> -0.01"
    return number(value, 0 if abs(value) >= _WHOLE_MONEY else 2)


def per_mtok(value: float | None) -> str:
    """Return a price or cost of a million tokens with four significant digits."""
    if value is None:
        return UNKNOWN
    if value == 0:
        return "0"
    if math.isinf(value):
        return "∞"
    least = 10.0**-_MOST_DECIMALS
    if abs(value) < least:
        return f"< {least:.{_MOST_DECIMALS}f}"
    digits = _SIGNIFICANT_DIGITS - 1 - math.floor(math.log10(abs(float(f"{value:.{_SIGNIFICANT_DIGITS}g}"))))
    return number(value, min(max(digits, 0), _MOST_DECIMALS))


def ratio(value: float | None) -> str:
    """Return a quotient of two costs with two decimals, small ones with more."""
    if value is None:
        return UNKNOWN
    return per_mtok(value) if 0 < value < 10 * _LEAST_MONEY else number(value, 2)


def mtok(tokens: float | None) -> str:
    """Return a number of tokens in millions."""
    if tokens is None:
        return UNKNOWN
    millions = tokens / TOKENS_PER_MTOK
    if 0 < millions < _LEAST_MONEY / 2:
        return "< 0.01"
    return number(millions, 2 if millions < 1_000 else 0)  # noqa: PLR2004 -- a thousand needs no decimals


def kwh(value: float | None) -> str:
    """Return energy with two decimals; what is not zero is never shown as zero."""
    if value is not None and 0 < value < _LEAST_MONEY / 2:
        return "< 0.01"
    return number(value, 2)


def duration(seconds: float) -> str:
    """Return a span in its largest unit of which there are at least two."""
    for unit, length in (("d", SECONDS_PER_DAY), ("h", SECONDS_PER_HOUR), ("min", SECONDS_PER_MINUTE)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"


def clean(text: object) -> str:
    """Return text whose control characters, which could steer a terminal, are made visible."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in str(text)
    )


def shortened(text: str, most: int) -> str:
    """Return text of at most so many characters, with an ellipsis in its middle where some are left out.

    Names of models differ at their ends as often as at their beginnings.
    """
    if len(text) <= most:
        return text
    head = most // 2
    return f"{text[:head]}…{text[len(text) - (most - head - 1) :]}"


def aligned(cells: list[str], *, digit: str = " ", point: str = " ") -> list[str]:
    """Return right-aligned cells padded so that their decimal points stand below one another.

    Args:
        cells: Of one column.
        digit: What is as wide as a digit.
        point: What is as wide as the decimal point.
    """
    tails = [_decimals(cell) for cell in cells]
    most = max((tail for tail in tails if tail is not None), default=0)
    return [cell + _padding(tail, most, digit, point) for cell, tail in zip(cells, tails, strict=True)]


def _decimals(cell: str) -> int | None:
    """Return how many decimals a cell has; None where it is no number."""
    digits = cell.rstrip("%")
    return len(digits.partition(".")[2]) if digits[-1:].isdigit() else None


def _padding(tail: int | None, most: int, digit: str, point: str) -> str:
    if tail is None or not most or tail == most:
        return ""
    return digit * (most - tail) + ("" if tail else point)


def _no_minus_zero(value: float, digits: int) -> float:
    """Return the value rounded, and a zero without its sign."""
    return round(value, digits) + 0.0
