"""`evenwatt reprice` and `what-if` from outside: the difference first, and faults in a sentence."""

import json
import os
import pty
import sqlite3
import subprocess
import sys
from contextlib import closing
from time import time

import pytest

from evenwatt.sinks.history import History
from recorded_history import RecordedHistory
from sink_fixtures import BOOK, book_with, served, tick

CONFIG = """
timezone: UTC
electricity: {{price_per_kwh: 0.36}}
hardware: {{mode: rented_always_on, rent_per_hour: 3.6}}
references: []
history: {{path: {history}}}
"""


@pytest.fixture
def config(tmp_path):
    """A configuration whose history holds ten minutes that ended just now, at the prices that it says."""
    path = tmp_path / "history.db"
    now = int(time()) // 60 * 60
    with closing(History(path, currency="USD")) as history:
        minutes = [(now - 60 * minute, "chat", "small") for minute in range(1, 11)]
        history.write(tick({minute: served() for minute in minutes}, book=book_with(base=BOOK)))
    file = tmp_path / "config.yaml"
    file.write_text(CONFIG.format(history=path))
    return file


def evenwatt(*arguments, stdin=None):
    """Run a command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "evenwatt", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        stdin=stdin or subprocess.DEVNULL,
    )


def energy_cost(config):
    """Return what the energy of the whole history cost, as written."""
    history = RecordedHistory(config.parent / "history.db")
    return history.rows("SELECT sum(energy_cost) FROM total_usage")[0][0]


SET = ("--set", "electricity.price_per_kwh=0.72")


def test_what_if_shows_the_difference_and_writes_nothing(config):
    """The bill of the energy at twice the price, beside what it was, and its change."""
    told = evenwatt("what-if", "-c", config, "--window", "all", *SET)

    assert told.returncode == 0, told.stderr
    (line,) = [line for line in told.stdout.splitlines() if line.startswith("energy")]
    assert "100.0%" in line
    assert "with electricity.price_per_kwh=0.72" in " ".join(told.stdout.split())
    assert energy_cost(config) == pytest.approx(0.006)


def test_what_if_for_programs(config):
    """The same as a document."""
    told = evenwatt("what-if", "-c", config, "--window", "all", "--json", *SET)

    document = json.loads(told.stdout)
    assert document["total"]["before"]["energy"] == pytest.approx(0.006)
    assert document["total"]["after"]["energy"] == pytest.approx(0.012)
    assert document["models"][0]["engine"] == "chat"
    assert not document["changes_nothing"]


def test_what_is_assumed_and_made_up_is_told(config):
    """Prices that nobody wrote are labelled, and so are readings that nobody measured."""
    with closing(sqlite3.connect(config.parent / "history.db")) as database, database:
        database.execute("UPDATE setting SET value = 'simulated' WHERE name = 'readings'")
    told = evenwatt("what-if", "-c", config, "--window", "all", "--set", "electricity=")
    document = json.loads(
        evenwatt("what-if", "-c", config, "--window", "all", "--json", "--set", "electricity=").stdout
    )

    assert told.stdout.startswith("SIMULATED")
    assert "assumed" in told.stdout
    assert document["simulated"]
    assert any("assumed" in text for text in document["assumptions"])


def test_reprice_writes_when_it_is_told_to(config):
    """With --yes it shows the difference, writes, and says where the old figures are."""
    told = evenwatt("reprice", "-c", config, "--from", "1970-01-02", "--yes", *SET)

    assert told.returncode == 0, told.stderr
    assert "difference" in told.stdout
    assert "kept among the events" in told.stdout
    assert energy_cost(config) == pytest.approx(0.012)
    again = evenwatt("reprice", "-c", config, "--from", "1970-01-02", "--yes", *SET)
    assert "nothing changes" in again.stdout
    assert "written;" not in again.stdout


@pytest.mark.parametrize(("answer", "cost"), [("y\n", 0.012), ("n\n", 0.006)])
def test_reprice_asks_a_person(config, answer, cost):
    """In a terminal the difference is followed by a question."""
    ours, theirs = pty.openpty()
    os.write(ours, answer.encode())
    told = evenwatt("reprice", "-c", config, "--from", "1970-01-02", *SET, stdin=theirs)
    os.close(ours)
    os.close(theirs)

    assert told.returncode == 0, told.stderr
    assert "Write this?" in told.stdout
    assert energy_cost(config) == pytest.approx(cost)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--yes",), "--from: missing"),
        (("--from", "2026-13-01", "--yes"), "expected a date such as"),
        (("--from", "2026-01-01"), "--yes: missing"),
        (("--from", "1970-01-02", "--yes", "--set", "price"), "expected KEY=VALUE"),
        (("--from", "1970-01-02", "--yes", "--set", "electricity.price=1"), "did you mean prices?"),
        (("--from", "1970-01-02", "--yes", "--set", "electricity.price_per_kwh=cheap"), "got cheap"),
        (("--from", "1970-01-02", "--yes", "--set", "electricity.price_per_kwh=[1"), "--set electricity"),
        (("--from", "1970-01-02", "--yes", "--history", "/nowhere/history.db"), "there is no history yet"),
    ],
)
def test_what_was_typed_wrongly_is_told_in_a_sentence(config, arguments, words):
    """Each fault names its option and what it takes; nothing is written."""
    told = evenwatt("reprice", "-c", config, *arguments)

    assert told.returncode in {1, 2}
    assert words in told.stderr
    assert "Traceback" not in told.stderr
    assert energy_cost(config) == pytest.approx(0.006)
