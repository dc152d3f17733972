"""Bills of clients: parts of a model's cost that add up to it, as CSV and in a terminal."""

import csv
import io

import pytest

from evenwatt.economics.cost import Costs
from evenwatt.ledger import ClientUse, TokenWeights, Usage
from evenwatt.model import UNALLOCATED
from evenwatt.sinks.report.client_sheet import CHARGEBACK_COLUMNS, render_chargeback
from evenwatt.sinks.report.client_table import print_chargeback
from evenwatt.snapshot import Money, Sums
from evenwatt.snapshot.report.chargeback import Chargeback, client_bills
from evenwatt.snapshot.report.values import ReportWindow

WEIGHTS = TokenWeights(input_weight=0.5, output_weight=1.0)
SUMS = Sums(
    usage={
        ("chat", "m"): Usage(input_tokens=40, output_tokens=80),
        ("chat", "idle"): Usage(),
        ("old", "m"): Usage(output_tokens=10),
    },
    money={
        ("chat", "m"): Money(hardware=8.0, energy=2.0, labour=0.0, other=0.0),
        ("chat", "idle"): Money(hardware=1.0, energy=1.0, labour=0.0, other=0.0),
        ("old", "m"): Money(hardware=9.0, energy=3.0, unpriced_seconds=60.0),
    },
)
CLIENTS = {
    ("chat", "m", "a"): ClientUse(input_tokens=40, output_tokens=30, requests_completed=2),
    ("chat", "m", "=b"): ClientUse(output_tokens=50, cached_input_tokens=7, requests_aborted=1),
}
NOVEMBER = ReportWindow(
    label="2026-11", start_utc_seconds=1_793_491_200.0, end_utc_seconds=1_796_083_200.0, zone_name="UTC"
)


def chargeback(clients=CLIENTS, *, simulated=False):
    """Return the bills of the window."""
    return Chargeback(
        window=NOVEMBER, currency="EUR", simulated=simulated, bills=client_bills(SUMS, clients, WEIGHTS)
    )


def bills():
    """Return the same by owner."""
    return {(bill.engine, bill.model, bill.client): bill for bill in chargeback().bills}


def sheet(made):
    """Return the lines of its CSV by owner."""
    rows = csv.DictReader(io.StringIO(render_chargeback(made)))
    return {(row["engine"], row["model"], row["client"]): row for row in rows}


def test_a_model_s_cost_is_shared_by_tokens():
    """Half for 40 x 0.5 + 30, half for 50; each component for itself."""
    found = bills()

    assert found["chat", "m", "a"].costs == Costs(hardware=4.0, energy=1.0, labour=0.0, other=0.0)
    assert found["chat", "m", "=b"].costs.full == 5.0


def test_what_has_no_client_is_told_as_such():
    """Idle models, and engines that do not tell clients apart."""
    found = bills()

    assert found["chat", "idle", UNALLOCATED].costs.full == 2.0
    assert found["old", "m", UNALLOCATED].use is None


def test_bills_add_up_to_the_cost():
    """Nothing is lost, and nothing charged twice."""
    energy = sum(bill.costs.energy for bill in bills().values())

    assert energy == pytest.approx(6.0, rel=1e-12)


def test_a_part_of_a_cost_is_not_the_cost():
    """Hardware had no price for a minute: neither it nor the full cost is known."""
    found = bills()["old", "m", UNALLOCATED].costs

    assert (found.hardware, found.full, found.energy) == (None, None, 3.0)


def test_the_csv_has_a_line_for_each_bill():
    """Empty where not known, never a formula, with its basis and its span."""
    rows = sheet(chargeback())

    assert tuple(rows["chat", "m", "a"]) == CHARGEBACK_COLUMNS
    assert rows["chat", "m", "a"]["full_cost"] == "5.000000"
    assert rows["chat", "m", "a"]["requests"] == "2"
    assert rows["chat", "m", "a"]["from_utc"] == "2026-11-01T00:00:00+00:00"
    assert rows["chat", "m", "'=b"]["cached_input_tokens"] == "7"
    assert rows["old", "m", UNALLOCATED]["input_tokens"] == ""
    assert rows["old", "m", UNALLOCATED]["full_cost"] == ""
    assert {row["basis"] for row in rows.values()} == {"allocated by tokens"}


def test_simulated_bills_say_so():
    """On every line: lines are copied out of sheets."""
    rows = sheet(chargeback(simulated=True))

    assert {row["basis"] for row in rows.values()} == {"SIMULATED, allocated by tokens"}


def test_the_table_fits_a_terminal(capsys, monkeypatch):
    """Who pays most comes first; what is not known has no digits and is named."""
    monkeypatch.setenv("COLUMNS", "80")
    print_chargeback(chargeback(simulated=True))
    lines = capsys.readouterr().out.splitlines()
    first = next(number for number, line in enumerate(lines) if line.startswith("client"))

    assert lines[0].startswith("SIMULATED")
    assert max(map(len, lines)) <= 80
    assert [line.split()[0] for line in lines[first + 2 : first + 6]] == ["=b", "a", UNALLOCATED, UNALLOCATED]
    assert "hardware, labour, other" in " ".join("".join(lines).split())


def test_engines_that_tell_no_clients_are_explained(capsys):
    """A table of nobody is no answer: it says how clients become known."""
    print_chargeback(chargeback({}))

    assert "evenwatt proxy" in capsys.readouterr().out
