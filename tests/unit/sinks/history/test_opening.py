"""A history is opened by one agent alone, refused where it holds something else, set aside where corrupt."""

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from evenwatt.errors import HistoryError, HistoryInUse
from evenwatt.sinks.history import History, history_beside, writer_pid
from evenwatt.sinks.history.copying import copy_history, up_to_date_copy
from sink_fixtures import HOUR, served, tick

HOLD = """
import sys
from pathlib import Path
from evenwatt.sinks.history import History
history = History(Path(sys.argv[1]), currency="EUR")
print("open", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def path(tmp_path):
    """Where the history is."""
    return tmp_path / "deep" / "history.db"


@pytest.fixture
def other_agent(path):
    """A process that writes the history, until its standard input is closed."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "open\n"
        yield process


LAST_WRITTEN = HOUR


def opened(path, **options):
    """Open a history and return it, closed at the end of a `with`."""
    return closing(History(path, **{"currency": "EUR", **options}))


def filled(path):
    """Begin a history with one tick, and close it."""
    with opened(path) as history:
        history.write(tick({(HOUR, "chat", "small"): served()}))


def test_its_folder_is_made(path):
    """A history is begun where nothing is yet, and nothing is set aside."""
    with opened(path) as history:
        assert path.exists()
        assert history.set_aside is None


def test_a_second_agent_is_refused_with_the_first_ones_pid(path, other_agent):
    """Two agents on one history would count twice: the second hears who the first is."""
    with pytest.raises(HistoryInUse, match=f"PID {other_agent.pid}") as error:
        History(path, currency="EUR")

    assert error.value.pid == other_agent.pid
    assert writer_pid(path) == other_agent.pid


def test_a_dead_agent_holds_nothing(path, other_agent):
    """The lock of an agent that was killed is free at once."""
    other_agent.kill()
    other_agent.wait()

    assert writer_pid(path) is None
    with opened(path):
        assert writer_pid(path) == os.getpid()


def test_nobody_writes_a_history_that_is_not_there(path):
    """Where there is no history there is no writer."""
    assert writer_pid(path) is None
    with opened(path):
        pass
    assert writer_pid(path) is None


def test_a_refused_agent_leaves_the_lock_alone(path, other_agent):
    """Asking does not take the PID of the holder away."""
    for _ in range(2):
        with pytest.raises(HistoryInUse):
            History(path, currency="EUR")

    assert writer_pid(path) == other_agent.pid


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"currency": "USD"}, "its money is in EUR, the configuration says currency: USD"),
        ({"simulated": True}, "holds measured readings, and simulated ones are never mixed"),
    ],
)
def test_a_history_of_something_else_is_refused(path, options, words):
    """Money of another currency, or made-up readings, do not come to what is there; nothing stays locked."""
    filled(path)
    with pytest.raises(HistoryError, match=words):
        History(path, **{"currency": "EUR", **options})

    with opened(path) as history:
        assert history.totals().usage


def test_a_newer_history_is_refused(path):
    """A schema step that is not known here is told by its name, with the file and what to do."""
    filled(path)
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(
            "INSERT INTO _sqlite_migrations (migration_set, name, applied_at)"
            " VALUES ('evenwatt', 'm999_more', '')"
        )
    with pytest.raises(HistoryError, match="newer evenwatt") as error:
        History(path, currency="EUR")

    assert str(path) in str(error.value)
    assert "m999_more" in str(error.value)
    assert writer_pid(path) is None


def test_a_file_that_is_no_database_is_set_aside(path):
    """What cannot be read is kept under a free name with its time, and a new history is begun."""
    path.parent.mkdir()
    for number, suffix in ((1, ""), (2, "-2")):
        path.write_bytes(b"not a database: " * 100 + b"%d" % number)
        os.utime(path, (LAST_WRITTEN, LAST_WRITTEN))
        with opened(path) as history:
            assert history.set_aside == path.with_name(f"history.db.corrupt-20270115T080000Z{suffix}")
            assert not history.totals().usage
        assert history.set_aside.read_bytes().endswith(b"%d" % number)


def damage(path):
    """Overwrite the middle of a database."""
    with path.open("r+b") as file:
        file.seek(8 * 4_096)
        file.write(b"\xff" * 8 * 4_096)


def test_a_database_that_is_damaged_within_is_set_aside(path):
    """Damage in the middle of the file is found at the start, and not by a tick."""
    filled(path)
    damage(path)

    with opened(path) as history:
        assert history.set_aside.name.startswith("history.db.corrupt-20")
        history.write(tick({(HOUR, "chat", "small"): served()}))


def damage_names(path):
    """Make the names of tables ones that are no text."""
    content = path.read_bytes()
    assert b"CREATE TABLE " in content
    path.write_bytes(content.replace(b"CREATE TABLE ", b"CREATE TABLE\xff"))


