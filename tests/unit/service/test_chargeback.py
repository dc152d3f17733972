"""Bills of clients out of a history on disk."""

import csv
import io
from contextlib import closing

from evenwatt.config import Settings
from evenwatt.ledger import ClientUse
from evenwatt.model import UNALLOCATED
from evenwatt.service.chargeback import bills_since, chargeback_since
from evenwatt.sinks.history import History
from sink_fixtures import HOUR, MINUTE, served, tick


def written(path):
    """Open a history with two minutes of work: one of two clients, one of nobody that is known."""
    history = History(path, currency="USD")
    a, b = (HOUR, "chat", "m", "a"), (HOUR, "chat", "m", "b")
    clients = {a: ClientUse(output_tokens=75_000), b: ClientUse(output_tokens=25_000)}
    history.write(tick({(HOUR, "chat", "m"): served(0, 100_000, 0)}, clients=clients))
    history.write(tick({(HOUR + MINUTE, "chat", "m"): served(0, 100_000, 0)}))
    return history


def test_bills_add_up_to_what_the_models_cost(tmp_path):
    """Three eighths, one eighth, and half that no client is known for."""
    with closing(written(tmp_path / "history.db")) as history:
        bills = {bill.client: bill for bill in bills_since(history, Settings(), HOUR)}
        cost = history.totals().money["chat", "m"].costs

    assert {client: bill.share for client, bill in bills.items()} == {
        "a": 0.375,
        "b": 0.125,
        UNALLOCATED: 0.5,
    }
    assert sum(bill.money.hardware for bill in bills.values()) == cost.hardware


def test_a_chargeback_says_of_what_time_it_is(tmp_path):
    """From the whole minute on, in UTC, in the currency of the configuration."""
    with closing(written(tmp_path / "history.db")) as history:
        text = chargeback_since(history, Settings(), HOUR + MINUTE + 17.5)
    (row,) = csv.DictReader(io.StringIO(text))

    assert row["from_utc"] == "2027-01-15T08:01:00+00:00"
    assert row["client"] == UNALLOCATED
    assert row["currency"] == "USD"
