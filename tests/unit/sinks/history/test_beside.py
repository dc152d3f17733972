"""A history is read beside its agent, or it is said why not."""

import os
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from evenwatt.errors import HistoryError
from evenwatt.sinks.history import History, history_beside, is_there

READ = """
import os, sys
from pathlib import Path
from evenwatt.errors import HistoryError
from evenwatt.sinks.history import history_beside
path = Path(sys.argv[1])
if os.geteuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
try:
    with history_beside(path) as history:
        print(history.totals())
except HistoryError as error:
    print(error)
"""


@pytest.fixture
def path(tmp_path):
    """A history that no agent writes, in a folder of its own."""
    folder = tmp_path / "state"
    folder.mkdir()
    with closing(History(folder / "history.db", currency="EUR")):
        pass
    return folder / "history.db"


def read_as_nobody(path):
    """Return what a user without rights is told who reads a history."""
    for parent in list(path.parents)[1:]:
        if parent.stat().st_uid == os.geteuid() and parent != Path("/"):
            parent.chmod(parent.stat().st_mode | 0o011)
    done = subprocess.run(
        [sys.executable, "-c", READ, str(path)], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.stderr == ""
    return done.stdout


def test_a_closed_folder_is_no_crash(path):
    """Whoever may not look into the agent's folder is told so, and who may."""
    path.parent.chmod(0o000)
    try:
        told = read_as_nobody(path)
    finally:
        path.parent.chmod(0o700)

    assert "cannot be looked up (Permission denied)" in told
    assert "try again as that user, or with sudo" in told


def test_a_folder_that_may_not_be_written_says_what_reading_takes(path):
    """SQLite makes files beside the one that it reads; where it may not, the way out is told."""
    path.chmod(0o444)
    path.parent.chmod(0o555)
    try:
        told = read_as_nobody(path)
    finally:
        path.parent.chmod(0o700)

    assert "while no agent writes it, reading it takes the right to write in its folder" in told


def test_a_path_that_can_be_none_is_told():
    """A name longer than any file's."""
    with pytest.raises(HistoryError, match="cannot be looked up"):
        is_there(Path("/", "a" * 300))


def test_a_folder_is_no_history(tmp_path):
    """A folder in the place of the file."""
    with pytest.raises(HistoryError, match="there is no history yet"), history_beside(tmp_path):
        pass
