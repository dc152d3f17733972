"""From a tick's physics to money: at the prices of each minute, and only for what is paid for."""

import pytest
from msgspec.structs import replace

from evenwatt.economics.ownership import Rented
from evenwatt.service.billing import priced
from sink_fixtures import BOOK, FLAT, HOUR, MINUTE, book_with, idle, posting, served


def test_a_tick_is_priced_minute_by_minute():
    """Each minute costs what holds when it begins; idle minutes have no API bill."""
    dearer = replace(FLAT, valid_from_utc_seconds=HOUR + 1.0, input_per_mtok=2.0, output_per_mtok=10.0)
    rows = {
        (HOUR, "chat", "small"): served(),
        (HOUR + MINUTE, "chat", "small"): served(),
        (HOUR, "code", "small"): idle(),
    }
    tick = priced(posting(rows), book_with(FLAT, dearer))

    assert {key: bill.no_cache for key, bill in tick.api.items()} == {
        (HOUR, "chat", "small", "flat"): pytest.approx(2.0),
        (HOUR + MINUTE, "chat", "small", "flat"): pytest.approx(4.0),
    }
    assert tick.costs[HOUR, "chat", "small"].costs.hardware == pytest.approx(0.06)
    assert tick.costs[HOUR, "code", "small"].costs.energy == pytest.approx(0.00012)


def test_time_that_was_down_is_not_paid_for_where_it_is_given_back():
    """Rent that ends with the use leaves out what a minute was off."""
    rows = {
        (HOUR, "chat", "small"): idle(idle_loaded_seconds=None, idle_empty_seconds=60.0, down_seconds=45.0)
    }
    book = replace(BOOK, hardware=Rented(rent_per_hour=3.6, is_active_only=True))

    assert priced(posting(rows), book).costs[HOUR, "chat", "small"].costs.hardware == pytest.approx(0.015)


@pytest.mark.parametrize(("has_surcharge", "observed"), [(False, 1.55), (True, 1.80)])
def test_a_minute_is_priced_with_its_cache_writes_where_that_is_set(has_surcharge, observed):
    """A million computed tokens cost 1.25 to write to the cache, and 1 without the surcharge."""
    written = replace(FLAT, cache_write_per_mtok=1.25)
    book = replace(book_with(written), has_cache_write_surcharge=has_surcharge)
    bill = priced(posting({(HOUR, "chat", "small"): served()}), book).api[HOUR, "chat", "small", "flat"]

    assert bill.no_cache == pytest.approx(2.0)
    assert bill.observed_cache == pytest.approx(observed)
