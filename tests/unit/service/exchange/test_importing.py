"""What a history takes from another one: what it lacks, once, whatever happens in between."""

import json
import random
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import UTC
from zoneinfo import ZoneInfo

import pytest
from sqlite_utils import Database

from evenwatt.errors import ExchangeError, HistoryError
from evenwatt.ledger import HostUse, Posting, Usage
from evenwatt.service.billing import priced
from evenwatt.service.exchange.exporting import Export
from evenwatt.service.exchange.importing import import_file
from evenwatt.sinks.history import History
from evenwatt.sinks.history.migrations import migrations
from exported_history import (
    CONFIG,
    DAY,
    FIRST_DAY,
    HOUR,
    OWNER,
    add_price,
    contents,
    settings_for,
    write_days,
    write_kept,
)
from sink_fixtures import BOOK, served, tick


def lines_of(path, **asked):
    """Export a history as lines, beside it."""
    output = path.with_suffix(".jsonl")
    values = {"first": None, "last": None, "finest": None, "table": "usage", "labels": (), "account": None}
    Export(form="jsonl", **{**values, **asked}).write(settings_for(path), path, output, lambda _: None)
    return output


def take(source, into):
    """Import a file and return what became of it."""
    return import_file(source, into, zone=UTC, advance=lambda _: None).merged


def levels(path):
    """Return all rows of all levels, without what is kept beside them."""
    return contents(path, beside=())


@pytest.fixture
def path(tmp_path):
    """A history of which days, hours and minutes are kept, one after the other."""
    path = tmp_path / "history.db"
    write_kept(path)
    add_price(path, "flat", 0.0)
    return path


@pytest.fixture
def new(tmp_path):
    """Where nothing is yet."""
    return tmp_path / "new.db"


@pytest.mark.parametrize("form", ["lines", "history"])
def test_a_history_is_restored_whole(path, new, form):
    """All levels, events and prices are as they were, and the life of the history adds up to the same."""
    took = take(lines_of(path) if form == "lines" else path, new)

    restored, there = contents(new), contents(path)
    events = [row for row in restored.pop("event") if row[1] != "import"]
    assert events == there.pop("event")
    assert restored == there
    assert (took.taken_seconds, took.known_seconds) == (27 * 60.0, 0.0)


def test_an_import_tells_what_it_did(path, new):
    """Once, in the events, and not again where there was nothing to take."""
    for _ in range(2):
        take(path, new)
    with closing(sqlite3.connect(new)) as database:
        told = database.execute("SELECT text FROM event WHERE kind = 'import'").fetchall()

    assert told == [("0.5 hours that were missing here are taken from history.db",)]


@pytest.mark.parametrize("times", [2, 3])
def test_nothing_is_counted_twice(path, new, times):
    """Whatever was taken is there, and stays as it is."""
    take(path, new)
    once = contents(new)
    for _ in range(times - 1):
        assert take(path, new).taken_seconds == 0.0
        assert take(lines_of(path), new).known_seconds == 27 * 60.0

    assert contents(new) == once


def test_a_server_that_moved_has_one_history(tmp_path, path):
    """What the old machine counted comes before what the new one has counted since, as if they were one."""
    old, new, whole = (tmp_path / f"{name}.db" for name in ("old", "new", "whole"))
    write_days(old, 0, 1, machine="one")
    write_days(new, 2, machine="two")
    write_days(whole, 0, 1, 2)
    take(old, new)

    assert levels(new) == levels(whole)


def test_a_copy_that_both_went_on_from_is_counted_once(tmp_path):
    """Days that both have are the same days; only those of the other one come to them."""
    mine, copy, whole = (tmp_path / f"{name}.db" for name in ("mine", "copy", "whole"))
    write_days(mine, 0)
    write_days(copy, 0)
    write_days(mine, 1)
    write_days(copy, 2)
    write_days(whole, 0, 1, 2)
    took = take(copy, mine)

    assert levels(mine) == levels(whole)
    assert took.known_seconds == took.taken_seconds == 9 * 60.0


