"""Bills of clients: parts of a model's cost that add up to it, and their CSV."""

import csv
import io

import pytest

from evenwatt.ledger import ClientUse, TokenWeights, Usage
from evenwatt.model import UNALLOCATED
from evenwatt.sinks.chargeback import CHARGEBACK_COLUMNS, render_chargeback
from evenwatt.snapshot import Money, Sums, client_bills

WEIGHTS = TokenWeights(input_weight=0.5, output_weight=1.0)
SUMS = Sums(
    usage={
        ("chat", "m"): Usage(input_tokens=40, output_tokens=80),
        ("chat", "idle"): Usage(),
        ("old", "m"): Usage(output_tokens=10),
    },
    money={
        ("chat", "m"): Money(hardware=8.0, energy=2.0),
        ("chat", "idle"): Money(hardware=1.0, energy=1.0),
        ("old", "m"): Money(energy=3.0),
    },
)
CLIENTS = {
    ("chat", "m", "a"): ClientUse(input_tokens=40, output_tokens=30, requests_completed=2),
    ("chat", "m", "=b"): ClientUse(output_tokens=50, cached_input_tokens=7, requests_aborted=1),
}


def bills():
    """Return the bills of the span, by owner."""
    found = client_bills(SUMS, CLIENTS, WEIGHTS)
    return {(bill.engine, bill.model, bill.client): bill for bill in found}


def test_a_model_s_cost_is_shared_by_tokens():
    """Half for 40 x 0.5 + 30, half for 50; each component for itself."""
    found = bills()

    assert found["chat", "m", "a"].money == Money(hardware=4.0, energy=1.0)
    assert found["chat", "m", "=b"].cost == 5.0


def test_what_has_no_client_is_told_as_such():
    """Idle models, and engines that do not tell clients apart."""
    found = bills()

    assert found["chat", "idle", UNALLOCATED].cost == 2.0
    assert found["old", "m", UNALLOCATED].cost == 3.0
    assert found["old", "m", UNALLOCATED].use is None


def test_bills_add_up_to_the_cost():
    """Nothing is lost, and nothing charged twice."""
    assert sum(bill.cost for bill in bills().values()) == pytest.approx(15.0, rel=1e-12)


def test_the_csv_has_a_line_for_each_bill():
    """Empty where not known, never a formula, with its basis."""
    text = render_chargeback(
        client_bills(SUMS, CLIENTS, WEIGHTS), from_utc="2026-11-01", to_utc="2026-12-01", currency="EUR"
    )
    rows = list(csv.DictReader(io.StringIO(text)))

    assert tuple(rows[0]) == CHARGEBACK_COLUMNS
    by_owner = {(row["engine"], row["model"], row["client"]): row for row in rows}
    assert by_owner["chat", "m", "a"]["cost"] == "5.000000"
    assert by_owner["chat", "m", "a"]["requests"] == "2"
    assert by_owner["chat", "m", "a"]["labour_cost"] == ""
    assert by_owner["chat", "m", "'=b"]["cached_input_tokens"] == "7"
    assert by_owner["old", "m", UNALLOCATED]["input_tokens"] == ""
    assert {row["basis"] for row in rows} == {"allocated by tokens"}
