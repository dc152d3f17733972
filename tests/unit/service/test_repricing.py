"""Money is worked out anew as if its prices had been right from the start; what it was is kept."""

import itertools
from contextlib import closing

import pytest
from msgspec.structs import replace

from config_fixtures import settings_of
from evenwatt import clock
from evenwatt.economics.tariffs import DatedPrice, Tariff
from evenwatt.errors import HistoryError, OptionError, ReportError
from evenwatt.ledger import Usage
from evenwatt.model import UNALLOCATED
from evenwatt.service.billing import priced, priced_rows
from evenwatt.service.pricing import price_book
from evenwatt.service.report.window import AskedWindow
from evenwatt.service.repricing import Repricer
from evenwatt.sinks.history import History, PriceRow
from evenwatt.sinks.history.repricing import repriced_history
from history_checks import LEVEL_TABLES, disagreements
from recorded_history import RecordedHistory
from sink_fixtures import BOOK, idle, posting, served

DAY = 86_400
MIDNIGHT = 1_800_000_000 // DAY * DAY
NOW = MIDNIGHT + 6 * DAY + 1_234
BEFORE = """
    timezone: Asia/Kolkata
    electricity: {price_per_kwh: 0.30}
    hardware: {purchase_price: 8760, lifetime_years: 1}
    references:
      - {name: flat, input: 1.0, output: 5.0}
      - {name: gone, input: 2.0, output: 9.0}
"""
ROWS = tuple(
    PriceRow(
        reference=name,
        valid_from_utc_seconds=0.0,
        accepted_utc_seconds=0.0,
        input_usd_per_mtok=rates[0],
        cached_input_usd_per_mtok=None,
        output_usd_per_mtok=rates[1],
        source="configuration",
    )
    for name, rates in {"flat": (1.0, 5.0), "gone": (2.0, 9.0)}.items()
)
LEVELS = ("minute", "hour", "day", "local_day", "total")


@pytest.fixture(autouse=True)
def _now(monkeypatch):
    monkeypatch.setattr(clock, "utc_seconds", lambda: float(NOW))


@pytest.fixture
def path(tmp_path):
    """Where the history is."""
    return tmp_path / "history.db"


