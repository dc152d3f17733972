"""`evenwatt plan`: what it prints for a person and for programs, and what it says of wrong input."""

import csv
import json
import os
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from evenwatt.cli.whole import app
from evenwatt.errors import ConfigError

FLAT = ("--reference", "flat=0.80")
RENTED = ("--rent-per-hour", "3.20", "--capacity", "2000", *FLAT)
HOME = ("--purchase-price", "2800", "--idle-watts", "100", "--full-watts", "700", "--capacity", "1000", *FLAT)


@pytest.fixture(autouse=True)
def no_file(monkeypatch, tmp_path):
    """Nothing is configured, and the price cache is one of the test's own."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def shown(*arguments):
    """Return what the command prints."""
    return (
        CliRunner().invoke(app, ["plan", *arguments], catch_exceptions=False, env={"COLUMNS": "100"}).stdout
    )


def document(*arguments):
    """Return the document that it prints for programs."""
    return json.loads(shown("--json", *arguments))


def faults(*arguments):
    """Return what it says is wrong."""
    result = CliRunner().invoke(app, ["plan", *arguments])
    assert isinstance(result.exception, ConfigError)
    return result.exception.faults


def assumed(plan):
    """Return the settings that a plan assumed."""
    return [assumption["setting"] for assumption in plan["assumptions"]]


def test_without_arguments_everything_is_assumed_and_says_so():
    """A machine, its capacity, the mix and the prices are there, each with what makes it true."""
    plan = document()

    assert plan["machine"]["preset"] == "home-card"
    assert len(plan["curve"]) == 11
    assert [entry["reference"] for entry in plan["break_even"]] == [
        "anthropic:claude-haiku-4-5",
        "openai:gpt-4o-mini",
        "google:gemini-2.5-flash",
    ]
    assert assumed(plan) == [
        "hardware",
        "plan.capacity_tokens_per_second",
        "plan.input_share",
        "plan.cached_share",
        "electricity.price_per_kwh",
        "references",
    ]
    assert all("--" in assumption["line_to_write"] for assumption in plan["assumptions"])


def test_what_is_given_is_not_assumed():
    """A machine with its power, price, mix and references leaves nothing open."""
    plan = document(
        *HOME, "--lifetime-years", "3", "--price-per-kwh", "0.3", "--mix", "3:1", "--cached-share", "0"
    )

    assert plan["assumptions"] == []
    assert plan["break_even"][0]["load"] == pytest.approx(0.136545 / (3.6 * 0.80 - 0.18), rel=1e-4)


def test_the_verdict_comes_first():
    """The first line is the sentence that the rest explains."""
    text = shown(*RENTED, "--tokens-per-day", "50e6")

    assert text.startswith(
        "At 28.9% load (1,521 Mtok a month) a million tokens cost 1.536 USD, not less than flat"
    )
    assert "USD per Mtok, logarithmic, against load" in text
    assert "planned" in text


def test_never_is_a_word_for_people_and_null_for_programs():
    """An API that is cheaper even at full load has no break-even in any form."""
    arguments = (
        "--rent-per-hour",
        "3.20",
        "--capacity",
        "2000",
        "--reference",
        "mini=0.15/0.60",
        "--mix",
        "3:1",
    )
    (entry,) = document(*arguments)["break_even"]

    assert (entry["outcome"], entry["load"], entry["mtok_per_month"]) == ("never", None, None)
    assert "at no load" in shown(*arguments).lower()


def test_payback_says_why_there_is_none():
    """No volume, or nothing bought: null with its reason; else months."""
    assert document(*HOME)["break_even"][0]["payback"] == "no volume planned"
    assert document(*RENTED, "--tokens-per-day", "1e6")["break_even"][0]["payback"] == "nothing bought"
    bought = document(*HOME, "--tokens-per-day", "10e6")["break_even"][0]
    assert bought["payback"] == "after months"
    assert bought["payback_months"] > 0


def test_above_capacity_is_told_with_what_it_takes():
    """10 Mtok a day need 115.7 tokens/s; on 80 that takes two machines, and the bill is for both."""
    arguments = ("--rent-per-hour", "1", "--capacity", "80", "--tokens-per-day", "10e6", *FLAT)
    planned = document(*arguments)["planned"]

    assert planned["feasible"] is False
    assert planned["tokens_per_second"] == pytest.approx(115.74, rel=1e-4)
    assert planned["machines"] == 2
    assert planned["month"]["hardware"] == pytest.approx(2 * 730)
    assert "Above capacity" in shown(*arguments)


def test_tasks_say_volume_and_mix():
    """1,000 tasks of 3,000 in, a third of it cached, and 1,000 out: 4 Mtok a day, three quarters input."""
    sizes = ("--input-per-task", "3000", "--cached-per-task", "1000", "--output-per-task", "1000")
    plan = document(*RENTED, "--tasks-per-day", "1000", *sizes)

    assert plan["planned"]["mtok_per_month"] == pytest.approx(4 * 730 / 24)
    assert plan["mix"]["input_share"] == pytest.approx(0.75)
    assert plan["mix"]["cached_share"] == pytest.approx(1 / 3)
    assert plan["planned"]["tokens_per_second"] == pytest.approx(3_000 * 1_000 / 86_400)


def test_long_requests_pay_the_price_of_long_requests():
    """Gemini 2.5 Pro asks 1.25 for an input of 100,000 tokens and 2.50 for one of 300,000."""
    gemini = ("--rent-per-hour", "3.20", "--reference", "google:gemini-2.5-pro", "--output-per-task", "1")
    short = document(*gemini, "--input-per-task", "100000")["break_even"][0]["price_per_mtok"]
    long = document(*gemini, "--input-per-task", "300000")["break_even"][0]["price_per_mtok"]

    assert short == pytest.approx(1.25, rel=1e-3)
    assert long == pytest.approx(2.50, rel=1e-3)


def test_batch_is_a_scenario_beside():
    """Where the catalogue has a batch price, its break-even stands beside the standard one, and is dearer."""
    (entry,) = document(*HOME[:-2], "--reference", "anthropic:claude-haiku-4-5")["break_even"]

    assert entry["batch"]["price_per_mtok"] == pytest.approx(entry["price_per_mtok"] / 2)
    assert entry["batch"]["load"] > entry["load"]


def test_electricity_that_is_not_known_is_named():
    """A bought machine without watts is planned without electricity, and every surface says so."""
    arguments = ("--purchase-price", "2800", *FLAT)
    plan = document(*arguments)

    assert plan["missing"] == ["electricity"]
    assert plan["cost_per_hour"]["full_load"]["energy"] is None
    assert plan["verdict"].startswith("Without electricity, which is not known: ")
    assert "plan.full_watts" in assumed(plan)


def test_one_power_stands_for_the_other_and_says_so():
    """With only the full power given, the idle power is taken to be as high: the careful guess."""
    plan = document("--purchase-price", "2800", "--full-watts", "700", *FLAT)

    assert (plan["machine"]["idle_watts"], plan["machine"]["full_watts"]) == (700, 700)
    assert "plan.idle_watts" in assumed(plan)


def test_a_payback_after_the_lifetime_is_told():
    """What takes longer than the machine is written off over does not pay back, and says so."""
    arguments = (*HOME, "--lifetime-years", "1", "--tokens-per-day", "4e6")
    (entry,) = document(*arguments)["break_even"]

    assert entry["payback"] == "after its lifetime"
    assert entry["payback_months"] > 12
    assert "Written off over 12 months" in shown(*arguments)


@pytest.mark.parametrize(
    ("day", "per_hour", "word"),
    [("2090-01-01", 0.10654, None), ("2001-01-01", 0.0, "past its lifetime")],
    ids=["bought later", "written off"],
)
def test_the_day_of_purchase(tmp_path, day, per_hour, word):
    """A machine is planned before it is bought; one that is written off costs nothing, and says so."""
    path = tmp_path / "config.yaml"
    path.write_text(f"hardware: {{purchase_price: 2800, lifetime_years: 3, purchased: {day}}}\n")
    plan = document("--config", str(path), *FLAT)

    assert plan["cost_per_hour"]["no_load"]["hardware"] == pytest.approx(per_hour, rel=1e-4)
    assert any(word in note for note in plan["notes"]) if word else plan["notes"] == []


def test_a_written_price_has_its_day(tmp_path):
    """Of dated prices the one in force counts, and those to come do not."""
    path = tmp_path / "config.yaml"
    path.write_text(
        "references:\n"
        "  - name: negotiated\n"
        "    prices:\n"
        "      - {valid_from: 2020-01-01, input: 3, output: 3}\n"
        "      - {valid_from: 2025-01-01, input: 2, output: 2}\n"
        "      - {valid_from: 2099-01-01, input: 1, output: 1}\n"
    )
    (entry,) = document("--config", str(path))["break_even"]

    assert entry["price_per_mtok"] == pytest.approx(2.0)


def test_a_price_of_a_day_to_come_is_left_out_and_says_so(tmp_path):
    """What nobody can pay yet is compared with nothing."""
    path = tmp_path / "config.yaml"
    path.write_text(
        "references:\n  - {name: next, prices: [{valid_from: 2099-01-01, input: 1, output: 1}]}\n"
    )
    plan = document("--config", str(path))

    assert plan["break_even"] == []
    assert "next has no price yet, and is left out." in plan["notes"]


def test_a_model_rule_for_all_models_holds(tmp_path):
    """The token ratio of `*` scales the API's bill: its tokens are not ours."""
    path = tmp_path / "config.yaml"
    path.write_text("references: [{name: flat, input: 1, output: 1}]\nmodels: {'*': {token_ratio: 1.2}}\n")
    (entry,) = document("--config", str(path))["break_even"]

    assert entry["price_per_mtok"] == pytest.approx(1.2)