def test_minutes_that_are_missing_within_an_hour_are_taken(tmp_path):
    """An hour of which each has a part is put together of both."""
    mine, other, whole = (tmp_path / f"{name}.db" for name in ("mine", "other", "whole"))
    write_days(mine, 0, minutes=(0, 1))
    write_days(other, 0, minutes=(0, 1, 2, 3))
    write_days(whole, 0, minutes=(0, 1, 2, 3))
    take(other, mine)

    assert levels(mine) == levels(whole)


def test_an_hour_that_is_known_in_part_and_has_no_minutes_stays(tmp_path):
    """Which part of it is missing cannot be told, so nothing of it is taken."""
    mine, other = (tmp_path / f"{name}.db" for name in ("mine", "other"))
    write_days(mine, 0, minutes=(0, 1))
    write_kept(other)
    before = levels(mine)
    with closing(sqlite3.connect(other)) as database, database:
        database.execute("DELETE FROM day_host WHERE day > ?", (FIRST_DAY,))
        database.execute("DELETE FROM hour_host")
        database.execute("DELETE FROM minute_host")
        for level in ("hour", "minute"):
            for table in ("usage", "api", "client", "gpu", "engine", "meter"):
                database.execute(f"DELETE FROM {level}_{table}")
        database.execute("INSERT INTO hour_host VALUES (?, 180, 0, 0)", (FIRST_DAY,))
    took = take(other, mine)

    assert took.taken_seconds == 0.0
    assert levels(mine) == before


def test_a_gap_that_was_spread_out_is_known(tmp_path):
    """An absence is booked by quarter hours: minutes of it that another history watched would count twice."""
    mine, other = (tmp_path / f"{name}.db" for name in ("mine", "other"))
    quarter = Posting(
        usage={(FIRST_DAY, *OWNER): Usage(idle_loaded_joules=9.0, idle_loaded_seconds=900.0, estimated=1)},
        hosts={FIRST_DAY: HostUse(seconds=900.0, down_seconds=0.0, estimated_seconds=900.0)},
    )
    with closing(History(mine, currency="EUR")) as history:
        history.write(priced(quarter, BOOK))
    with closing(History(other, currency="EUR")) as history:
        for minute in (FIRST_DAY + 14 * 60, FIRST_DAY + 15 * 60):
            history.write(tick({(minute, *OWNER): served()}))
    took = take(other, mine)

    assert (took.taken_seconds, took.known_seconds) == (60.0, 60.0)
    # The other way round the step reaches over a minute that is known, and is left out as a whole.
    with closing(History(tmp_path / "third.db", currency="EUR")) as history:
        history.write(tick({(FIRST_DAY + 14 * 60, *OWNER): served()}))
    with closing(sqlite3.connect(mine)) as database, database:
        for level in ("minute", "hour", "day"):
            database.execute(f"DELETE FROM {level}_usage WHERE output_tokens > 0")
    assert take(mine, tmp_path / "third.db").known_seconds >= 900.0


def test_prices_of_a_reference_that_counts_here_stay(tmp_path, path):
    """Prices of elsewhere do not change what is compared with here; those of other references come to it."""
    mine = tmp_path / "mine.db"
    write_days(mine, 0)
    add_price(mine, "flat", 5.0)
    add_price(path, "other", 7.0)
    take(path, mine)

    assert {(row[0], row[1]) for row in contents(mine)["price"]} == {("flat", 5.0), ("other", 7.0)}


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        (
            "UPDATE setting SET value = 'USD' WHERE name = 'currency'",
            "its money is in USD, that of .* in EUR",
        ),
        ("UPDATE setting SET value = 'simulated' WHERE name = 'readings'", "holds simulated readings"),
    ],
)
@pytest.mark.parametrize("form", ["lines", "history"])
def test_what_does_not_go_together_is_refused(path, new, tmp_path, sql, words, form):
    """Money of two currencies, and measured readings with made-up ones; nothing is written."""
    write_days(new, 0)
    before = contents(new)
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(sql)
    with pytest.raises(ExchangeError, match=words):
        take(lines_of(path) if form == "lines" else path, new)

    assert contents(new) == before


def test_a_history_is_not_imported_into_itself(path):
    """Also not by another name of it."""
    with pytest.raises(ExchangeError, match="is this history itself"):
        take(path.parent / "." / path.name, path)


