"""Volume, payback and keep-or-switch of a window: what an owner asks of what was measured."""

import math

import pytest
from msgspec.structs import replace

from evenwatt.economics.ownership import Owned, Sunk
from evenwatt.snapshot import with_outlook
from sink_fixtures import BOOK, FLAT, HOUR, MINUTE, book_with, idle, served, snapshot

BOUGHT = replace(BOOK, hardware=Owned(purchase_price=1_000, lifetime_years=3))
SMALL = (HOUR, "chat", "small")

AN_HOUR = {SMALL: served(read=500_000, wrote=100_000, cached=0)}
AN_HOUR |= {(HOUR + number * MINUTE, "chat", "small"): idle() for number in range(1, 60)}
"""One busy minute and 59 idle ones: 0.6 Mtok that an API bills 1.00 for, 0.00768 of electricity."""


def looked_at(rows=AN_HOUR, book=BOUGHT):
    """Return the row of the engine, and its one comparison, of the window of some rows."""
    row = with_outlook(snapshot(rows).windows[0], book).row("chat")
    return row, row.references[0]


def test_the_break_even_load_as_a_volume():
    """So many times the load as was seen are so many times the tokens of a month."""
    row, reference = looked_at()

    times = reference.break_even_load_ratio / row.load_ratio
    assert reference.break_even_mtok_per_month == pytest.approx(0.6 * 730 * times)


def test_a_month_of_720_hours():
    """The volume is of the month that the site counts in."""
    _, reference = looked_at()
    _, shorter = looked_at(book=replace(BOUGHT, month_hours=720))

    assert shorter.break_even_mtok_per_month == pytest.approx(reference.break_even_mtok_per_month * 720 / 730)


def test_payback_at_the_pace_of_the_window():
    """1.00 an hour of avoided bill, less the electricity, pays 1,000 back."""
    _, reference = looked_at()

    assert reference.payback_months == pytest.approx(1_000 / (730 * (1.00 - 0.00768)))


def test_maintenance_is_paid_on():
    """A tenth of the price a year comes off what is saved."""
    owned = Owned(purchase_price=1_000, lifetime_years=3, maintenance_per_year=0.10)
    _, reference = looked_at(book=replace(BOUGHT, hardware=owned))

    assert reference.payback_months == pytest.approx(1_000 / (730 * (1.00 - 0.00768) - 100 / 12))


def test_keep_or_switch_leaves_the_idle_electricity_alone():
    """Of 3.6 for the machine and 0.0072 for its idle power, an hour that is paid for costs the latter."""
    _, reference = looked_at()

    share = 0.0072 / 3.6072
    assert reference.keep_or_switch_load_ratio == pytest.approx(reference.break_even_load_ratio * share)


def test_never_stays_never():
    """Where a few tokens are far dearer than the API's, no volume helps, and nothing is paid back."""
    _, reference = looked_at({SMALL: served(read=1_000, wrote=0, cached=0, active_joules=6e9)})

    assert reference.break_even_load_ratio == math.inf
    assert reference.break_even_mtok_per_month == math.inf
    assert reference.payback_months == math.inf
    assert reference.keep_or_switch_load_ratio == math.inf


@pytest.mark.parametrize("hardware", [BOOK.hardware, Sunk(), None], ids=["rented", "sunk", "not known"])
def test_only_what_was_bought_is_paid_back(hardware):
    """A rent, a price left out and one that nobody knows have a volume at most."""
    _, reference = looked_at(book=replace(BOUGHT, hardware=hardware))

    assert reference.payback_months is None
    assert reference.keep_or_switch_load_ratio is None


def test_engines_share_the_price_as_they_share_its_cost():
    """Two engines that held the machine equally pay half of it back each."""
    rows = {SMALL: served(cached=0), (HOUR + MINUTE, "other", "large"): served(cached=0)}
    view = with_outlook(snapshot(rows).windows[0], BOUGHT)

    (half,) = view.row("chat").references
    (whole,) = view.row().references
    assert half.payback_months == pytest.approx(whole.payback_months)


def test_an_engine_without_a_capacity_has_no_volume_and_a_payback():
    """Payback needs the bills alone; the machine has no capacity of its own, and no load."""
    machine = with_outlook(snapshot(AN_HOUR).windows[0], BOUGHT).row()

    assert machine.references[0].break_even_mtok_per_month is None
    assert machine.references[0].keep_or_switch_load_ratio is None
    assert machine.references[0].payback_months is not None


def test_an_unknown_cost_leaves_payback_open():
    """Without the electricity nobody knows what is saved."""
    _, reference = looked_at({SMALL: served(active_joules=None)})

    assert reference.payback_months is None


def test_an_empty_window_is_left_as_it_is():
    """Where nothing happened there is nothing to look out for."""
    view = snapshot({}).windows[0]

    assert with_outlook(view, book_with(FLAT)) == view
