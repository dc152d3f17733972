"""`evenwatt report` from outside: formats, files, and faults in a sentence."""

import csv
import json
import subprocess
import sys
from contextlib import closing
from time import time

import pytest

from evenwatt.ledger import ClientUse
from evenwatt.sinks.history import History
from sink_fixtures import served, tick

CONFIG = """
timezone: UTC
hardware: {{purchase_price: 8760, lifetime_years: 1}}
references: [{{name: flat, input: 1.0, output: 5.0}}]
history: {{path: {history}}}
"""


@pytest.fixture
def config(tmp_path):
    """A configuration whose history holds ten minutes that ended just now."""
    path = tmp_path / "history.db"
    now = int(time()) // 60 * 60
    with closing(History(path, currency="USD")) as history:
        minutes = [(now - 60 * minute, "chat", "small") for minute in range(1, 11)]
        clients = {(*minutes[0], "team-a"): ClientUse(output_tokens=100_000, requests_completed=3)}
        history.write(tick({minute: served() for minute in minutes}, clients=clients))
    file = tmp_path / "config.yaml"
    file.write_text(CONFIG.format(history=path))
    return file


def report(*arguments):
    """Run the command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "evenwatt", "report", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_json_to_a_program(config):
    """Ten busy minutes of 1.6 Mtok each, as a document on standard output."""
    told = report("--json", "-c", config, "--window", "1h")

    assert told.returncode == 0, told.stderr
    document = json.loads(told.stdout)
    assert document["totals"]["tokens"]["total_tokens"] == 16_000_000
    assert document["head"]["window"]["label"] == "1h"


@pytest.mark.parametrize(
    ("name", "begins"), [("report.md", "# "), ("report.html", "<!doctype html>"), ("report.JSON", '{"shape"')]
)
def test_the_ending_of_a_file_chooses_the_format(config, tmp_path, name, begins):
    """What is written is told, and is what its name says."""
    output = tmp_path / name
    told = report("-c", config, "--window", "all", "--output", output)

    assert (told.returncode, told.stdout, told.stderr) == (0, f"written: {output}\n", "")
    assert output.read_text().lower().startswith(begins.lower())


def test_a_terminal_reads_the_verdict(config):
    """Without a format it is for a person, the verdict among the first lines."""
    told = report("-c", config, "--window", "all")

    assert told.returncode == 0, told.stderr
    assert "a million tokens cost" in " ".join(told.stdout.split())[:400]


def test_bills_of_clients(config, tmp_path):
    """For a person as a table, and for whoever charges them on as CSV."""
    output = tmp_path / "october.csv"
    shown, written = (report("-c", config, "--by", "client", *more) for more in ((), ("-o", output)))

    assert (shown.returncode, written.returncode) == (0, 0), shown.stderr + written.stderr
    assert any(line.startswith("team-a") for line in shown.stdout.splitlines())
    rows = {row["client"]: row for row in csv.DictReader(output.read_text().splitlines())}
    assert rows["team-a"]["output_tokens"] == "100000"
    assert sum(float(row["share"]) for row in rows.values()) == pytest.approx(1.0, abs=1e-8)


@pytest.mark.parametrize(
    ("code", "arguments", "said"),
    [
        (2, ("--window", "soon"), "--window: got 'soon', expected hours or days such as 24h or 30d"),
        (2, ("--output", "report.pdf"), "--output: got report.pdf, expected a name that ends in .md, .html"),
        (2, ("--format", "csv"), "--format csv: a report that is not --by client takes terminal or markdown"),
        (2, ("--by", "client", "--json"), "--json: --by client takes terminal or csv"),
        (2, ("--by", "client", "-o", "x.md"), "--output: got x.md, expected a name that ends in .csv"),
        (2, ("--json", "--format", "html"), "--json and --format html exclude each other"),
        (
            1,
            ("--output", "/nowhere/report.md"),
            "/nowhere/report.md: cannot be written (No such file or directory)",
        ),
        (
            1,
            ("--history", "/nowhere/history.db"),
            "/nowhere/history.db: there is no history yet; start the agent",
        ),
        (1, ("--month", "2020-01"), "2020-01 is before the history begins"),
    ],
)
def test_faults_are_one_sentence(config, code, arguments, said):
    """A fault that a user can mend has no traceback; one in what was typed has exit code 2."""
    told = report("-c", config, *arguments)

    assert told.returncode == code
    assert told.stderr.startswith(f"evenwatt: {said}")
    assert "Traceback" not in told.stderr
