"""New histories in the tests' own process get their tables from the first one that was migrated there."""

import sqlite3
from contextlib import closing
from unittest.mock import patch

import pytest

from evenwatt.sinks.history import schema, store


@pytest.fixture(scope="session", autouse=True)
def _migrated_once():
    """Copy what the migrations made of an empty file: the process they run in takes half a second each time.

    Agents and commands that tests start, and all histories that hold something, are migrated as ever.
    """
    migrate = schema.bring_up_to_date
    with closing(sqlite3.connect(":memory:", check_same_thread=False)) as made:

        def bring_up_to_date(connection, path):
            if schema.missing_steps(connection, path) != schema.STEPS:
                return migrate(connection, path)
            if made.execute("SELECT 1 FROM sqlite_master").fetchone():
                made.backup(connection)
            else:
                assert migrate(connection, path) is None
                connection.backup(made)
            return None

        with patch.object(store, "bring_up_to_date", bring_up_to_date):
            yield