def test_names_of_tables_that_are_damaged_are_told_and_set_aside(path, tmp_path):
    """SQLite quotes what it cannot read, and Python cannot decode that: it is damage, and no crash loop."""
    filled(path)
    damage_names(path)

    for read in (
        lambda: history_beside(path).__enter__(),
        lambda: copy_history(path, tmp_path / "copy", advance=lambda _: None),
        lambda: up_to_date_copy(path).__enter__(),
    ):
        with pytest.raises(HistoryError, match="malformed"):
            read()
    with opened(path) as history:
        assert history.set_aside.name.startswith("history.db.corrupt-20")


@pytest.mark.parametrize(
    ("written", "flipped"),
    [
        (b"energy_joules", b"energy_jou\xecges"),
        (b"idle_loaded_seconds", b"idle_loaded_sesonds"),
        (b'{"', b"{\x1a"),
    ],
    ids=["no text", "another name", "a cursor"],
)
def test_a_flipped_byte_that_sqlite_does_not_see_is_no_crash_loop(path, written, flipped):
    """The name of a column, or a cursor: the history is set aside, and another one begun."""
    with opened(path) as history:
        history.write(tick({(HOUR, "chat", "small"): served()}, cursors={"machine": {"number": 1}}))
    content = path.read_bytes()
    assert content.count(written)
    path.write_bytes(content.replace(written, flipped))

    with opened(path) as history:
        assert history.set_aside is not None
        assert history.cursors() == {}
        history.write(tick({(HOUR, "chat", "small"): served()}))


def test_a_database_that_is_damaged_while_it_is_written_is_set_aside(path):
    """A page that goes bad is found by a tick: that one fails, and the next is in a new history."""
    with opened(path) as history:
        for minute in range(0, 6_000, 60):
            history.write(tick({(HOUR + minute, "chat", "small"): served()}))
        history._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        with path.open("r+b") as file:
            file.seek(4_096)
            file.write(b"\xff" * (path.stat().st_size - 4_096))
        history._connection.execute("PRAGMA shrink_memory")
        faults = []
        for _ in range(3):
            try:
                history.write(tick({(HOUR, "chat", "small"): served()}))
            except HistoryError as error:
                faults.append(str(error))

        assert "malformed" in faults[0]
        assert str(history.set_aside) in faults[1]
        assert len(faults) == 2
        assert history.totals().usage["chat", "small"].output_tokens == 100_000


def test_the_files_beside_a_corrupt_database_go_with_it(path):
    """While somebody else reads it, the write-ahead files stay with the database that they belong to."""
    filled(path)
    with closing(sqlite3.connect(path)) as reader:
        reader.execute("SELECT * FROM setting").fetchall()
        damage(path)
        with opened(path) as history:
            history.write(tick({(HOUR, "chat", "small"): served()}))

            for suffix in ("-shm", "-wal"):
                assert path.with_name(history.set_aside.name + suffix).exists()
            assert history.totals().usage


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo])
def test_what_is_no_regular_file_is_no_history(path, make):
    """What is in the way is told for what it is and left where it is, without a lock beside it."""
    path.parent.mkdir()
    make(path)
    with pytest.raises(HistoryError, match=r"history\.db: is no regular file.*; set history\.path"):
        History(path, currency="EUR")

    assert list(path.parent.iterdir()) == [path]


def test_a_folder_that_cannot_be_made_is_told(tmp_path):
    """A file where the folder should be is told with the path."""
    (tmp_path / "file").write_text("")
    path = tmp_path / "file" / "history.db"
    with pytest.raises(HistoryError, match="its folder cannot be made") as error:
        History(path, currency="EUR")

    assert str(path) in str(error.value)


def test_a_locked_history_is_told_at_the_start(path):
    """A database that another program holds stops the start in words, and is not taken for corrupt."""
    filled(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(HistoryError, match="database is locked"):
            History(path, currency="EUR")
        other.execute("ROLLBACK")

    with opened(path) as history:
        assert history.set_aside is None
        assert history.totals().usage


def test_a_history_of_another_machine_goes_on_without_its_cursors(tmp_path):
    """Counters that were read elsewhere are no place to count from here; what was booked stays."""
    path = tmp_path / "history.db"
    with closing(History(path, currency="EUR", machine="one")) as history:
        history.write(tick({(HOUR, "chat", "small"): served()}, cursors={"engine:chat": {"a": 1}}))
    with closing(History(path, currency="EUR", machine="one")) as history:
        assert history.cursors() == {"engine:chat": {"a": 1}}
        assert not history.was_moved

    with closing(History(path, currency="EUR", machine="two")) as history:
        assert history.cursors() == {}
        assert history.was_moved
        assert history.totals().usage["chat", "small"].output_tokens == 100_000
    with closing(History(path, currency="EUR", machine="two")) as history:
        assert not history.was_moved
