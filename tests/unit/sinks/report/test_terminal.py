"""The terminal: whole at 80 columns, more at 120, legible without colour, and no name that steers it."""

import re

import pytest
from msgspec.structs import replace

from evenwatt.sinks.report.terminal import print_report
from report_examples import EXAMPLES, hostile
from report_values import empty_report, report


@pytest.fixture
def shown(monkeypatch, capsys):
    """A function that prints a report at a width and returns the lines."""

    def lines(of, width):
        monkeypatch.setenv("COLUMNS", str(width))
        print_report(of)
        return capsys.readouterr().out.split("\n")

    return lines


@pytest.mark.parametrize("name", EXAMPLES)
@pytest.mark.parametrize("width", [60, 80, 120, 200])
def test_nothing_is_wider_than_the_terminal(name, width, shown):
    """No line is broken by the terminal itself."""
    assert max(map(len, shown(EXAMPLES[name](), width))) <= width


@pytest.mark.parametrize("width", [80, 120])
def test_numbers_are_never_broken(width, shown):
    """Every number of the tables is whole on some line."""
    text = "\n".join(shown(report(), width))

    for number in ("335.25", "0.6705", "1,295", "1,000.00", "-185.25", "79.3%", "0.07450"):
        assert re.search(rf"(?<![\d.]){re.escape(number)}(?![\d%])", text)


def test_verdict_comes_first(shown):
    """After the line that names the machine comes the verdict."""
    lines = [line for line in shown(report(), 80) if line]

    assert lines[0].startswith("What a million tokens cost on gpu-box")
    assert lines[1].startswith("Over 2026-10 a million tokens cost 0.67 EUR here")


def test_more_room_shows_more_columns(shown):
    """Energy and idle cost of each model are shown at 120 columns, and left out at 80."""
    assert not any("of it idle" in line and "load" in line for line in shown(report(), 80))
    assert any("energy, kWh" in line and "load" in line for line in shown(report(), 120))


def test_curve_shows_where_the_window_stood(shown):
    """The curve has the observed point, a mark for each break-even and the prices of both APIs."""
    text = "\n".join(shown(report(), 80))

    assert "◆ this window: 30.0%, 0.6705 per Mtok" in text
    assert "● even with: openai:gpt-4o-mini 79.3%, anthropic:claude-haiku-4-5 10.1%" in text
    assert text.count("◆") == 2


def test_no_reference_is_cut_off(shown):
    """With more references than fit a line, the sentences below the curve go on in the next."""
    example = report()
    prices = {f"p-{number}:a-model-with-a-name": 0.3 + number / 10 for number in range(12)}
    many = replace(
        example,
        curve=replace(example.curve, api_prices=prices),
        comparisons=tuple(
            replace(example.comparisons[0], reference=name, price_per_mtok=price, break_even_load_ratio=0.5)
            for name, price in prices.items()
        ),
    )
    text = " ".join(line.strip() for line in shown(many, 80))

    assert text.count("a-model-with-a-name 50.0%") == 12


def test_hostile_names_steer_nothing(shown):
    """No control character and no markup of a name reaches the terminal."""
    text = "\n".join(shown(hostile(), 120))

    assert not [character for character in text if not character.isprintable() and character != "\n"]
    assert "[red]not[/red] :smile:" in text
    assert text.startswith("SIMULATED: nothing below was measured.")


def test_no_tokens_no_curve(shown):
    """A window without tokens says why there is no curve."""
    text = "\n".join(shown(empty_report(), 80))

    assert "The curve is not known: no token was served in this window." in text
    assert "◆" not in text
