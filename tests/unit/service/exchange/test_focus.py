"""Charges as FOCUS 1.2 asks for them: the rules of the specification, and money that adds up."""

import csv
from contextlib import closing

import pytest
from msgspec.structs import replace
from pyarrow import parquet

from evenwatt.errors import OptionError
from evenwatt.service.exchange.exporting import Export
from evenwatt.sinks.history import History
from exported_history import FIRST_DAY, OWNER, settings_for, write_kept
from focus_rules import MANDATORY, broken_rules
from sink_fixtures import BOOK, idle, served, tick

HOUR = 3_600
COMPONENTS = ("hardware", "energy", "labour", "other")


@pytest.fixture
def path(tmp_path):
    """A history of three days, with an hour in which nothing had an engine."""
    path = tmp_path / "history.db"
    write_kept(path)
    with closing(History(path, currency="EUR")) as history:
        history.write(
            tick(
                {(FIRST_DAY + 86_400 * 14 + 60, "unallocated", ""): idle()}, book=replace(BOOK, references=())
            )
        )
    return path


def charges(path, output=None, **asked):
    """Export charges; return what was told, the columns and the rows."""
    output = output or path.with_suffix(".csv")
    values = {"first": None, "last": None, "finest": None, "table": "usage", "labels": (), "account": "gpu1"}
    told = Export(form="focus", **{**values, **asked}).write(settings_for(path), path, output, lambda _: None)
    with output.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        rows = list(reader)
    return told, reader.fieldnames, rows


@pytest.mark.parametrize("finest", ["day", "hour"])
def test_the_rules_of_focus_hold(path, finest):
    """All mandatory columns are there, and no row breaks a rule."""
    _, columns, rows = charges(path, finest=finest)

    assert set(columns) >= MANDATORY
    assert broken_rules(columns, rows) == []
    assert len(rows) > 10


def test_the_rules_find_what_is_wrong(path):
    """A dataset that breaks them is told, so that the test above says something."""
    _, columns, rows = charges(path)
    spoilt = [
        dict(rows[0], BilledCost="much"),
        dict(rows[0], ServiceCategory="AI"),
        dict(rows[0], ChargePeriodStart="2026-01-16 00:00"),
        dict(rows[0], ChargePeriodEnd="2026-03-01T00:00:00Z"),
        dict(rows[0], PricingUnit=""),
        dict(rows[0], ProviderName=""),
        dict(rows[0], ListCost="1.0"),
    ]

    assert all(broken_rules(columns, [row]) for row in spoilt)
    assert broken_rules([name for name in columns if name != "BilledCost"], []) == ["BilledCost is missing"]
    assert broken_rules([*columns, "Engine"], []) == ["Engine is no column of FOCUS, and has no x_"]


def test_charges_add_up_to_what_the_history_says(path):
    """The sum of a dataset is the cost of its span, and energy is in kWh beside its cost."""
    _, _, rows = charges(path)
    with closing(History(path, currency="EUR")) as history:
        totals = history.totals()
    cost = sum(getattr(money, name) or 0.0 for money in totals.money.values() for name in COMPONENTS)

    assert sum(float(row["BilledCost"]) for row in rows) == pytest.approx(cost, rel=1e-12)
    energy = [row for row in rows if row["SkuId"] == "evenwatt/energy"]
    assert {row["ConsumedUnit"] for row in energy} == {"kWh"}
    joules = 9 * 6_000 + 18 * 1_200 + 1_200
    assert sum(float(row["ConsumedQuantity"]) for row in energy) == pytest.approx(joules / 3.6e6)


def test_cost_over_tokens_is_a_sum_over_a_sum(path):
    """Tokens are charges of 0 of their own, so that adding rows up counts none twice."""
    _, _, rows = charges(path)
    tokens = {
        meter: sum(float(row["ConsumedQuantity"]) for row in rows if row["SkuMeter"] == meter)
        for meter in ("input_tokens", "cached_input_tokens", "output_tokens")
    }

    assert tokens == {"input_tokens": 9e6, "cached_input_tokens": 4.5e6, "output_tokens": 9e5}
    assert {row["BilledCost"] for row in rows if row["ConsumedUnit"] == "Tokens"} == {"0.0"}


def test_a_billing_period_is_a_month_of_utc(path):
    """Also that of its last day."""
    _, _, rows = charges(path)

    periods = {(row["BillingPeriodStart"], row["BillingPeriodEnd"]) for row in rows}
    assert periods == {("2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z")}
    assert {row["ChargePeriodStart"] for row in rows} >= {"2026-01-16T00:00:00Z", "2026-01-30T00:00:00Z"}


def test_days_are_asked_for_by_their_date_in_utc(path):
    """A day's charges are those of that date, whatever the site's time zone is."""
    _, _, rows = charges(path, first="2026-01-17", last="2026-01-17")

    assert {row["ChargePeriodStart"] for row in rows} == {"2026-01-17T00:00:00Z"}


def test_a_cost_that_is_not_known_is_no_charge(path):
    """What has no price for a part of a day is left out and told, as a part is not the whole."""
    with closing(History(path, currency="EUR")) as history:
        unpriced = replace(BOOK, tariff=None) if BOOK.tariff else BOOK
        history.write(tick({(FIRST_DAY + 2 * 86_400 + 60, *OWNER): served()}, book=unpriced))
    told, columns, rows = charges(path)

    (line,) = told
    assert line.startswith(
        "left out: 1 costs of a model and period for which no price is known, at least for a"
    )
    third = [row for row in rows if row["ChargePeriodStart"] == "2026-01-18T00:00:00Z"]
    assert {row["SkuMeter"] for row in third} & {"hardware", "energy"} == {"hardware"}
    assert broken_rules(columns, rows) == []


def test_simulated_charges_say_so(tmp_path):
    """In every row, where a person reads it."""
    path = tmp_path / "history.db"
    with closing(History(path, currency="EUR", simulated=True)) as history:
        history.write(tick({(FIRST_DAY, *OWNER): served()}))
    _, _, rows = charges(path)

    assert all(row["ChargeDescription"].startswith("SIMULATED: ") for row in rows)
    assert {row["x_Readings"] for row in rows} == {"simulated"}


def test_a_parquet_dataset_has_the_same_rows(path, tmp_path):
    """By the ending of its name."""
    output = tmp_path / "focus.parquet"
    asked = Export(form="focus", first=None, last=None, finest=None, table="usage", labels=(), account="gpu1")
    asked.write(settings_for(path), path, output, lambda _: None)
    table = parquet.read_table(output)
    _, columns, rows = charges(path)

    assert table.column_names == columns
    assert table.num_rows == len(rows)
    assert table.schema.metadata[b"focus_version"] == b"1.2"


def test_charges_by_the_minute_are_refused():
    """A bill has no minutes."""
    asked = Export(
        form="focus", first=None, last=None, finest="minute", table="usage", labels=(), account=None
    )
    with pytest.raises(
        OptionError, match="--by: got minute; charges of --format focus are by day or by hour"
    ):
        asked.check(None)
