"""The queries of docs/history.md answer what they ask, in SQLite, in Datasette and in DuckDB."""

import importlib.metadata
import re
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import duckdb
import pytest
import requests
from msgspec.structs import replace

from engine_process import free_port
from evenwatt.ledger import ClientUse, GpuUse
from evenwatt.model import UNALLOCATED, Event
from evenwatt.sinks.history import History
from sink_fixtures import BOOK, idle, served, tick

PAGE = (Path(__file__).parents[2] / "docs" / "history.md").read_text()
QUERIES = re.findall(r"```sql\n(.*?)```", PAGE, re.DOTALL)
VIEWS = re.findall(
    r"`(\w+)`", "\n".join(line.split("|")[1] for line in PAGE.splitlines() if line.startswith("| `"))
)

DAY = 86_400
OCTOBER = 1_790_812_800
"""2026-10-01 00:00 UTC, a Thursday."""
READY_SECONDS = 60.0

BUSY, IDLE = 0.06 + 6_000e-7, 0.06 + 1_200e-7
"""What a minute costs: 60 seconds of rent at 3.60 an hour, and its joules at 0.36 a kWh."""


@pytest.fixture(scope="module")
def history(tmp_path_factory):
    """A history of two days of October and one of November, with two clients, and GPUs without an engine."""
    path = tmp_path_factory.mktemp("history") / "history.db"
    with closing(History(path, currency="EUR")) as history:
        for day in (0, 1, 31):
            at = OCTOBER + day * DAY
            rows = {
                (at, "chat", "small"): served(requests_completed=3),
                (at + 3_600, "chat", "small"): idle(),
                (at + 7_200, UNALLOCATED, ""): idle(),
            }
            clients = {
                (at, "chat", "small", "team-a"): ClientUse(output_tokens=60_000, requests_completed=2),
                (at, "chat", "small", "team-b"): ClientUse(output_tokens=40_000, requests_completed=1),
            }
            gpus = {
                (at, "GPU-a"): GpuUse(energy_joules=6_000.0, measured_seconds=60.0, utilization_seconds=30.0)
            }
            told = Event(utc_seconds=at + 60.0, kind="gap", subject="chat", text=f"day {day}")
            history.write(tick(rows, clients=clients, gpus=gpus, events=(told,)))
        unpriced = replace(BOOK, tariff=None)
        history.write(tick({(OCTOBER + 31 * DAY + 60, "code", "dark"): served()}, book=unpriced, gpus={}))
    return path


