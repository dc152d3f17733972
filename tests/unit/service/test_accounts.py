"""Ticks are written once, sooner or later; what views show is what the history says."""

import sqlite3
from contextlib import closing, contextmanager
from datetime import UTC

import pytest
from msgspec.structs import replace

from evenwatt.config import Window
from evenwatt.model import Event
from evenwatt.service.accounts import Accounts
from evenwatt.sinks.history import History
from evenwatt.snapshot import Sums
from sink_fixtures import BOOK, CAPACITY, FLAT, HOUR, MINUTE, book_with, idle, posting, rule, served

KEY = (HOUR, "chat", "small")


@pytest.fixture
def history(tmp_path):
    """A new history."""
    with closing(History(tmp_path / "history.db", currency="USD")) as opened:
        yield opened


class Site:
    """Accounts and what they tell."""

    def __init__(self, history):
        self.history = history
        self.told = []
        self.accounts = Accounts(history, tell=lambda *event: self.told.append(event))

    def tick(self, rows, book=BOOK, **parts):
        """Post a tick and look up what it adds up to."""
        self.accounts.post(posting(rows, **parts), book)
        self.accounts.look_up(
            book,
            [Window(label="1h", seconds=3_600)],
            now_utc_seconds=HOUR + 1_800.0,
            zone=UTC,
            capacities={"chat": CAPACITY},
        )

    def told_kinds(self):
        """Return the kinds of what was told."""
        return [kind for kind, _, _ in self.told]


@pytest.fixture
def site(history):
    """Accounts on a new history."""
    return Site(history)