def rows_at(at):
    """Return what a quarter of an hour held: work, rest, and what nobody used."""
    return {
        (at, "chat", "small"): served(cached=400 if at // 900 % 3 else None, active_joules=at % 7_001 + 0.1),
        (at + 60, "chat", "small"): idle(),
        (at + 60, UNALLOCATED, ""): Usage(idle_empty_joules=77.7, idle_empty_seconds=60.0, down_seconds=30.0),
    }


def begin(path, text=BEFORE, *, days=6, forget=True, every=900):
    """Write a history at the prices of a configuration, of which minutes and hours are forgotten."""
    settings = settings_of(text)
    book = price_book(settings, ROWS, ())
    with closing(History(path, currency="USD", zone=settings.timezone)) as history:
        history.settle_prices(ROWS)
        for start in range(MIDNIGHT, MIDNIGHT + days * DAY, DAY):
            rows = dict(
                itertools.chain.from_iterable(rows_at(at).items() for at in range(start, start + DAY, every))
            )
            history.write(priced(posting(rows), book))
        while forget and history.forget_some({"minute": MIDNIGHT + 3 * DAY, "hour": MIDNIGHT + DAY}):
            pass


def reprice(path, text=BEFORE, *, window="all", may_write=True, **asked):
    """Reprice a history by a configuration and return what changed."""
    words = AskedWindow(**(asked or {"window": window}))
    with repriced_history(path, may_write=may_write) as opened:
        repricer = Repricer(settings_of(text), opened, words, changes=("a=b",))
        return repricer.write(lambda _: None) if may_write else repricer.difference(lambda _: None)


def levels(path, table):
    """Return all levels of a table."""
    return {level: RecordedHistory(path).level(table, level) for level in LEVELS}


def assert_same(mine, theirs):
    """Compare all rows of all levels, to the rounding of sums."""
    for level, rows in mine.items():
        assert rows.keys() == theirs[level].keys(), level
        for key, row in rows.items():
            expected = {name: near(value) for name, value in theirs[level][key].items()}
            assert row == expected, (level, key)


def near(value):
    """Return what equals a value but for the order in which sums were added."""
    return None if value is None else pytest.approx(value, rel=1e-9, abs=1e-12)


def test_the_same_prices_give_the_same_money(path):
    """Over minutes, and over hours whose minutes are gone; nothing is doubled, nothing moves."""
    begin(path)
    before = {table: levels(path, table) for table in LEVEL_TABLES}
    told = reprice(path)

    assert told.changes_nothing
    for table in LEVEL_TABLES:
        assert_same(levels(path, table), before[table])
    assert disagreements(path) == []


RIGHT = """
    timezone: Asia/Kolkata
    electricity: {prices: [{price_per_kwh: 0.20}, {valid_from: 2027-01-17, price_per_kwh: 0.40}]}
    hardware: {purchase_price: 17520, lifetime_years: 1}
    labour: {fte: 0.1, salary_per_year: 87600}
    references: [{name: flat, input: 1.0, output: 5.0}]
    models: {small: {token_ratio: 1.5}}
"""


@pytest.mark.parametrize("text", [BEFORE, BEFORE.replace("hardware:", "models: {}\n    hardware:", 1)])
def test_it_is_as_if_the_prices_had_been_right_from_the_start(path, tmp_path, text):
    """A history at wrong prices, repriced, is one that was written at the right ones, in every level."""
    begin(path, text, forget=False)
    told = reprice(path, RIGHT)
    begin(tmp_path / "right.db", RIGHT, forget=False)

    assert not told.changes_nothing
    assert_same(levels(path, "usage"), levels(tmp_path / "right.db", "usage"))
    mine, theirs = levels(path, "api"), levels(tmp_path / "right.db", "api")
    assert_same(
        {level: {key: row for key, row in rows.items() if "gone" not in key} for level, rows in mine.items()},
        theirs,
    )


def test_a_price_that_was_made_up_is_taken_back(path, tmp_path):
    """What is not known any more is not known in any level, and no rounding is left of it."""
    unknown = "\n".join(line for line in BEFORE.splitlines() if "hardware" not in line)
    begin(path, forget=False)
    reprice(path, unknown)
    begin(tmp_path / "unknown.db", unknown, forget=False)

    assert_same(levels(path, "usage"), levels(tmp_path / "unknown.db", "usage"))
    assert disagreements(path) == []


def test_bills_of_references_that_are_compared_no_longer_stay(path):
    """What is not in the configuration any more keeps the bill that it had."""
    begin(path)
    before = levels(path, "api")
    reprice(path, RIGHT)
    after = levels(path, "api")

    gone = {key: row for key, row in before["total"].items() if "gone" in key}
    assert gone
    for key, row in gone.items():
        assert after["total"][key] == pytest.approx(row, rel=1e-12)


def test_a_missing_price_is_filled_in(path):
    """Hours without a hardware price have one afterwards, and nothing is left unpriced."""
    unknown = BEFORE.replace("hardware: {purchase_price: 8760, lifetime_years: 1}", "hardware: {mode: owned}")
    begin(path, unknown, forget=False)
    with repriced_history(path, may_write=False) as opened:
        assert opened.read("SELECT total(hardware_cost), sum(unpriced_seconds) > 0 FROM total_usage") == [
            (0.0, 1)
        ]
    reprice(path)
    rows = RecordedHistory(path).rows(
        "SELECT sum(hardware_cost), sum(unpriced_seconds), sum(unpriced_joules) FROM total_usage"
    )

    seconds = RecordedHistory(path).rows("SELECT sum(seconds) FROM total_host")[0][0]
    held = RecordedHistory(path).rows(
        "SELECT total(active_seconds) + total(idle_loaded_seconds) + total(idle_empty_seconds)"
        " FROM total_usage"
    )[0][0]
    assert held > seconds > 0
    assert rows == [(pytest.approx(held / 3_600), None, None)]


def test_only_the_span_that_was_asked_about_changes(path):
    """Days beside it keep their money; the total moves by what the span does."""
    begin(path, forget=False)
    before = levels(path, "usage")
    told = reprice(path, RIGHT, first="2027-01-16", last="2027-01-17")
    after = levels(path, "usage")

    changed = {
        key[0] for key, row in after["local_day"].items() if row != pytest.approx(before["local_day"][key])
    }
    assert len(changed) == 2
    moved = sum(row["hardware_cost"] for row in after["total"].values()) - sum(
        row["hardware_cost"] for row in before["total"].values()
    )
    assert moved == pytest.approx(told.after.total.hardware - told.before.total.hardware)
    assert disagreements(path) == []


def test_what_if_writes_nothing(path):
    """The difference is the one that writing it makes, and asking for it changes no byte."""
    begin(path)
    before = {table: levels(path, table) for table in LEVEL_TABLES}
    asked = reprice(path, RIGHT, may_write=False)

    assert {table: levels(path, table) for table in LEVEL_TABLES} == before
    assert RecordedHistory(path).events("reprice") == []
    written = reprice(path, RIGHT)
    assert written.after.total.energy == pytest.approx(asked.after.total.energy, rel=1e-12)
    assert reprice(path, RIGHT, may_write=False).changes_nothing


def test_what_it_was_is_kept_as_one_event(path):
    """However many pieces there were, one record says from when to when, with what, before and after."""
    begin(path)
    told = reprice(path, RIGHT)

    ((text,),) = RecordedHistory(path).rows("SELECT text FROM event WHERE kind = 'reprice'")
    assert "with a=b, in USD, before -> after: " in text
    assert "so far" not in text
    old, new = (sums.money["chat", "small"].energy for sums in (told.before, told.after))
    assert f"energy {old:.12g} -> {new:.12g}" in text
    assert "unallocated/ hardware" in text


def test_one_that_is_cut_off_is_recorded_as_far_as_it_came(path):
    """After any piece the history is sound, its record says how far, and doing it again does the rest."""
    begin(path, days=3)

    done = itertools.count()

    def cut(_seconds):
        if next(done) == 30:
            raise KeyboardInterrupt

    with repriced_history(path, may_write=True) as opened:
        repricer = Repricer(settings_of(RIGHT), opened, AskedWindow(window="all"))
        with pytest.raises(KeyboardInterrupt):
            repricer.write(cut)
    assert disagreements(path) == []
    ((text,),) = RecordedHistory(path).rows("SELECT text FROM event WHERE kind = 'reprice'")
    assert "so far" in text
    reprice(path, RIGHT)
    assert disagreements(path) == []
    assert reprice(path, RIGHT, may_write=False).changes_nothing


def test_the_agent_writes_meanwhile(path):
    """Ticks between two pieces are kept, once, and are in every level."""
    begin(path, days=3, forget=False)
    settings = settings_of(RIGHT)
    with closing(History(path, currency="USD", zone=settings.timezone)) as agent:
        ticks = itertools.count()

        def tick(_seconds):
            at = MIDNIGHT + 3 * DAY + next(ticks) * 60
            agent.write(priced(posting({(at, "chat", "small"): served()}), price_book(settings, ROWS, ())))

        with repriced_history(path, may_write=True) as opened:
            Repricer(settings, opened, AskedWindow(window="all")).write(tick)
        written = next(ticks)
    assert written >= 72
    ((tokens,),) = RecordedHistory(path).rows("SELECT sum(output_tokens) FROM total_usage")
    assert tokens == (written + 3 * 96) * 100_000
    assert disagreements(path, settings.timezone) == []


def test_days_of_the_site_go_on_adding_up_to_the_whole(path):
    """Two days of which minutes are forgotten, repriced, in a zone of half hours: money and tokens add up."""
    begin(path)
    physics = RecordedHistory(path).rows(
        "SELECT local_day, output_tokens, active_joules FROM local_day_usage"
    )
    reprice(path, RIGHT, first="2027-01-17", last="2027-01-18")

    for column in ("output_tokens", "energy_cost", "hardware_cost", "labour_cost", "idle_loaded_cost"):
        ((days, total),) = RecordedHistory(path).rows(
            f"SELECT (SELECT sum({column}) FROM local_day_usage), (SELECT sum({column}) FROM total_usage)"
        )
        assert days == near(total)
    assert physics == RecordedHistory(path).rows(
        "SELECT local_day, output_tokens, active_joules FROM local_day_usage"
    )


def forget(path, *, minute, hour=0):
    """Forget what is older than two moments, as the agent does."""
    with closing(History(path, currency="USD", zone=settings_of(BEFORE).timezone)) as history:
        while history.forget_some({"minute": minute, "hour": hour}):
            pass


def test_minutes_are_forgotten_while_somebody_thinks_about_the_difference(path, tmp_path):
    """What was shown by minutes is written by hours: no token of theirs is lost, and their money is right."""
    whole = tmp_path / "whole.db"
    for place in (path, whole):
        begin(place, days=3, forget=False)
    with repriced_history(path, may_write=True) as opened:
        repricer = Repricer(settings_of(RIGHT), opened, AskedWindow(window="all"))
        repricer.difference(lambda _: None)
        forget(path, minute=MIDNIGHT + 2 * DAY)
        repricer.write(lambda _: None)
    forget(whole, minute=MIDNIGHT + 2 * DAY)
    reprice(whole, RIGHT)

    assert disagreements(path) == []
    assert_same(levels(path, "usage"), levels(whole, "usage"))


def test_hours_are_forgotten_while_somebody_thinks_about_the_difference(path):
    """The money of days that mix prices now stays, and all of their physics."""
    begin(path, days=4, forget=False)
    with repriced_history(path, may_write=True) as opened:
        repricer = Repricer(settings_of(RIGHT), opened, AskedWindow(window="all"))
        before = {level: levels(path, "usage")[level] for level in ("day", "local_day")}
        forget(path, minute=MIDNIGHT + 3 * DAY, hour=MIDNIGHT + 2 * DAY)
        repricer.write(lambda _: None)
    after = levels(path, "usage")

    assert disagreements(path) == []
    for level, rows in before.items():
        for key, row in rows.items():
            assert after[level][key]["output_tokens"] == row["output_tokens"]
            assert after[level][key]["active_joules"] == near(row["active_joules"])
            if key[0] < MIDNIGHT + 2 * DAY:
                assert after[level][key] == row


def test_what_is_forgotten_between_two_pieces_ends_it(path):
    """Nothing of it is touched, and the error says what to do."""
    begin(path, days=3, forget=False)
    physics = levels(path, "usage")["total"]["chat", "small"]["output_tokens"]

    def advance(_seconds):
        forget(path, minute=MIDNIGHT + 2 * DAY)

    with repriced_history(path, may_write=True) as opened:
        repricer = Repricer(settings_of(RIGHT), opened, AskedWindow(window="all"))
        with pytest.raises(HistoryError, match="forgotten meanwhile; the same command does"):
            repricer.write(advance)
    assert levels(path, "usage")["total"]["chat", "small"]["output_tokens"] == physics
    assert disagreements(path) == []
    reprice(path, RIGHT)
    assert reprice(path, RIGHT, may_write=False).changes_nothing


def test_what_is_older_than_hours_keeps_its_money(path):
    """Days that mix prices are left alone, and that is told."""
    begin(path)
    before = levels(path, "usage")
    told = reprice(path, RIGHT)
    after = levels(path, "usage")

    assert told.kept_from_utc_seconds > MIDNIGHT + DAY
    assert told.hours_until_utc_seconds == MIDNIGHT + 3 * DAY
    for key, row in before["day"].items():
        if key[0] == MIDNIGHT:
            assert after["day"][key] == row
    with (
        repriced_history(path, may_write=False) as opened,
        pytest.raises(ReportError, match="not kept any more"),
    ):
        Repricer(settings_of(RIGHT), opened, AskedWindow(first="2027-01-14", last="2027-01-15"))


def test_another_currency_is_refused(path):
    """Prices of another currency than the history's are no prices of it."""
    begin(path, days=1, forget=False)
    other = BEFORE + "    currency: EUR\n    usd_rate: {rate: 0.9, date: 2027-01-01}\n"
    with repriced_history(path, may_write=False) as opened, pytest.raises(OptionError, match="is in USD"):
        Repricer(settings_of(other), opened, AskedWindow(window="all"))


def test_an_hour_in_which_a_price_changed_is_cut_where_it_did():
    """Use counts as even: a quarter at the one price, three at the other, cut at a whole minute."""
    tariff = Tariff(
        prices=(DatedPrice(price_per_kwh=0.36), DatedPrice(price_per_kwh=0.72, valid_from_utc_seconds=899.5))
    )
    usage = {(0, "chat", "small"): Usage(active_joules=4e6, active_seconds=3_600.0, output_tokens=7)}
    money, bills = priced_rows(usage, replace(BOOK, tariff=tariff), row_seconds=3_600)

    assert money[0, "chat", "small"].energy == pytest.approx(0.1 + 0.6)
    assert money[0, "chat", "small"].hardware == pytest.approx(3.6)
    assert bills[0, "chat", "small", "flat"].no_cache == pytest.approx(35e-6)
