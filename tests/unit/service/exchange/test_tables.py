"""Sheets and lines of a history: each moment once, at the finest level that is kept, with nothing made up."""

import csv
import json
from contextlib import closing
from datetime import UTC, datetime

import duckdb
import pytest
from pyarrow import parquet

from evenwatt.errors import ExchangeError
from evenwatt.service.exchange.exporting import Export
from evenwatt.sinks.history import History
from exported_history import DAY, FIRST_DAY, settings_for, write_days, write_kept
from sink_fixtures import served, tick


@pytest.fixture
def path(tmp_path):
    """A history of which days, hours and minutes are kept, one after the other."""
    path = tmp_path / "history.db"
    write_kept(path)
    return path


def export(path, output, form, **asked):
    """Export and return the file."""
    values = {"first": None, "last": None, "finest": None, "table": "usage", "labels": (), "account": None}
    done = []
    asked = Export(**{"form": form, **values, **asked})
    asked.check(output)
    asked.write(settings_for(path), path, output, done.append)
    assert done == sorted(done)
    assert form == "litellm" or 0 < done[-1] <= 1
    return output


def csv_rows(path, output, **asked):
    """Export a sheet and return its rows."""
    with export(path, output, "csv", **asked).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_each_moment_is_in_a_sheet_once(path, tmp_path):
    """Days, hours and minutes of one span add up to all that was ever counted, and say which they are."""
    rows = csv_rows(path, tmp_path / "usage.csv", finest="minute")

    assert [row["level"] for row in rows] == ["day"] + ["hour"] * 3 + ["minute"] * 9
    assert sum(int(row["output_tokens"] or 0) for row in rows) == 9 * 100_000
    assert rows[0]["start_utc"] == "2026-01-16T00:00:00Z"
    assert {(row["currency"], row["readings"]) for row in rows} == {("EUR", "measured")}


def test_what_is_not_known_is_an_empty_cell(path, tmp_path):
    """An idle minute has tokens that nobody counted, which is not 0."""
    rows = csv_rows(
        path, tmp_path / "usage.csv", finest="minute", first="2026-01-18T08:01", last="2026-01-18T08:02"
    )

    assert len(rows) == 1
    assert rows[0]["output_tokens"] == ""
    assert rows[0]["idle_loaded_joules"] == "1200.0"


@pytest.mark.parametrize("finest", ["minute", "hour", "day"])
@pytest.mark.parametrize("table", ["usage", "api", "client", "gpu", "engine", "meter", "host"])
def test_spans_that_meet_share_nothing(path, tmp_path, table, finest):
    """Two exports on both sides of a moment hold what one over both does."""
    whole = csv_rows(path, tmp_path / "whole.csv", finest=finest, table=table)
    noon = "2026-01-18T00:00Z"
    parts = [
        csv_rows(path, tmp_path / f"{number}.csv", finest=finest, table=table, **span)
        for number, span in enumerate(({"last": noon}, {"first": noon}))
    ]

    assert whole == [*parts[0], *parts[1]]
    assert parts[0]
    assert parts[1]


def test_days_are_of_the_site_and_the_last_one_belongs_to_the_span(path, tmp_path):
    """One day is asked for by its date in both options."""
    rows = csv_rows(path, tmp_path / "day.csv", first="2026-01-18", last="2026-01-18")

    assert [row["start_utc"][11:13] for row in rows] == ["00", "08", "23"]


def test_a_formula_in_a_name_stays_text(tmp_path):
    """An engine's word for its model runs nothing in a spreadsheet."""
    path = tmp_path / "history.db"
    with closing(History(path, currency="EUR")) as history:
        history.write(tick({(FIRST_DAY, "chat", "=cmd|' /C calc'!A0"): served()}))

    assert csv_rows(path, tmp_path / "usage.csv")[0]["model"] == "'=cmd|' /C calc'!A0"


def test_parquet_has_types_and_says_its_currency(path, tmp_path):
    """Counts are integers, moments are moments, and nothing known is null; DuckDB reads it as it is."""
    output = export(path, tmp_path / "usage.parquet", "parquet", finest="minute")

    table = parquet.read_table(output)
    assert table.schema.metadata[b"currency"] == b"EUR"
    assert table.column("start_utc")[0].as_py() == datetime.fromtimestamp(FIRST_DAY, UTC)
    assert table.column("output_tokens").to_pylist().count(None) == 6
    (found,) = duckdb.sql(
        f"SELECT sum(output_tokens), typeof(any_value(energy_cost)) FROM '{output}'"
    ).fetchall()
    assert found == (9 * 100_000, "DOUBLE")


def test_duckdb_reads_the_csv(path, tmp_path):
    """It finds out the types by itself."""
    output = export(path, tmp_path / "usage.csv", "csv")

    (found,) = duckdb.sql(
        f"SELECT typeof(any_value(start_utc)), sum(active_joules) FROM '{output}'"
    ).fetchall()
    assert found == ("TIMESTAMP WITH TIME ZONE", 9 * 6_000.0)


def test_lines_hold_all_tables_day_by_day(path, tmp_path):
    """The head says what it is, each day ends with its number of rows, and so does the file."""
    lines = [
        json.loads(line) for line in export(path, tmp_path / "all.jsonl", "jsonl").read_text().splitlines()
    ]

    assert lines[0]["evenwatt_export"] == 1
    assert (lines[0]["currency"], lines[0]["readings"]) == ("EUR", "measured")
    ends = [line for line in lines if "end_of_day" in line]
    assert [line["end_of_day"] for line in ends] == [FIRST_DAY + day * DAY for day in range(3)]
    assert lines[-1] == {"end_of_file": True, "rows": len(lines) - 5}
    assert all(None not in line.values() for line in lines[1:])
    assert {line["table"] for line in lines if "table" in line} >= {
        "usage",
        "api",
        "client",
        "gpu",
        "host",
        "event",
    }


def test_nothing_is_left_where_an_export_fails(path, tmp_path):
    """A folder that is not there is told with what to do, and no part of a file stays anywhere."""
    with pytest.raises(
        ExchangeError, match=r"nowhere/u.csv: cannot be written .*; name a file in a folder of yours"
    ):
        export(path, tmp_path / "nowhere" / "u.csv", "csv")

    assert {file.name for file in tmp_path.iterdir()} <= {
        f"history.db{ending}" for ending in ("", "-wal", "-shm", ".lock")
    }


def test_a_file_that_is_there_is_replaced_only_by_a_whole_one(path, tmp_path):
    """What was exported before stays while the next export is not done."""
    output = tmp_path / "usage.csv"
    output.write_text("before")

    class Interrupted(BaseException):
        pass

    def interrupt(_):
        assert output.read_text() == "before"
        raise Interrupted

    asked = Export(form="csv", first=None, last=None, finest=None, table="usage", labels=(), account=None)
    with pytest.raises(Interrupted):
        asked.write(settings_for(path), path, output, interrupt)

    assert output.read_text() == "before"
    assert [file.name for file in tmp_path.iterdir() if file.name.endswith(".part")] == []


def test_a_time_that_the_history_does_not_hold_is_told(path, tmp_path):
    """With what it does hold."""
    with pytest.raises(ExchangeError, match="holds nothing of that time; it reaches from 2026-01-16"):
        export(path, tmp_path / "u.csv", "csv", first="2030-01-01")


def test_an_empty_history_is_told(tmp_path):
    """There is no export of nothing."""
    write_days(tmp_path / "history.db")
    with pytest.raises(ExchangeError, match="the history is empty"):
        export(tmp_path / "history.db", tmp_path / "u.csv", "csv")
