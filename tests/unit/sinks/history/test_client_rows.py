"""Tokens by client in the history: written with their tick, read back, and added to histories of before."""

import sqlite3
from contextlib import closing

import pytest
from sqlite_utils import Database

from evenwatt.ledger import ClientUse
from evenwatt.sinks.history import History
from evenwatt.sinks.history.migrations import migrations
from evenwatt.sinks.history.queries import HistorySpan
from evenwatt.sinks.history.schema import STEPS
from sink_fixtures import HOUR, MINUTE, served, tick

A, B = ("chat", "m", "a"), ("chat", "m", "b")


@pytest.fixture
def path(tmp_path):
    """Where the history is."""
    return tmp_path / "history.db"


def client_tick(minute, clients):
    """Return a tick in which clients had so many tokens of output."""
    rows = {
        (minute, *owner): ClientUse(output_tokens=tokens, requests_completed=1)
        for owner, tokens in clients.items()
    }
    return tick({(minute, "chat", "m"): served()}, clients=rows)


def test_clients_add_up_in_every_level(path):
    """Two minutes of one hour, and one of the next."""
    with closing(History(path, currency="EUR")) as history:
        history.write(client_tick(HOUR, {A: 3, B: 10}))
        history.write(client_tick(HOUR + MINUTE, {A: 4}))
        history.write(client_tick(HOUR + 3_600, {A: 5}))
        whole, later = (
            HistorySpan(history, start, HOUR + 7_200).clients() for start in (HOUR, HOUR + MINUTE)
        )

    assert whole == {
        A: ClientUse(output_tokens=12, requests_completed=3),
        B: ClientUse(output_tokens=10, requests_completed=1),
    }
    assert later == {A: ClientUse(output_tokens=9, requests_completed=2)}


def test_a_history_of_the_first_release_is_brought_up_to_date(path):
    """Its rows stay, and clients are written from then on."""
    with closing(sqlite3.connect(path)) as connection:
        migrations.apply(Database(connection), stop_before=STEPS[1])
        connection.execute(
            "INSERT INTO minute_usage (minute, engine, model, output_tokens, estimated, restarted)"
            " VALUES (?, 'chat', 'm', 7, 0, 0)",
            (HOUR,),
        )
        connection.commit()

    with closing(History(path, currency="EUR")) as history:
        history.write(client_tick(HOUR + MINUTE, {A: 4}))
        clients = HistorySpan(history, HOUR, HOUR + 3_600).clients()
    with closing(sqlite3.connect(path)) as connection:
        kept = connection.execute(
            "SELECT output_tokens FROM minute_usage WHERE minute = ?", (HOUR,)
        ).fetchall()

    assert kept == [(7,)]
    assert clients == {A: ClientUse(output_tokens=4, requests_completed=1)}
