"""What was not written is labelled, with the line that makes it true."""

import pytest

from config_fixtures import faults_in, settings_of
from evenwatt.config import assumptions

ALL_WRITTEN = """\
electricity: {price_per_kwh: 0.30}
hardware: {purchase_price: 2800, lifetime_years: 3}
references: [openai:gpt-4o-mini]
"""

PART = "{name: b, purchase_price: 1, lifetime_years: 3}"


def assumed(text):
    """Return the settings that a file leaves to be assumed."""
    return [assumption.setting for assumption in assumptions(settings_of(text))]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ["electricity.price_per_kwh", "hardware", "references"]),
        ("electricity: {price_per_kwh: 0.30}", ["hardware", "references"]),
        ("electricity: {pue: 1.1}", ["electricity.price_per_kwh", "hardware", "references"]),
        ("electricity: {price_per_kwh: ~}", ["electricity.price_per_kwh", "hardware", "references"]),
        ("references: []", ["electricity.price_per_kwh", "hardware"]),
        ("hardware: {mode: sunk}", ["electricity.price_per_kwh", "references"]),
        ("hardware: {mode: rented_active, rent_per_hour: 3}", ["electricity.price_per_kwh", "references"]),
        (
            "hardware: {purchase_price: 2800}",
            ["electricity.price_per_kwh", "hardware.lifetime_years", "references"],
        ),
        ("electricity: {prices: [{price_per_kwh: 0.3}]}", ["hardware", "references"]),
        ("electricity: {feed: {url: http://a, query: p}}", ["hardware", "references"]),
        (
            "hardware: {parts: [{name: a, purchase_price: 1}, " + PART + "]}",
            ["electricity.price_per_kwh", "hardware.parts.lifetime_years", "references"],
        ),
        (
            "hardware: {parts: [" + PART + "]}",
            ["electricity.price_per_kwh", "references"],
        ),
        (ALL_WRITTEN, []),
    ],
)
def test_what_nobody_wrote_is_assumed(text, expected):
    """A default that was written is a decision; one that was not is an assumption."""
    assert assumed(text) == expected


def test_the_text_names_the_value_and_the_currency():
    """An assumption says what is taken for granted, in the money of the file."""
    first = assumptions(settings_of("currency: EUR\nusd_rate: {rate: 0.92, date: 2026-11-01}\n"))[0]

    assert first.text == "Electricity is assumed to cost 0.30 EUR per kWh."
    assert first.line_to_write == "electricity: {price_per_kwh: 0.30}"


@pytest.mark.parametrize("start", ["", "electricity:\n  pue: 1.1\n", "hardware:\n  purchase_price: 2800\n"])
def test_the_lines_to_write_make_the_assumptions_true(start):
    """Writing each line where it says, with a price for PRICE, leaves nothing assumed."""
    text = start
    for assumption in assumptions(settings_of(start)):
        line, _, section = assumption.line_to_write.replace("PRICE", "2800").partition("  # below ")
        text = text.replace(f"{section}\n", f"{section}\n{line}\n") if section else f"{text}{line}\n"

    assert assumed(text) == []


def test_a_line_that_was_copied_without_its_price_is_a_fault():
    """The price of the hardware is only known to its owner: the placeholder is not taken for one."""
    (line,) = [a.line_to_write for a in assumptions(settings_of("")) if a.setting == "hardware"]

    assert faults_in(line)[0].startswith("1: hardware.purchase_price: got PRICE, expected a number")