@contextmanager
def locked(history):
    """Hold the history's write lock."""
    with closing(sqlite3.connect(history.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


def test_a_tick_is_shown_as_it_was_written(site, history):
    """Totals, windows, events and health are those of the history after the tick."""
    event = Event(utc_seconds=float(HOUR), kind="gap", subject="chat", text="A gap.")
    site.tick({KEY: served()}, events=(event,))
    accounts = site.accounts

    assert accounts.totals == history.totals()
    assert accounts.totals.usage["chat", "small"].output_tokens == 100_000
    assert accounts.windows[0].row("chat").tokens.output_tokens == 100_000
    assert accounts.windows[0].row("chat").load_ratio is not None
    assert accounts.events == (event,)
    assert accounts.event_totals == history.event_totals() == {"gap": 1}
    assert (accounts.health.up, accounts.health.pending_ticks, accounts.health.error) == (True, 0, None)
    assert site.told == []


def test_ticks_that_cannot_be_written_are_kept_and_written_once(site, history):
    """While the history is locked totals go on in memory; afterwards everything is there once."""
    site.tick({KEY: served()})
    windows = site.accounts.windows
    with locked(history):
        for number in (1, 2):
            site.tick({KEY: served(), (HOUR + MINUTE, "chat", "small"): idle()})

            assert site.accounts.health.pending_ticks == number
            assert not site.accounts.health.up
            assert "database is locked" in site.accounts.health.error
            assert site.accounts.totals.usage["chat", "small"].output_tokens == (1 + number) * 100_000
            assert site.accounts.windows == windows
            assert history.totals().usage["chat", "small"].output_tokens == 100_000
    expected = site.accounts.totals
    site.tick({})

    assert site.accounts.totals == history.totals() == expected
    assert (site.accounts.health.up, site.accounts.health.pending_ticks) == (True, 0)
    assert site.told_kinds() == ["history_down", "history_back"]
    assert "ticks are kept in memory until it can be written" in site.told[0][2]
    assert site.told[1][2] == "the history is written again; 2 ticks were kept in memory"


def test_events_of_kept_ticks_come_with_them(site, history):
    """What was told while nothing could be written is shown once it is."""
    event = Event(utc_seconds=float(HOUR), kind="gap", subject="chat", text="A gap.")
    with locked(history):
        site.tick({}, events=(event,))
        assert site.accounts.event_totals == {}
    site.tick({})

    assert site.accounts.events == history.events(limit=20) == (event,)
    assert site.accounts.event_totals == history.event_totals() == {"gap": 1}


@pytest.mark.parametrize("who", ["this agent", "another program", "nobody, as the file was deleted"])
def test_events_are_counted_whoever_wrote_them(site, history, who):
    """An event that came with no tick counts at once; where a history is begun anew, so is the count."""
    event = Event(utc_seconds=float(HOUR), kind="gap", subject="chat", text="A gap.")
    site.tick({}, events=[replace(event, utc_seconds=float(at)) for at in range(20)])
    if who == "this agent":
        history.settle_prices(events=[event])
    elif who == "another program":
        with closing(sqlite3.connect(history.path)) as other, other:
            other.execute("INSERT INTO event SELECT -1, 1.0, kind, subject, text FROM event WHERE id = 1")
    else:
        history.path.unlink()
        site.tick({}, events=(event,))
    site.tick({})

    assert site.accounts.event_totals == history.event_totals() == {"gap": 1 if "nobody" in who else 21}


def test_a_history_that_can_be_written_and_not_read_does_not_end_the_agent(site, history):
    """A tick that is written counts, though its sums cannot be read back; both ends of that are told."""
    site.tick({KEY: served()})
    with closing(sqlite3.connect(history.path)) as other:
        other.execute("ALTER TABLE event RENAME COLUMN subject TO about")
        for _ in range(2):
            site.tick({KEY: served()})

        assert site.told_kinds() == ["history_down"]
        assert "cannot be read: no such column: subject" in site.accounts.health.error
        assert site.accounts.health.pending_ticks == 0
        assert site.accounts.totals.usage["chat", "small"].output_tokens == 300_000
        other.execute("ALTER TABLE event RENAME COLUMN about TO subject")
    site.tick({KEY: served()})

    assert site.accounts.health.up
    assert site.told_kinds() == ["history_down", "history_back"]
    assert history.totals().usage["chat", "small"].output_tokens == 400_000


def test_a_new_reference_is_compared_with_all_tokens_so_far(site):
    """With a new book what was served before has its bill, in totals and windows alike."""
    site.tick({KEY: served()}, book_with())
    assert site.accounts.windows[0].row("chat").references == ()

    site.tick({}, book_with(FLAT))
    (reference,) = site.accounts.windows[0].row("chat").references
    assert reference.price_per_mtok == pytest.approx(1.55 / 1.6)
    assert site.accounts.totals.api["chat", "small", "flat"].tokens == 1_600_000


def test_a_reference_that_went_and_came_back_is_whole(site):
    """Tokens that were served while a reference was away are priced when it is back, each once."""
    site.tick({KEY: served()}, book_with(FLAT))
    site.tick({KEY: served()}, book_with())
    assert site.accounts.windows[0].row("chat").references == ()

    site.tick({KEY: served()}, book_with(FLAT))
    assert site.accounts.totals.api["chat", "small", "flat"].tokens == 4_800_000
    assert site.accounts.totals.api["chat", "small", "flat"].no_cache == pytest.approx(6.0)


def test_rules_choose_what_is_compared_back(site):
    """A model is only compared with the references of its rule, at its token ratio."""
    rows = {KEY: served(), (HOUR, "chat", "other"): served()}
    site.tick(rows, book_with())
    rules = (rule("other", references=()), rule("small", token_ratio=2.0))
    site.tick({}, book_with(FLAT, rules=rules))

    assert set(site.accounts.totals.api) == {("chat", "small", "flat")}
    assert site.accounts.totals.api["chat", "small", "flat"].no_cache == pytest.approx(4.0)


def test_comparing_waits_for_a_history_that_can_be_written(site, history):
    """What cannot be compared now is with a later tick, with those that waited too."""
    site.tick({KEY: served()}, book_with())
    book = book_with(FLAT)
    with locked(history):
        site.tick({KEY: served()}, book)
        assert not site.accounts.health.up
    site.tick({}, book)

    assert site.accounts.totals.api["chat", "small", "flat"].tokens == 3_200_000
    assert site.accounts.health.up


def test_accounts_go_on_where_the_history_stands(site, history):
    """Another agent's ticks are there from the start."""
    site.tick({KEY: served()})
    again = Site(history)

    assert again.accounts.totals == site.accounts.totals != Sums()
    again.tick({KEY: served()})
    assert again.accounts.totals.usage["chat", "small"].output_tokens == 200_000
