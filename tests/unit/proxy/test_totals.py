"""Totals: shown once they are on the disk, kept while they cannot be written, the same after a restart."""

import asyncio
import sqlite3

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evenwatt.errors import EvenwattError
from evenwatt.proxy.state import StateFolder
from evenwatt.proxy.totals import Finished, Sums, Totals

OWNER = Finished("m", "other", "local", "completed", "exact")
COUNTS = st.none() | st.integers(0, 1_000)
SUMS = st.builds(
    Sums,
    requests=st.just(1),
    input_tokens=COUNTS,
    cached_input_tokens=COUNTS,
    output_tokens=COUNTS,
    reasoning_tokens=COUNTS,
)


def used(folder, use):
    """Open the totals of a folder, run a coroutine function on them, close them, return its result."""

    async def run():
        totals = Totals(StateFolder(folder))
        try:
            return await use(totals)
        finally:
            await totals.close()

    return asyncio.run(run())


def test_what_is_added_is_shown_when_it_is_written(tmp_path):
    """Nothing is shown before, and it is there for the next process."""

    async def add(totals):
        written = totals.add(OWNER, Sums(requests=1, input_tokens=5, output_tokens=3))
        before = dict(totals.shown)
        await written
        return before, dict(totals.shown)

    before, after = used(tmp_path, add)

    async def look(totals):
        return dict(totals.shown)

    assert before == {}
    assert after == {OWNER: Sums(requests=1, input_tokens=5, output_tokens=3)}
    assert used(tmp_path, look) == after


@given(st.lists(SUMS, max_size=12))
def test_the_database_adds_up_as_the_values_do(tmp_path_factory, added):
    """What is known adds up; what no request told stays unknown, also in SQL."""
    folder = tmp_path_factory.mktemp("state")

    async def add(totals):
        for sums in added:
            await totals.add(OWNER, sums)

    used(folder, add)

    async def look(totals):
        return totals.shown.get(OWNER, Sums())

    assert used(folder, look) == sum(added, Sums())


class Broken(StateFolder):
    """A folder on a disk that is full until it is mended."""

    is_full = True

    def write(self, statement, rows):
        if self.is_full:
            raise sqlite3.OperationalError("database or disk is full")
        super().write(statement, rows)


def test_a_full_disk_delays_what_is_shown_and_nobody_waits_for_it(tmp_path):
    """Added meanwhile, written later, counted once."""

    async def run():
        folder = Broken(tmp_path)
        totals = Totals(folder)
        await totals.add(OWNER, Sums(requests=1, output_tokens=1))
        at_once = totals.add(OWNER, Sums(requests=1, output_tokens=1)).done()
        full = (dict(totals.shown), totals.unwritten, totals.fault)
        folder.is_full = False
        await totals.close()
        await asyncio.sleep(0)  # what the writing thread told last
        shown = dict(totals.shown)
        return at_once, full, shown, totals.fault

    at_once, full, shown, fault = asyncio.run(run())

    assert at_once
    assert full == ({}, 2, "database or disk is full")
    assert shown == {OWNER: Sums(requests=2, output_tokens=2)}
    assert fault is None


def test_one_folder_is_for_one_process(tmp_path):
    """Two of them would count twice."""
    first = StateFolder(tmp_path)

    with pytest.raises(EvenwattError, match="in use by another proxy"):
        StateFolder(tmp_path)

    first.close()
    StateFolder(tmp_path).close()


def test_a_folder_keeps_its_secret_and_its_beginning(tmp_path):
    """The same keys hash to the same, and nobody else may read what they are hashed with."""
    first = StateFolder(tmp_path)
    first.close()
    second = StateFolder(tmp_path)
    second.close()

    assert first.secret == second.secret
    assert first.counting_since_utc_seconds == second.counting_since_utc_seconds
    assert (tmp_path / "client-keys.secret").stat().st_mode & 0o077 == 0


def test_a_newer_schema_is_refused(tmp_path):
    """What a newer evenwatt wrote is not guessed at."""
    StateFolder(tmp_path).close()
    with sqlite3.connect(tmp_path / "totals.db") as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()

    with pytest.raises(EvenwattError, match="newer evenwatt"):
        StateFolder(tmp_path)


def test_a_folder_that_cannot_be_made_is_told(tmp_path):
    """In one sentence, with what to do."""
    (tmp_path / "file").write_text("")

    with pytest.raises(EvenwattError, match="--state"):
        StateFolder(tmp_path / "file" / "state")