@pytest.mark.parametrize(
    "text", [b"", b"\n", b"start_utc,level\n", b"\x00" * 4_000, b"{}\n", b"[1]\n", b'{"a":']
)
def test_what_is_no_export_is_told(tmp_path, new, text):
    """With what import takes; a CSV of ours is none, as it holds one table of many."""
    file = tmp_path / "file"
    file.write_bytes(text)
    with pytest.raises(ExchangeError, match="is no export of evenwatt; import takes what"):
        take(file, new)

    assert not new.exists()


def test_a_line_of_ten_thousand_lists_is_told(path, new):
    """What is nested beyond all bounds ends no command with a traceback."""
    file = lines_of(path)
    file.write_bytes(file.read_bytes().replace(b"\n", b"\n" + b"[" * 10_000 + b"]" * 10_000 + b"\n", 1))
    with pytest.raises(ExchangeError, match="line 2: no JSON"):
        take(file, new)


def test_a_file_that_is_not_there_is_told(tmp_path, new):
    """With its path."""
    with pytest.raises(ExchangeError, match=r"nothing: cannot be read \(No such file or directory\)"):
        take(tmp_path / "nothing", new)


def change(file, number, **values):
    """Change a line of an export; a value of None takes the name out."""
    lines = file.read_text().splitlines(keepends=True)
    line = {**json.loads(lines[number]), **values}
    lines[number] = json.dumps({name: value for name, value in line.items() if value is not None}) + "\n"
    file.write_text("".join(lines))


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"engine": 3}, "line 2: engine is 3, expected text"),
        ({"engine": None}, "line 2: no engine, expected it"),
        ({"day": 7}, "line 2: day is 7, expected the beginning of a day of UTC"),
        ({"day": -86_400}, "line 2: day is -86400, expected whole seconds since 1970"),
        ({"day": 10**15}, "line 2: day is 1000000000000000, expected whole seconds"),
        ({"day": None}, "line 2: no time, expected one of minute, hour, day"),
        ({"output_tokens": "many"}, "line 2: output_tokens is 'many', expected a number"),
        ({"output_tokens": True}, "line 2: output_tokens is True, expected a number"),
        ({"output_tokens": -5}, "line 2: output_tokens is -5, expected a number that is not negative"),
        (
            {"output_tokens": 10**30},
            "line 2: output_tokens is 1000000000000000000000000000000, expected a number of at most 63",
        ),
        ({"flavour": 1}, "line 2: 'flavour' is not known to this evenwatt, so a newer one has written it"),
        ({"table": "sqlite_master"}, "line 2: table 'sqlite_master', expected one that this evenwatt knows"),
    ],
)
def test_a_line_that_was_changed_is_told(path, new, values, words):
    """With its number, what was found and what is expected; nothing of its day is written."""
    file = lines_of(path)
    change(file, 1, **values)
    with pytest.raises(ExchangeError, match=words):
        take(file, new)

    assert levels(new)["day_usage"] == []


@pytest.mark.parametrize(
    ("table", "values", "words"),
    [
        ("price", {"input_usd_per_mtok": "cheap"}, "input_usd_per_mtok is 'cheap', expected a number"),
        ("price", {"input_usd_per_mtok": -1}, "input_usd_per_mtok is -1, expected a number that is not neg"),
        ("price", {"valid_from_utc_seconds": [0]}, r"valid_from_utc_seconds is \[0\], expected a number"),
        ("price", {"reference": {}}, "reference is {}, expected text"),
        ("event", {"text": 1}, "text is 1, expected text"),
        ("event", {"utc_seconds": True}, "utc_seconds is True, expected a number"),
        ("event", {"utc_seconds": 1e300}, r"utc_seconds is 1e\+300, expected a number that is not neg"),
    ],
)
def test_a_line_beside_the_days_that_was_changed_is_told(path, new, table, values, words):
    """Prices and events are judged as rows of days are."""
    file = lines_of(path)
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    number = next(number for number, line in enumerate(lines) if line.get("table") == table)
    change(file, number, **values)
    with pytest.raises(ExchangeError, match=f"line {number + 1}: {words}"):
        take(file, new)

    assert contents(new)["price"] == []


