"""The first configuration: it loads, it says what was found, and it does not pretend to know prices."""

import re
import subprocess
import sys

import pytest

from evenwatt.config import assumptions, parse_settings
from evenwatt.readings.discovery import FoundEngine
from evenwatt.service.initial import Answers, Surroundings, configuration_text

ENGINE = FoundEngine(name="vllm-8000", kind="vllm", url="http://127.0.0.1:8000", pid=None)
THERE = Surroundings(gpus=("NVIDIA GeForce RTX 4090",), engines=(ENGINE,), timezone="Europe/Berlin")


def settings_of(text):
    """Return the settings that a text stands for."""
    return parse_settings(text.encode(), "config.yaml")


def uncommented(text):
    """Return a text with its commented engines in force."""
    return re.sub(r"^#(engines:|  - )", r"\1", text, flags=re.MULTILINE)


def test_without_answers_all_prices_stay_assumed():
    """Nothing is written that nobody said."""
    settings = settings_of(configuration_text(THERE, Answers()))

    assert {a.setting for a in assumptions(settings)} == {
        "electricity.price_per_kwh",
        "hardware",
        "references",
    }
    assert settings.engines is None


def test_answers_are_written():
    """What was said holds, and is assumed no more."""
    answers = Answers(currency="EUR", usd_rate=0.92, price_per_kwh=0.31, purchase_price=2800)
    settings = settings_of(configuration_text(THERE, answers))

    assert (settings.currency, settings.usd_rate.rate) == ("EUR", 0.92)
    assert settings.hardware.purchase_price == 2800
    assert {a.setting for a in assumptions(settings)} == {"references"}


def test_rent_is_written_as_rent():
    """A rented machine has no purchase price."""
    settings = settings_of(configuration_text(THERE, Answers(rent_per_hour=3.2)))

    assert (settings.hardware.mode, settings.hardware.rent_per_hour) == ("rented_always_on", 3.2)


def test_the_lines_that_are_left_open_are_right_as_they_stand():
    """Taking the # away from the engines gives a file that loads."""
    text = configuration_text(THERE, Answers(price_per_kwh=0.3, purchase_price=1))
    (engine,) = settings_of(uncommented(text)).engines

    assert (engine.name, engine.kind, engine.url) == ("vllm-8000", "vllm", "http://127.0.0.1:8000")


def test_reason_in_several_lines_stays_in_its_comment():
    """What a driver says cannot become a key of the file."""
    there = Surroundings(gpus=(), engines=(), without_gpus="broken\ncurrency: XXX")

    assert settings_of(configuration_text(there, Answers())).currency == "USD"


def run_init(*arguments, answers=""):
    """Run the command without a terminal."""
    command = [sys.executable, "-m", "evenwatt", "init", *map(str, arguments)]
    return subprocess.run(command, input=answers, capture_output=True, text=True, timeout=60, check=False)


def test_command_writes_a_file_that_loads_and_keeps_the_one_before(tmp_path):
    """Without a terminal nothing is asked; a file that is there is replaced only with --force, and kept."""
    path = tmp_path / "new" / "config.yaml"

    first = run_init("--output", path, "--price-per-kwh", 0.31)
    again = run_init("--output", path)
    forced = run_init("--output", path, "--force", "--rent-per-hour", 3.2)

    assert (first.returncode, again.returncode, forced.returncode) == (0, 1, 0)
    assert "there already" in again.stderr
    assert settings_of(path.read_text()).hardware.rent_per_hour == 3.2
    assert settings_of(path.with_name("config.yaml.before").read_text()).electricity.price_per_kwh == 0.31
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--currency", "EUR"), "--usd-rate: missing; with --currency EUR"),
        (("--purchase-price", "2800", "--rent-per-hour", "3"), "--purchase-price: given together with"),
        (("--price-per-kwh", "-1"), "price_per_kwh"),
        (("--currency", "euro"), "ISO 4217"),
    ],
)
def test_answers_that_cannot_hold_are_refused_and_nothing_is_written(tmp_path, arguments, said):
    """The configuration's own rules judge the answers."""
    path = tmp_path / "config.yaml"
    answer = run_init("--output", path, *arguments)

    assert answer.returncode == 2
    assert said in answer.stderr
    assert not path.exists()
