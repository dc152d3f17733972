"""What of a feed's answer is new."""

import time

import pytest

from evenwatt.readings.electricity_feed import QuotedPrice
from evenwatt.service.electricity.quotes import by_start, feed_prices, lateness, replaced_starts, taken_up

NOW = 36_000.0 + 620
MINUTE = 36_600.0
"""The minute of now, ten minutes after the hour 36,000."""


def quote(start, price, end=None):
    """Return a price for an hour, or until an end."""
    return QuotedPrice(
        start_utc_seconds=float(start),
        end_utc_seconds=float(start + 3_600 if end is None else end),
        price_per_kwh=price,
    )


def known(*quotes):
    """Return prices as they are kept."""
    return {each.start_utc_seconds: each for each in quotes}


@pytest.mark.parametrize(
    ("before", "offered", "expected"),
    [
        ((), quote(36_000, 0.3), [quote(36_000, 0.3)]),
        ((), quote(28_800, 0.3), [quote(28_800, 0.3)]),
        ((), quote(39_600, 0.3), [quote(39_600, 0.3)]),
        ((quote(28_800, 0.3),), quote(28_800, 0.4), []),
        ((quote(36_000, 0.3),), quote(36_000, 0.3), []),
        ((quote(36_000, 0.3),), quote(36_000, 0.4), [quote(MINUTE, 0.4, 39_600)]),
        ((quote(MINUTE, 0.3),), quote(MINUTE, 0.4), []),
        ((quote(36_000, 0.3, 36_700),), quote(MINUTE, 0.3), [quote(36_000, 0.3, MINUTE + 3_600)]),
        ((quote(36_000, 0.3, 36_300),), quote(36_000, 0.4), [quote(MINUTE, 0.4, 39_600)]),
        ((quote(28_800, 0.3),), quote(36_000, 0.4), [quote(36_000, 0.4)]),
        ((quote(39_600, 0.3),), quote(39_600, 0.3), []),
        ((quote(39_600, 0.3),), quote(39_600, 0.4), [quote(39_600, 0.4)]),
    ],
    ids=[
        "now, nothing known",
        "past, nothing known",
        "to come, nothing known",
        "past, told otherwise: what was billed stands",
        "now, the same",
        "now, told otherwise: from this minute on",
        "told otherwise within the minute",
        "now, the same for longer",
        "now, after the old one has ended",
        "now, after a silence",
        "to come, the same",
        "to come, revised",
    ],
)
def test_what_is_new_in_an_answer(before, offered, expected):
    """What was billed stands, what is in force changes from this minute on, what is to come is replaced."""
    assert list(taken_up(known(*before), (offered,), NOW)) == expected


def test_prices_to_come_give_way_to_those_of_their_time():
    """An hour replaces the quarters in it; what has begun stands, and so does what is of another time."""
    quarters = [36_000.0, 36_900.0, 37_800.0, 39_600.0]

    assert replaced_starts(quarters, [quote(36_000, 0.3)], NOW) == {36_900, 37_800}
    assert replaced_starts(quarters, [], NOW) == frozenset()


def test_a_long_answer_is_taken_up_at_once():
    """A tick waits for this: 20,000 new prices take the place of 20,000 known ones in a moment."""
    later = [quote(36_000 + 60 * number, 0.3, 36_060 + 60 * number) for number in range(11, 20_011)]

    began = time.process_time()
    replaced = replaced_starts([each.start_utc_seconds for each in later], later, NOW)

    assert len(replaced) == 20_000
    assert time.process_time() - began < 2.0


def test_prices_come_back_as_they_were_kept():
    """To a tariff and back, in order of time."""
    prices = known(quote(7_200, 0.4), quote(0, 0.3))
    found = feed_prices(prices)

    assert list(found.starts_utc_seconds) == [0.0, 7_200.0]
    assert list(found.prices_per_kwh) == [0.3, 0.4]
    assert by_start(found) == prices


def test_an_answer_without_a_price_for_now_is_late():
    """Prices of other times alone are told, those of now are not."""
    assert lateness([quote(36_000, 0.3)], NOW) is None
    assert "for other times than now" in lateness([quote(28_800, 0.3), quote(39_600, 0.3)], NOW)
