"""A new reference has the bills that it would have had from the start; prices are never overwritten."""

from contextlib import closing

import pytest
from msgspec.structs import replace

from evenwatt.model import Event
from evenwatt.sinks.history import History, PriceRow
from recorded_history import RecordedHistory
from sink_fixtures import FLAT, HOUR, MINUTE, book_with, idle, served, tick

DEARER = replace(FLAT, valid_from_utc_seconds=HOUR + 30.0 * MINUTE, input_per_mtok=2.0, output_per_mtok=10.0)
ROW = PriceRow(
    reference="flat",
    valid_from_utc_seconds=0.0,
    accepted_utc_seconds=float(HOUR),
    input_usd_per_mtok=1.0,
    cached_input_usd_per_mtok=None,
    output_usd_per_mtok=5.0,
    source="configuration",
)


@pytest.fixture
def path(tmp_path):
    """Where the history is."""
    return tmp_path / "history.db"


@pytest.fixture
def history(path):
    """A new history."""
    with closing(History(path, currency="EUR")) as opened:
        yield opened


def test_a_price_is_never_overwritten(history, path):
    """A second price of the same date is not taken; one of another date stands beside the first."""
    later = replace(ROW, valid_from_utc_seconds=HOUR + 1.0, input_usd_per_mtok=3.0)
    told = Event(utc_seconds=float(HOUR), kind="price", subject="flat", text="Accepted.")
    history.settle_prices([later])
    history.settle_prices([ROW], events=[told])
    history.settle_prices([replace(ROW, input_usd_per_mtok=2.0)])

    assert history.prices() == (ROW, later)
    assert history.events(limit=1) == (told,)
    history.close()
    with closing(History(path, currency="EUR")) as again:
        assert again.prices() == (ROW, later)


def priced_from_the_start(path, ticks, references, rules=()):
    """Return the bills of a history whose ticks were compared with references as they came."""
    with closing(History(path, currency="EUR")) as history:
        for rows in ticks:
            history.write(tick(rows, book=book_with(*references, rules=rules)))
    return {level: RecordedHistory(path).level("api", level) for level in ("minute", "hour", "total")}


def ticks_of_two_hours():
    """Return the rows of ticks, three a minute; the engine tells its cache hits in most minutes."""
    return [
        {
            (HOUR + second // MINUTE * MINUTE, "chat", "small"): served(
                cached=100 if second // MINUTE % 7 else None
            )
        }
        for second in range(0, 2 * 3_600, 20)
    ]


def bills(path):
    """Return all bills of a history, to the rounding of a sum."""
    return {
        level: {
            key: {name: None if value is None else pytest.approx(value) for name, value in row.items()}
            for key, row in RecordedHistory(path).level("api", level).items()
        }
        for level in ("minute", "hour", "total")
    }


def test_pricing_back_equals_pricing_each_minute(history, path, tmp_path):
    """A reference that comes later has the bills that it would have had from the start, in every level."""
    for rows in ticks_of_two_hours():
        history.write(tick(rows, book=book_with()))
    history.price_back([DEARER, FLAT], engine="chat", model="small", token_ratio=1.0)

    expected = priced_from_the_start(tmp_path / "other.db", ticks_of_two_hours(), [FLAT, DEARER])
    assert len(expected["minute"]) == 120
    assert expected == bills(path)


def test_pricing_back_fills_what_was_left_out(history, path, tmp_path):
    """A reference that was away from within a minute to within another has the bill for all."""
    ticks = ticks_of_two_hours()
    for number, rows in enumerate(ticks):
        history.write(tick(rows, book=book_with(*([] if 100 < number < 301 else [FLAT]))))
    history.price_back([FLAT], engine="chat", model="small", token_ratio=1.0)

    expected = priced_from_the_start(tmp_path / "other.db", ticks, [FLAT])
    assert expected == bills(path)


def test_pricing_back_again_changes_nothing(history, path):
    """What is priced for all of its tokens stays as it is, also at another price."""
    history.write(tick({(HOUR, "chat", "small"): served()}))
    before = RecordedHistory(path).level("api", "minute")
    cheaper = replace(FLAT, input_per_mtok=0.1, output_per_mtok=0.1)
    history.price_back([cheaper], engine="chat", model="small", token_ratio=1.0)

    assert RecordedHistory(path).level("api", "minute") == before


def test_pricing_back_takes_the_token_ratio(history, path):
    """Tokens of another tokenizer are priced by their ratio, and counted as they are here."""
    history.write(tick({(HOUR, "chat", "small"): served()}, book=book_with()))
    history.price_back([FLAT], engine="chat", model="small", token_ratio=2.0)
    bill = history.totals().api["chat", "small", "flat"]

    assert bill.tokens == 1_600_000
    assert bill.no_cache == pytest.approx(2 * (1.5 + 0.5))
    assert bill.observed_cache == pytest.approx(2 * (1.0 + 0.05 + 0.5))


def test_pricing_back_leaves_others_alone(history):
    """Only the engine and model that are asked for are priced; without tokens there is no bill."""
    rows = {(HOUR, engine, model): served() for engine, model in (("chat", "small"), ("chat", "large"))}
    history.write(tick({**rows, (HOUR, "code", "small"): idle()}, book=book_with()))
    history.price_back([FLAT], engine="chat", model="small", token_ratio=1.0)
    history.price_back([FLAT], engine="code", model="small", token_ratio=1.0)

    assert set(history.totals().api) == {("chat", "small", "flat")}


def test_a_tick_after_pricing_back_adds_to_it(history):
    """Bills go on where pricing back left them, within the same minute."""
    key = (HOUR, "chat", "small")
    history.write(tick({key: served()}, book=book_with()))
    history.price_back([FLAT], engine="chat", model="small", token_ratio=1.0)
    history.write(tick({key: served()}))
    bill = history.totals().api["chat", "small", "flat"]

    assert bill.tokens == history.sums_since(HOUR).api["chat", "small", "flat"].tokens == 3_200_000
    assert bill.no_cache == pytest.approx(4.0)
