"""How numbers read: rounded for display only, nothing shown as zero that is not, no minus before a zero."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evenwatt.sinks.words import (
    UNKNOWN,
    aligned,
    clean,
    duration,
    money,
    mtok,
    number,
    per_mtok,
    percent,
    ratio,
    shortened,
)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (4.5, "4.500"),
        (0.2625, "0.2625"),
        (15.209, "15.21"),
        (1234.5, "1,234"),
        (123456.7, "123,457"),
        (9.99996, "10.00"),
        (0.0123456, "0.01235"),
        (0.0000123, "0.000012"),
        (0.00000001, "< 0.000001"),
        (0.0, "0"),
        (math.inf, "∞"),
        (None, UNKNOWN),
    ],
)
def test_cost_per_mtok_has_four_significant_digits(value, words):
    """A cost of a million tokens is as exact at 15 as at 0.2, and never shown as zero when it is not."""
    assert words == per_mtok(value)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (335.25, "335.25"),
        (1234567.89, "1,234,568"),
        (0.0, "0.00"),
        (-0.0, "0.00"),
        (0.004, "< 0.01"),
        (0.005, "0.01"),
        (-0.004, "> -0.01"),
        (-185.25, "-185.25"),
        (None, UNKNOWN),
    ],
)
def test_money_has_cents(value, words):
    """Money has two decimals; less than a cent says so."""
    assert words == money(value)


@pytest.mark.parametrize(
    ("value", "words"), [(0.293, "29.3%"), (0.0, "0.0%"), (0.0004, "<0.1%"), (1.0, "100.0%"), (None, UNKNOWN)]
)
def test_percent_of_little_is_not_zero(value, words):
    """A share that is not zero is not shown as zero."""
    assert words == percent(value)


@pytest.mark.parametrize(
    ("value", "words"), [(2.736, "2.74"), (0.0123, "0.01230"), (0.0, "0.00"), (None, "-")]
)
def test_ratio_keeps_digits_when_small(value, words):
    """A quotient has two decimals; a small one has as many as tell it from zero."""
    assert words == ratio(value)


@pytest.mark.parametrize(
    ("tokens", "words"),
    [(500e6, "500.00"), (12_345e6, "12,345"), (900, "< 0.01"), (0, "0.00"), (None, UNKNOWN)],
)
def test_tokens_in_millions(tokens, words):
    """Tokens are shown in millions; a few are not shown as none."""
    assert words == mtok(tokens)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(30, "30 s"), (150, "2 min"), (7_200, "2 h"), (86_400, "24 h"), (31 * 86_400, "31 d")],
)
def test_duration_has_at_least_two_of_its_unit(seconds, words):
    """A span is told in the largest unit that it holds twice."""
    assert words == duration(seconds)


@given(st.floats(allow_nan=False, allow_infinity=False, width=32))
def test_no_number_is_minus_zero(value):
    """No wording of any number is a zero with a minus before it."""
    told = [number(value, 2), money(value), per_mtok(value), percent(value), mtok(abs(value))]

    assert not [words for words in told if words.lstrip("<> ") in {"-0", "-0.0", "-0.00", "-0.000", "-0.0%"}]


def test_decimal_points_stand_below_one_another():
    """Cells are padded to the same number of decimals; what is no number is not."""
    assert aligned(["15.21", "1.000", "3", "never", "-"]) == ["15.21 ", "1.000", "3    ", "never", "-"]


def test_percentages_are_aligned_by_their_decimals():
    """The sign at the end does not count as a decimal."""
    assert aligned(["1.0%", "100.0%", "<0.1%"]) == ["1.0%", "100.0%", "<0.1%"]


@pytest.mark.parametrize("text", ["\x1b[31m", "a\nb", "\u202eabc", "\x9b", "\r"])
def test_control_characters_are_made_visible(text):
    """What could steer a terminal or turn text around is written out."""
    assert clean(text).isprintable()
    assert clean(text) != text


def test_a_long_name_keeps_both_of_its_ends():
    """Models of one family differ at the ends of their names."""
    assert shortened("provider:meta-llama-3-70b-instruct", 19) == "provider:…-instruct"
    assert shortened("short", 19) == "short"
