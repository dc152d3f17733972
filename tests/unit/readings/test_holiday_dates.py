"""Public holidays, by the real library in its child process."""

import os
import stat
import sys
from datetime import date

import pytest

from evenwatt.errors import SourceContractError, SourceUnavailable
from evenwatt.readings.holiday_dates import holiday_dates


def test_holidays_of_a_region():
    """Epiphany is a holiday in Bavaria and not in all of Germany; Unity Day is one everywhere."""
    bavaria, germany = holiday_dates("DE", "BY", [2026, 2027]), holiday_dates("DE", None, [2026])

    assert date(2026, 1, 6) in bavaria
    assert date(2026, 1, 6) not in germany
    assert date(2026, 10, 3) in bavaria & germany
    assert {day.year for day in bavaria} == {2026, 2027}
    assert "holidays" not in sys.modules


@pytest.mark.parametrize(
    ("country", "subdivision", "text"),
    [
        ("Germany", None, "no country 'Germany' is known"),
        ("DE", "BAY", "no subdivision 'BAY' of DE is known; known are BY"),
        ("MC", "X", "no subdivision 'X' of MC is known; it has none"),
    ],
)
def test_an_unknown_place_is_told_with_what_is_near(country, subdivision, text):
    """The library's own names are what a person has to choose from."""
    with pytest.raises(SourceContractError) as error:
        holiday_dates(country, subdivision, [2026])

    assert text in str(error.value)


@pytest.mark.parametrize(
    ("script", "text"),
    [
        ("#!/bin/sh\necho out of memory >&2\nexit 1\n", "out of memory"),
        ("#!/bin/sh\nexit 1\n", "it said nothing"),
    ],
)
def test_a_child_that_fails_is_told(script, text, tmp_path, monkeypatch):
    """What went wrong in the child is the reason given."""
    python = tmp_path / "python"
    python.write_text(script)
    python.chmod(python.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setattr(sys, "executable", os.fspath(python))

    with pytest.raises(SourceUnavailable, match=text):
        holiday_dates("DE", None, [2026])


def test_a_child_that_does_not_start_is_told(tmp_path, monkeypatch):
    """A Python that is gone is no traceback."""
    monkeypatch.setattr(sys, "executable", os.fspath(tmp_path / "gone"))

    with pytest.raises(SourceUnavailable, match="could not be looked up"):
        holiday_dates("DE", None, [2026])
