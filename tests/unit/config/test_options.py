"""Options laid over a file: the same keys, and faults that name who said what."""

import pytest

from evenwatt.config import Override, parse_settings
from evenwatt.errors import ConfigError

PRICE = Override(option="--price-per-kwh", path=("electricity", "price_per_kwh"), value="0.10")
FILE = b"electricity:\n  price_per_kwh: 0.40\n  pue: 1.5\nmonth_hours: 720\n"


def settings(*overrides, file=FILE):
    """Return the settings of a file with options over it."""
    return parse_settings(file, "config.yaml", overrides)


def faults(*overrides, file=FILE):
    """Return what is wrong with a file and options."""
    with pytest.raises(ConfigError) as error:
        settings(*overrides, file=file)
    return error.value.faults


def test_an_option_wins_and_leaves_the_rest():
    """The key of the option has its value; its neighbours keep theirs."""
    read = settings(PRICE)

    assert (read.electricity.price_per_kwh, read.electricity.pue, read.month_hours) == (0.10, 1.5, 720)


def test_an_option_makes_the_section_that_it_needs():
    """Without a file the section is there all the same, and counts as written."""
    read = settings(PRICE, file=b"")

    assert read.electricity.price_per_kwh == 0.10
    assert "price_per_kwh" in read.electricity.written


def test_a_key_is_taken_away():
    """A removed key is as if nobody had written it, with all that is below it."""
    read = settings(Override(option="--preset", path=("electricity",)))

    assert "electricity" not in read.written
    assert read.month_hours == 720


def test_a_removed_key_takes_its_faults_along():
    """What an option replaces is not complained about."""
    file = b"electricity:\n  price_per_kwh: !dear ten\n"

    assert settings(PRICE, file=file).electricity.price_per_kwh == 0.10


def test_a_fault_of_an_option_names_the_option():
    """Its value is shown as it was typed; lists name the option too."""
    dear = Override(option="--price-per-kwh", path=PRICE.path, value="dear")
    loads = Override(option="--loads", path=("plan", "loads"), value=["0.5", "7"])

    assert faults(dear, loads) == (
        "--price-per-kwh: got dear, expected a number from 0 to 1,000,000,000,000",
        "--loads: got 7, expected a number above 0 and at most 1",
    )


def test_faults_of_file_and_options_are_told_together():
    """Those of the file keep their line."""
    dear = Override(option="--price-per-kwh", path=PRICE.path, value="dear")

    told = faults(dear, file=b"month_hours: 1\n")
    assert told[0].startswith("--price-per-kwh: ")
    assert told[1].startswith("config.yaml:1: month_hours: got 1")


def test_options_that_cannot_hold_together_are_named():
    """A rule between keys that stand nowhere in the file is told of the options that said them."""
    fte = Override(option="--fte", path=("labour", "fte"), value="0.5")

    (told,) = faults(fte)
    assert told.startswith("--fte: got fte, expected fte with salary_per_year")


def test_a_section_that_is_no_section_gives_way():
    """Where the file has text in place of the section, an option makes it one."""
    assert settings(PRICE, file=b"electricity: cheap\n").electricity.price_per_kwh == 0.10