def test_the_curve_as_csv():
    """One row for each load, in their order, with the prices of the APIs beside."""
    rows = list(csv.DictReader(shown("--csv", *RENTED, "--loads", "1,0.5").splitlines()))

    assert [row["load"] for row in rows] == ["1", "0.5"]
    assert float(rows[1]["cost_per_mtok"]) == pytest.approx(2 * float(rows[0]["cost_per_mtok"]))
    assert rows[0]["price_per_mtok flat"] == "0.8"
    assert float(rows[0]["mtok_per_month"]) == pytest.approx(7.2 * 730)


def test_options_win_over_the_file(tmp_path):
    """A rent takes the place of the file's purchase, tokens a day of its tasks, one reference of all."""
    path = tmp_path / "config.yaml"
    path.write_text(
        "currency: EUR\n"
        "usd_rate: {rate: 0.5, date: 2026-11-01}\n"
        "hardware: {purchase_price: 1, residual_value: 1, purchased: 2020-01-01}\n"
        "plan: {tasks_per_day: 1, tokens_per_task: {input: 3, output: 1}, capacity_tokens_per_second: 1}\n"
    )
    plan = document("--config", str(path), *RENTED, "--tokens-per-day", "1e6")

    assert plan["cost_per_hour"]["no_load"]["hardware"] == pytest.approx(3.20)
    assert plan["machine"]["capacity_tokens_per_second"] == 2_000
    assert plan["planned"]["mtok_per_month"] == pytest.approx(730 / 24)
    assert plan["break_even"][0]["price_per_mtok"] == pytest.approx(0.40)
    assert plan["currency"] == "EUR"


