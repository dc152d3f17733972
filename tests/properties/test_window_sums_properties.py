"""Windows that are carried on from tick to tick, against what the history adds up to, whatever happens."""

import sqlite3
import tempfile
from contextlib import closing, contextmanager, nullcontext
from pathlib import Path
from unittest.mock import patch
from zoneinfo import ZoneInfo

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from msgspec.structs import asdict, replace

from evenwatt.config import Window
from evenwatt.service.accounts import Accounts
from evenwatt.service.windows import SumsSince, window_views
from evenwatt.sinks.history import History, store
from evenwatt.sinks.history.schema import COST_COLUMNS, LEVELS
from sink_fixtures import BOOK, HOUR, MINUTE, book_with, idle, posting, served

ZONE = ZoneInfo("Asia/Kathmandu")
WINDOWS = (
    Window(label="1h", seconds=3_600),
    Window(label="24h", seconds=86_400),
    Window(label="month", seconds=None),
)
OWNERS = (("chat", "small"), ("chat", "large"), ("lab", "small"), ("unallocated", ""))
ROWS = (served(), served(cached=None, restarted=1), idle(), idle(estimated=1))
BOOKS = (BOOK, BOOK, BOOK, BOOK, book_with())
LEVEL_NAMES = tuple(name for name, _ in LEVELS)

ticks = st.fixed_dictionaries(
    {
        "passed": st.sampled_from((0, 10, 59.5, 60, 3_600, 90_000, -90, -7_200)),
        "rows": st.dictionaries(
            st.tuples(st.sampled_from((0, -1, -59, -60, -61, -1_440)), st.sampled_from(OWNERS)),
            st.sampled_from(ROWS),
            min_size=1,
            max_size=4,
        ),
        "book": st.sampled_from(BOOKS),
        "is_written": st.sampled_from((True, True, False)),
        "repriced_by_another": st.sampled_from((False, False, False, False, False, True)),
    }
)


@contextmanager
def unwritable(other):
    """Have the history refuse what is written; nothing in it is changed by that."""
    other.execute("BEGIN IMMEDIATE")
    yield
    other.execute("ROLLBACK")


def reprice(other):
    """Double all money of usage, as another process that corrects prices does."""
    for level in LEVEL_NAMES:
        places = ", ".join(f"{column} = 2 * {column}" for column in COST_COLUMNS)
        other.execute(f"UPDATE {level}_usage SET {places}")


def figures(views):
    """Return all figures of windows by where they stand, but for those that are not known."""
    found = {(view.name, "seconds"): view.accounted_seconds for view in views}
    for view in views:
        for row in view.rows:
            key = (view.name, row.engine, row.model)
            found |= {(*key, reference.reference): reference.price_per_mtok for reference in row.references}
            for part in ("usage", "money", "tokens"):
                found |= {(*key, part, name): value for name, value in asdict(getattr(row, part)).items()}
    return {key: value for key, value in found.items() if value is not None}


@settings(max_examples=20, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(st.lists(ticks, min_size=6, max_size=12))
def test_windows_are_what_the_history_adds_up_to(steps):
    """Ticks of now, of before and of what waited, clocks set back, other prices and other writers."""
    with (
        patch.object(store, "_LOCKED_SECONDS", 0.0),
        tempfile.TemporaryDirectory() as folder,
        closing(History(Path(folder) / "history.db", currency="USD")) as history,
        closing(sqlite3.connect(history.path, isolation_level=None)) as other,
    ):
        accounts = Accounts(history, tell=lambda *_: None)
        now = HOUR + 30.0
        for step in steps:
            now += step["passed"]
            minute = int(now // MINUTE) * MINUTE
            rows = {(minute + at * MINUTE, *owner): replace(row) for (at, owner), row in step["rows"].items()}
            if step["repriced_by_another"]:
                reprice(other)
            asked = {"now_utc_seconds": now, "zone": ZONE, "capacities": {}}
            with nullcontext() if step["is_written"] else unwritable(other):
                accounts.post(posting(rows, cursors={"chat": {"at": now}}), step["book"])
                accounts.look_up(step["book"], WINDOWS, **asked)
            assert accounts.health.up == step["is_written"]
            if step["is_written"]:
                read = window_views(SumsSince(history), WINDOWS, **asked)
                assert figures(accounts.windows) == pytest.approx(figures(read), rel=1e-9)
