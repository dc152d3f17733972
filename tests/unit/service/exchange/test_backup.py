"""A backup is one sound file of one moment, made while the history is written."""

import sqlite3
import stat
import threading
from contextlib import closing

import pytest

from evenwatt.errors import ExchangeError, HistoryError
from evenwatt.service.exchange.backup import back_up
from evenwatt.sinks.history import History
from exported_history import FIRST_DAY, OWNER, contents, write_days
from sink_fixtures import served, tick

MINUTE = 60


@pytest.fixture
def path(tmp_path):
    """A history of two days."""
    path = tmp_path / "history.db"
    write_days(path, 0, 1)
    return path


def copy(path, target, *, replace=False):
    """Make a backup and return its size."""
    return back_up(path, target, replace=replace, advance=lambda _: None)


def test_a_backup_is_the_history_in_one_file(path, tmp_path):
    """With nothing beside it, readable by whom the history is, and no more."""
    path.chmod(0o640)
    folder = tmp_path / "backups"
    folder.mkdir()
    size = copy(path, folder)

    target = folder / "history.db"
    assert [file.name for file in folder.iterdir()] == ["history.db"]
    assert contents(target) == contents(path)
    assert size == target.stat().st_size > 0
    assert stat.S_IMODE(target.stat().st_mode) == 0o640
    with closing(sqlite3.connect(target)) as database:
        assert database.execute("PRAGMA journal_mode").fetchone() == ("delete",)
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_an_agent_goes_on_writing(path, tmp_path):
    """Ticks are written while copies are made, none waits for one, and each copy is of one moment."""
    stop = threading.Event()
    failed = []

    def write():
        with closing(History(path, currency="EUR")) as history:
            minute = FIRST_DAY + 10 * 86_400
            while not stop.is_set():
                minute += MINUTE
                try:
                    history.write(tick({(minute, *OWNER): served()}))
                except HistoryError as error:
                    failed.append(error)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for number in range(10):
            target = tmp_path / f"{number}.db"
            copy(path, target)
            found = contents(target)
            assert len(found["minute_host"]) == sum(row[1] for row in found["total_host"]) / 60
            assert len(found["total_usage"]) == 1
    finally:
        stop.set()
        writer.join()

    assert failed == []


def test_a_restored_backup_is_gone_on_with(path, tmp_path):
    """What the cursors say is in it, so that an agent counts on from where the backup was made."""
    with closing(History(path, currency="EUR", machine="one")) as history:
        history.write(tick({(FIRST_DAY + 3 * 86_400, *OWNER): served()}, cursors={"engine:chat": {"a": 1}}))
        copy(path, tmp_path / "backup.db")
        history.write(tick({(FIRST_DAY + 4 * 86_400, *OWNER): served()}, cursors={"engine:chat": {"a": 2}}))
    path.write_bytes(b"\xff" * 100_000)
    for ending in ("-wal", "-shm"):
        path.with_name(path.name + ending).unlink(missing_ok=True)
    (tmp_path / "backup.db").replace(path)

    with closing(History(path, currency="EUR", machine="one")) as history:
        assert history.set_aside is None
        assert history.cursors() == {"engine:chat": {"a": 1}}
        assert history.totals().usage[OWNER].output_tokens == 7 * 100_000


def test_what_is_there_is_replaced_only_where_that_is_asked_for(path, tmp_path):
    """And only by a whole copy."""
    target = tmp_path / "backup.db"
    target.write_text("precious")
    with pytest.raises(
        ExchangeError, match=r"backup.db: is there already; name another file, or add --replace"
    ):
        copy(path, target)
    assert target.read_text() == "precious"

    copy(path, target, replace=True)

    assert contents(target) == contents(path)


def test_a_history_in_use_is_never_replaced(path, tmp_path):
    """Neither the one that is copied, by whatever name, nor one that another agent writes."""
    link = tmp_path / "link.db"
    link.symlink_to(path)
    other = tmp_path / "other.db"
    with closing(History(other, currency="EUR")):
        for target in (path, link, other):
            with pytest.raises(ExchangeError, match="is a history that is in use; name another file"):
                copy(path, target, replace=True)

    assert contents(path)["total_usage"]


def test_a_damaged_history_gives_no_backup(path, tmp_path):
    """A copy of it would be taken for a good one; what was backed up before stays."""
    target = tmp_path / "backup.db"
    copy(path, target)
    good = target.read_bytes()
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (root,) = database.execute(
            "SELECT rootpage FROM sqlite_master WHERE name = 'minute_usage'"
        ).fetchone()
    with path.open("r+b") as file:
        file.seek((root - 1) * 4_096 + 8)
        file.write(b"\xff" * 4_000)
    with pytest.raises(HistoryError, match=r"is damaged, and so is a copy of it|cannot be copied"):
        copy(path, target, replace=True)

    assert target.read_bytes() == good
    assert not [file for file in tmp_path.iterdir() if file.name.endswith(".part")]


def test_no_history_and_no_folder_are_told(path, tmp_path):
    """With the path of what is missing."""
    with pytest.raises(HistoryError, match=r"nothing.db: there is no history yet"):
        copy(tmp_path / "nothing.db", tmp_path / "backup.db")
    with pytest.raises(ExchangeError, match=r"nowhere/backup.db: cannot be written \(No such file"):
        copy(path, tmp_path / "nowhere" / "backup.db")