def in_sqlite(path, query):
    """Return the rows of a query as SQLite has them."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        return database.execute(query).fetchall()


def test_each_view_is_named_and_there(history):
    """The page names all views that there are, and no others."""
    there = in_sqlite(history, "SELECT name FROM sqlite_master WHERE type = 'view'")

    assert sorted(VIEWS) == sorted(name for (name,) in there)


def test_there_are_ten_questions():
    """As many as the page says."""
    assert len(QUERIES) == 10


def near(value):
    """Return what is equal to a number but for its last digits."""
    return pytest.approx(value, rel=1e-9)


def test_costs_by_month_and_model(history):
    """Months of the site's days, all models, the machine's rest too; what is not known has no sum."""
    rows = in_sqlite(history, QUERIES[0])

    assert rows[0] == ("2026-10", "chat", "small", near(2 * (BUSY + IDLE)), 3_200_000)
    assert rows[1] == ("2026-10", UNALLOCATED, "", near(2 * IDLE), None)
    assert rows[-1] == ("2026-11", "code", "dark", None, 1_600_000)


def test_cost_of_a_million_tokens_by_week(history):
    """Sums of cost over sums of tokens."""
    rows = in_sqlite(history, QUERIES[1])

    assert rows[0] == ("2026-39", "small", near((BUSY + IDLE) / 1.6))
    assert [row[:2] for row in rows] == [("2026-39", "small"), ("2026-43", "dark"), ("2026-43", "small")]


def test_idle_cost(history):
    """Idle minutes of models and of what no engine used, over all."""
    rows = in_sqlite(history, QUERIES[2])

    assert rows[0] == ("2026-10", near(4 * IDLE), near(4 * IDLE / (2 * BUSY + 4 * IDLE)))


def test_kilowatt_hours(history):
    """As measured, and at the price of the tariff."""
    rows = in_sqlite(history, QUERIES[3])

    joules = 2 * (6_000 + 1_200 + 1_200)
    assert rows[0] == ("2026-10", near(joules / 3.6e6), near(joules * 1e-7), near(0.36))


def test_what_an_api_would_have_cost(history):
    """The bill with the observed cache hits, over our own cost of the same days."""
    rows = in_sqlite(history, QUERIES[4])

    bill = 2 * (1.0 + 0.05 + 0.5)
    assert rows[0] == (
        "2026-10",
        "flat",
        near(bill),
        near(2 * (BUSY + IDLE)),
        near(bill / (2 * (BUSY + IDLE))),
    )


def test_busy_hours(history):
    """Hours of UTC over all days."""
    rows = in_sqlite(history, QUERIES[5])

    assert [(hour, tokens, near(active)) for hour, tokens, active, _ in rows if tokens] == [
        ("00", 4 * 1_600_000, near(4 / 60))
    ]
    assert [row[0] for row in rows] == ["00", "01", "02"]


def test_gpus(history):
    """Energy, mean power while it was measured, and utilization."""
    assert in_sqlite(history, QUERIES[6]) == [("GPU-a", near(3 * 6_000 / 3.6e6), near(100.0), near(0.5))]


def test_clients(history):
    """Who had how many tokens, the largest first."""
    assert in_sqlite(history, QUERIES[7])[:2] == [
        ("2026-10", "team-a", 120_000, 4),
        ("2026-10", "team-b", 80_000, 2),
    ]


def test_what_is_not_known(history):
    """Rows without a cost are counted, as a sum passes over them."""
    assert in_sqlite(history, QUERIES[8]) == [("2026-10", 0, 0.0), ("2026-11", 1, 0.0)]


def test_what_happened(history):
    """The latest first."""
    assert in_sqlite(history, QUERIES[9])[0] == ("2026-11-01 00:01:00", "gap", "chat", "day 31")


@pytest.fixture(scope="module")
def datasette(history):
    """The address of a Datasette that serves the history."""
    port = free_port()
    command = [sys.executable, "-m", "datasette", "serve", str(history), "--port", str(port)]
    url = f"http://127.0.0.1:{port}"
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        until = time.monotonic() + READY_SECONDS
        while True:
            assert process.poll() is None
            assert time.monotonic() < until
            try:
                if requests.get(f"{url}/-/versions.json", timeout=5).ok:
                    break
            except requests.ConnectionError:
                time.sleep(0.1)
        yield url
        process.terminate()


@pytest.mark.parametrize("query", QUERIES)
def test_datasette_answers_the_same(history, datasette, query):
    """A real Datasette runs each query as it stands."""
    told = requests.get(
        f"{datasette}/history.json", params={"sql": query, "_shape": "arrays"}, timeout=30
    ).json()

    assert told["rows"] == [list(row) for row in in_sqlite(history, query)]


@pytest.mark.parametrize("view", VIEWS)
def test_datasette_shows_each_view(datasette, view):
    """As a page of its own."""
    assert requests.get(f"{datasette}/history/{view}", timeout=30).ok


@pytest.fixture(scope="module")
def duck(history):
    """A DuckDB that has attached the history, as the page says."""
    files = importlib.metadata.files("duckdb-extension-sqlite-scanner")
    (extension,) = [file.locate() for file in files if file.suffix == ".duckdb_extension"]
    connection = duckdb.connect()
    connection.execute(f"LOAD '{extension}'")
    connection.execute(f"ATTACH '{history}' AS history (TYPE sqlite, READ_ONLY)")
    return connection


@pytest.mark.parametrize("query", QUERIES)
def test_duckdb_answers_the_same(history, duck, query):
    """A real DuckDB hands each query on as it stands; numbers come as text."""
    told = duck.execute(f"FROM sqlite_query('history', $$ {query} $$)").fetchall()

    assert [tuple(map(number, row)) for row in told] == [
        tuple(map(number, row)) for row in in_sqlite(history, query)
    ]


def number(value):
    """Return a number where a text is one."""
    try:
        return near(float(value))
    except (TypeError, ValueError):
        return value


@pytest.mark.parametrize("view", VIEWS)
def test_duckdb_reads_each_view(history, duck, view):
    """By its name."""
    assert duck.execute(f"SELECT count(*) FROM history.{view}").fetchall() == in_sqlite(
        history, f"SELECT count(*) FROM {view}"
    )


def test_duckdb_computes_with_tables(history, duck):
    """They have types; columns of views are cast."""
    (tokens,) = duck.execute("SELECT sum(output_tokens) FROM history.day_usage").fetchone()
    (cost,) = duck.execute("SELECT sum(cost::DOUBLE) FROM history.daily_cost").fetchone()

    assert tokens == 400_000
    assert cost == near(in_sqlite(history, "SELECT sum(cost) FROM daily_cost")[0][0])