def test_a_preset_takes_the_place_of_the_machine_of_the_file(tmp_path):
    """The file's hardware and power go; what else is typed stays."""
    path = tmp_path / "config.yaml"
    path.write_text("hardware: {mode: sunk}\nplan: {full_watts: 5}\nelectricity: {price_per_kwh: 0.2}\n")
    plan = document("--config", str(path), "--preset", "RTX 4090", "--lifetime-years", "4", *FLAT)

    assert plan["machine"]["preset"] == "rtx-4090"
    assert plan["machine"]["full_watts"] == 450
    assert plan["machine"]["price_per_kwh"] == 0.2
    assert plan["cost_per_hour"]["no_load"]["hardware"] == pytest.approx(1_599 / 4 / 8_760)


def test_the_one_engine_of_the_file_says_the_capacity(tmp_path):
    """A capacity that is written for the agent need not be written twice."""
    path = tmp_path / "config.yaml"
    path.write_text("engines: [{name: chat, url: 'http://127.0.0.1:1', capacity_tokens_per_second: 1234}]\n")
    plan = document("--config", str(path), *FLAT)

    assert plan["machine"]["capacity_tokens_per_second"] == 1_234


def test_all_that_is_wrong_is_told_at_once():
    """Options by their name, with what was found and what is expected; names with the nearest ones."""
    told = faults(
        *("--mix", "much", "--loads", "0.5,3", "--tokens-per-day", "-1", "--preset", "rtx4090"),
        *("--rent-per-hour", "1", "--purchase-price", "1", "--reference", "openai:gpt-4o-minor"),
    )

    assert [fault.partition(":")[0] for fault in told] == [
        "--rent-per-hour",
        "--mix",
        "--loads",
        "--tokens-per-day",
        "--preset",
        "--reference",
    ]
    assert "expected INPUT:OUTPUT, such as 3:1" in told[1]
    assert "rtx-4090" in told[4]
    assert "gpt-4o-mini" in told[5]


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (("--preset", "abacus"), "--preset: got abacus, expected a name from evenwatt plan --list-presets"),
        (("--reference", "openai:gpt-4o-minor"), "--reference: The API price catalogue"),
        (("--reference", "mine"), "--reference: got mine, expected provider:model"),
        (("--reference", "a=1", "--reference", "a=2"), "--reference: got a, the same as an earlier one"),
        (("--json", "--csv"), "--csv: given together with --json"),
        (("--tasks-per-day", "3"), "--tasks-per-day: needs the tokens_per_task"),
        (
            ("--tokens-per-day", "1", "--tasks-per-day", "1"),
            "--tasks-per-day: given together with --tokens-per-day; keep one of them",
        ),
        (("--config", "/nowhere.yaml"), "/nowhere.yaml: there is no such file"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_what_is_wrong_is_told_with_its_option(arguments, fault):
    """One sentence each, which begins with who said it."""
    assert faults(*arguments)[0].startswith(fault)


def test_a_name_of_the_file_that_is_not_known_is_told_with_the_file(tmp_path):
    """A preset that the file names is a fault of the file."""
    path = tmp_path / "config.yaml"
    path.write_text("plan: {preset: abacus}\n")

    assert faults("--config", str(path))[0].startswith(f"{path}: plan.preset: got abacus")


def test_presets_are_listed_with_their_sources():
    """Each preset has a line, and each source is told."""
    text = shown("--list-presets")

    assert "home-card" in text
    assert "rtx-4090" in text
    assert "InferenceX" in text
    assert "simulated" not in text


@pytest.mark.parametrize(("columns", "has_picture"), [("200", True), ("80", True), ("40", False)])
def test_output_fits_the_terminal(columns, has_picture):
    """No line is wider than the terminal, and a narrow one goes without the picture."""
    result = CliRunner().invoke(app, ["plan", *HOME, "--tokens-per-day", "1e6"], env={"COLUMNS": columns})

    assert max(map(len, result.stdout.splitlines())) <= int(columns)
    assert ("against load" in result.stdout) == has_picture


def test_piped_in_plain_ascii_it_works_all_the_same(tmp_path):
    """Without a terminal and without Unicode: no escape sequence, no traceback, exit code 0."""
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "XDG_CACHE_HOME": str(tmp_path)}
    told = subprocess.run(
        [sys.executable, "-m", "evenwatt", "plan", *HOME],
        capture_output=True,
        check=False,
        env=environment,
        timeout=60,
    )

    assert told.returncode == 0, told.stderr
    assert b"\x1b" not in told.stdout
    assert told.stdout.isascii()


def test_wrong_options_end_with_2_and_no_traceback():
    """The exit code is that of a wrong configuration."""
    told = subprocess.run(
        [sys.executable, "-m", "evenwatt", "plan", "--loads", "7"],
        capture_output=True,
        check=False,
        text=True,
        timeout=60,
    )

    assert (told.returncode, told.stdout) == (2, "")
    assert told.stderr == "--loads: got 7, expected a number above 0 and at most 1\n"


def test_a_volume_that_is_said_twice_is_told_once():
    """The option is named that is left out, not the key of a file that nobody wrote."""
    told = faults("--tokens-per-day", "1", "--tasks-per-day", "1")

    assert told == ("--tasks-per-day: given together with --tokens-per-day; keep one of them",)


def test_a_card_is_not_yet_a_machine():
    """The price of a card alone is no price of what it runs in, and the plan says so."""
    assert "hardware" in assumed(document("--preset", "rtx-4090"))
    assert "hardware" not in assumed(document("--preset", "rtx-4090", "--purchase-price", "2800"))
