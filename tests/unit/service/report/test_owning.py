"""Which parts of a machine are its GPUs, and what even power paid."""

import pytest

from evenwatt.economics.cost import PriceBook
from evenwatt.economics.ownership import Owned, OwnedParts, Rented
from evenwatt.economics.tariffs import flat_tariff
from evenwatt.service.report.owning import owning_of
from evenwatt.snapshot.report.owning import Owning

DAY = 86_400.0


def part(name, price, **values):
    """Return a part that costs its price in thousands each thousand hours of its one year."""
    return Owned(name=name, purchase_price=price * 8_760, lifetime_years=1, **values)


def owning(*parts, **values):
    """Return how a machine of parts is had over a day."""
    book = PriceBook(hardware=OwnedParts(parts=parts), **values)
    return owning_of(book, start_utc_seconds=0.0, end_utc_seconds=DAY, accounted_seconds=DAY)


@pytest.mark.parametrize("name", ["gpus", "2x GPU", "Graphics cards", "accelerator-2025"])
def test_parts_called_after_gpus_are_theirs(name):
    """Of 4 an hour 3 are the GPUs', which took 72 in the day."""
    found = owning(part("server", 1.0), part(name, 3.0)).gpu_parts

    assert (found.names, found.cost_share, found.cost_when_new) == ((name,), 0.75, pytest.approx(72))


def test_gpus_that_are_written_off_cost_nothing_and_did_when_new():
    """Their share is 0, and a new one is not free."""
    old = part("gpus", 3.0, purchased_utc_seconds=-2 * 8_760 * 3_600.0)

    assert owning(part("server", 1.0), old).gpu_parts.cost_share == 0
    assert owning(old).gpu_parts.cost_share == 0
    assert owning(old).gpu_parts.cost_when_new == pytest.approx(72)


def test_parts_with_other_names_are_not_told_apart():
    """Nobody said which of them is the GPUs."""
    assert owning(part("server", 1.0), part("gpuless case", 3.0)).gpu_parts is None


def test_a_rented_machine_has_nothing_to_pay_back():
    """Without a purchase and without a tariff there is only the month."""
    book = PriceBook(hardware=Rented(rent_per_hour=1.0), month_hours=720.0)
    found = owning_of(book, start_utc_seconds=0.0, end_utc_seconds=DAY, accounted_seconds=DAY)

    assert found == Owning(month_hours=720.0)


def test_even_power_pays_the_mean_with_overheads():
    """0.30 at a PUE of 1.5."""
    assert owning(part("server", 1.0), tariff=flat_tariff(0.3, pue=1.5)).even_price_per_kwh == pytest.approx(
        0.45
    )