def test_a_table_cannot_hold_a_real_where_it_counts(path, new):
    """Half a token is refused by the history itself, in words."""
    file = lines_of(path)
    change(file, 1, output_tokens=0.5)
    with pytest.raises(HistoryError, match=r"cannot be written: .*output_tokens"):
        take(file, new)


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity"])
def test_a_number_that_is_none_is_refused(path, new, text):
    """JSON knows no infinity."""
    file = lines_of(path)
    file.write_text(file.read_text().replace('"active_joules":6000.0', f'"active_joules":{text}', 1))
    with pytest.raises(ExchangeError, match=r"line [0-9]+: no JSON"):
        take(file, new)


def test_a_newer_export_is_refused(path, new):
    """With what can be done."""
    file = lines_of(path)
    change(file, 0, evenwatt_export=2)
    with pytest.raises(
        ExchangeError, match="is an export of format 2, and this evenwatt knows 1; import it with"
    ):
        take(file, new)


def test_a_file_that_is_cut_short_anywhere_is_taken_day_by_day(path, tmp_path):
    """Whole days before the cut are there, no part of another; the whole file afterwards makes it whole."""
    file = lines_of(path)
    text = file.read_bytes()
    whole = tmp_path / "whole.db"
    take(file, whole)
    chance = random.Random(6)
    for number in range(12):
        new = tmp_path / f"new-{number}.db"
        cut = tmp_path / "cut.jsonl"
        cut.write_bytes(text[: chance.randrange(400, len(text) - 1)])
        with pytest.raises(ExchangeError, match=r"cut short|has no end"):
            take(cut, new)
        parts = levels(new)
        assert set(parts["day_host"]) <= set(levels(whole)["day_host"])
        assert set(parts["minute_usage"]) in (set(), set(levels(whole)["minute_usage"]))

        take(file, new)

        assert levels(new) == levels(whole)


def test_it_can_be_interrupted_and_done_again(path, tmp_path):
    """After each day, what is written is whole; the next import takes the rest."""

    class Interrupted(BaseException):
        pass

    whole = tmp_path / "whole.db"
    take(path, whole)
    for days in range(1, 4):
        new, left = tmp_path / f"new-{days}.db", [days]

        def interrupt(_, left=left):
            left[0] -= 1
            if not left[0]:
                raise Interrupted

        with pytest.raises(Interrupted):
            import_file(path, new, zone=UTC, advance=interrupt)
        assert len(levels(new)["day_host"]) == days
        take(path, new)

        assert levels(new) == levels(whole)


def test_an_agent_may_write_meanwhile(path, new):
    """The history is open for writing elsewhere, and both are in it afterwards."""
    with closing(History(new, currency="EUR")) as history:
        later = FIRST_DAY + 10 * DAY
        history.write(tick({(later, *OWNER): served()}))
        take(path, new)
        history.write(tick({(later + HOUR, *OWNER): served()}))

        assert history.totals().usage[OWNER].output_tokens == 11 * 100_000
        assert "import" in {event.kind for event in history.events(limit=20)}


def test_what_happened_before_is_not_shown_as_new(tmp_path):
    """Events of an old history come before those that are here, and those of a newer one after them."""
    for name, mine, other in (("old", 1, 0), ("new", 0, 1)):
        path, source = tmp_path / f"{name}.db", tmp_path / f"{name}-other.db"
        write_days(path, mine)
        write_days(source, other)
        take(source, path)
        with closing(History(path, currency="EUR")) as history:
            at = [event.utc_seconds for event in history.events(limit=99) if event.kind == "gap"]

        assert at == sorted(at, reverse=True)
        assert len(at) == 6


def test_what_is_forgotten_here_stays_forgotten(tmp_path, path):
    """Minutes of a time of which this history keeps hours come to its hours."""
    mine, whole = tmp_path / "mine.db", tmp_path / "whole.db"
    for file in (mine, whole):
        write_days(file, *((1, 2) if file == mine else (0, 1, 2)))
        with closing(History(file, currency="EUR")) as history:
            while history.forget_some({"minute": FIRST_DAY + 2 * DAY, "hour": 0}):
                pass
    old = tmp_path / "old.db"
    write_days(old, 0)
    take(old, mine)

    assert levels(mine) == levels(whole)


