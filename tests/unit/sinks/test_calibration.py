"""A load run in a terminal: what it found, what is to be known about it, and no name that steers it."""

import pytest

from evenwatt.economics.calibration import Phase, Step
from evenwatt.sinks.calibration import LoadProgress, print_calibrations


def document(**result):
    """Return a result as the history keeps it."""
    found = {
        "model": "small",
        "tokens_per_second": 2_500.0,
        "prefill_tokens_per_second": 9_000.0,
        "decode_tokens_per_second": 800.0,
        "still_growing": [],
        "mixed_load_by_phases": 1.0,
        "others_seen": False,
    }
    return {
        "utc_seconds": 1_800_000_000.0,
        "subject": "chat",
        "result": {**found, **result},
        "settings": {"input_per_output": 3.0},
    }


@pytest.fixture
def printed(monkeypatch, capsys):
    """A function that prints results and returns what a person reads."""
    monkeypatch.setenv("COLUMNS", "400")

    def text(*documents):
        print_calibrations(documents)
        return capsys.readouterr().out

    return text


def test_a_result_has_its_date_and_its_numbers(printed):
    """When, what, and how much of each kind."""
    text = printed(document())

    for word in ("2027-01-15 08:00 UTC", "chat", "small", "2,500", "9,000", "800", "mix 3:1"):
        assert word in text
    assert "≥" not in text


def test_what_is_to_be_known_about_a_result_is_said(printed):
    """A lower bound, requests of others, phases that do not add up, and what was not measured."""
    text = printed(
        document(
            still_growing=["decode"],
            others_seen=True,
            mixed_load_by_phases=1.6,
            prefill_tokens_per_second=None,
        )
    )

    assert "≥800" in text
    assert "still growing at a limit of the run: decode" in text
    assert "requests of others ran" in text
    assert "a load of 160%" in text
    assert " - " in text


def test_no_results_are_told(printed):
    """An empty table would say nothing."""
    assert printed() == "nothing was calibrated yet\n"


def test_hostile_names_are_only_text(printed):
    """A model's name may come from anywhere."""
    text = printed(document(model="\x1b[31m[red]x[/red]"))

    assert "\x1b" not in text
    assert "\\x1b[31m[red]x[/red]" in text


def test_progress_says_each_step(capsys):
    """Without a terminal there is a line for each finished step and no bar."""
    step = Step(
        phase=Phase.DECODE, concurrency=4, requests=12, seconds=2.0, input_tokens=9, output_tokens=1_000
    )
    with LoadProgress(60.0) as progress:
        progress.step(Phase.DECODE, 4, None)
        progress.tick()
        progress.step(Phase.DECODE, 4, step)

    assert capsys.readouterr().err == "decode, 4 at once: 500 tokens/s (12 requests in 2.0 s)\n"