def test_from_when_on_minutes_are_kept_is_one_moment(tmp_path):
    """Where hours come without minutes after minutes that are here, those become hours too."""
    mine, other, whole = (tmp_path / f"{name}.db" for name in ("mine", "other", "whole"))
    write_days(mine, 0)
    write_days(other, 1)
    write_days(whole, 0, 1)
    for file in (other, whole):
        with closing(History(file, currency="EUR")) as history:
            while history.forget_some({"minute": FIRST_DAY + 2 * DAY, "hour": 0}):
                pass
    take(other, mine)

    assert levels(mine) == levels(whole)


def test_days_of_the_site_are_those_of_its_calendar(tmp_path):
    """An old history by another clock comes to the days of this one, hour by hour."""
    berlin = ZoneInfo("Europe/Berlin")
    mine, whole = tmp_path / "mine.db", tmp_path / "whole.db"
    old = tmp_path / "old.db"
    write_days(old, 0, 1)
    with closing(History(mine, currency="EUR", zone=berlin)):
        pass
    import_file(old, mine, zone=UTC, advance=lambda _: None)
    write_days(whole, 0, 1)
    with closing(History(whole, currency="EUR", zone=berlin)):
        pass

    assert levels(mine) == levels(whole)
    assert len(levels(mine)["local_day_host"]) == 3


def test_a_history_of_an_older_release_is_taken_in(tmp_path, new):
    """The server that moved ran an older evenwatt: its file is read as after an upgrade, and stays."""
    old = tmp_path / "old.db"
    database = Database(old)
    migrations.apply(database, stop_before="m003_host_energy")
    with database.conn:
        database.execute("INSERT INTO setting VALUES ('currency', 'EUR'), ('readings', 'measured')")
        for level, at in (("minute", FIRST_DAY + 60), ("hour", FIRST_DAY)):
            database.execute(f"INSERT INTO {level}_host VALUES (?, 60, 0, 0)", (at,))
            database.execute(
                f"INSERT INTO {level}_usage ({level}, engine, model, output_tokens) VALUES (?, ?, ?, 7)",
                (at, *OWNER),
            )
    database.conn.close()
    before = old.read_bytes()

    assert take(old, new).taken_seconds == 60.0
    with closing(History(new, currency="EUR")) as history:
        assert history.totals().usage[OWNER].output_tokens == 7
    assert old.read_bytes() == before


def test_another_database_is_no_history(tmp_path, new):
    """It is told for what it is, and nothing is begun."""
    other = tmp_path / "other.db"
    with closing(sqlite3.connect(other)) as database, database:
        database.execute("CREATE TABLE t (a)")
    with pytest.raises(HistoryError, match="is a database, but no history of evenwatt"):
        take(other, new)

    assert not new.exists()


PEAK = """
import resource, sys
from evenwatt.cli.whole import app
for arguments in (["export", "-f", "jsonl", "-o", "all"], ["import", "all", "--history", "new.db"]):
    app([*arguments, "-c", "config.yaml"], standalone_mode=False)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)
"""


def test_memory_does_not_grow_with_the_time(tmp_path):
    """Twelve days are exported and imported with the memory of one."""
    peaks = []
    for days in (1, 12):
        folder = tmp_path / f"{days}"
        folder.mkdir()
        write_full_days(folder / "history.db", days)
        (folder / "config.yaml").write_text(CONFIG.format(history=folder / "history.db"))
        told = subprocess.run(
            [sys.executable, "-c", PEAK], cwd=folder, capture_output=True, text=True, timeout=120, check=True
        )
        peaks.append(int(told.stderr))

    assert peaks[1] - peaks[0] < 8 * 1024


def write_full_days(path, days):
    """Write days of 480 minutes, each of which takes some kilobytes while it is read."""
    with closing(History(path, currency="EUR")) as history:
        for day in range(days):
            begin = FIRST_DAY + day * DAY
            history.write(tick({(begin + 180 * minute, *OWNER): served() for minute in range(480)}))
