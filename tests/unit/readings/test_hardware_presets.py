"""Assumed hardware prices by GPU name."""

import re

import pytest

from evenwatt.economics.ownership import Owned, hardware_cost
from evenwatt.errors import SourceContractError
from evenwatt.readings.hardware_presets import machine_preset, machine_presets, preset_for, presets


@pytest.mark.parametrize(
    ("gpu_name", "price_usd"),
    [
        ("NVIDIA GeForce RTX 4090", 1_599),
        ("GeForce RTX 3090", 1_499),
        ("nvidia geforce rtx 4070 ti super", 799),
        ("NVIDIA RTX 6000 Ada Generation", 6_799),
        ("NVIDIA H100 80GB HBM3", 35_000),
    ],
)
def test_preset_by_the_name_that_the_driver_gives(gpu_name, price_usd):
    """Brands and case do not matter."""
    assert preset_for(gpu_name).purchase_price_usd == price_usd


@pytest.mark.parametrize(
    "gpu_name",
    [
        "NVIDIA GeForce RTX 4090 Laptop GPU",
        "NVIDIA GeForce RTX 4090 D",
        "NVIDIA GeForce RTX 5060 Ti",
        "NVIDIA H100 PCIe",
        "NVIDIA RTX A6000",
        "Quadro RTX 6000",
        "",
    ],
)
def test_another_product_has_no_preset(gpu_name):
    """A name with a word more or less is another product at another price: unknown, never a guess."""
    assert preset_for(gpu_name) is None


def test_every_preset_is_dated_sourced_and_found_by_its_own_name():
    """Each entry has a month, a source and a price, and no other entry takes its name."""
    for preset in presets():
        assert re.fullmatch(r"20\d\d-(0[1-9]|1[0-2])", preset.dated)
        assert preset.source
        assert preset.purchase_price_usd > 0
        assert preset.lifetime_years == 3
        assert preset_for(f"NVIDIA {preset.name}") is preset


def test_eight_h100_cost_what_the_published_example_says():
    """Eight presets of 35,000 over three years are 10.654 an hour."""
    preset = preset_for("NVIDIA H100 80GB HBM3")
    eight = Owned(purchase_price=8 * preset.purchase_price_usd, lifetime_years=preset.lifetime_years)

    assert hardware_cost(eight, utc_seconds=0.0, seconds=3_600) == pytest.approx(10.654, rel=1e-4)


def test_every_machine_is_named_once_and_bought_or_rented():
    """A machine has a price or a rent, a month, a source, and a name that finds it."""
    for preset in machine_presets():
        assert machine_preset(preset.name) is preset
        assert (preset.purchase_price_usd is None) != (preset.rent_usd_per_hour is None)
        assert re.fullmatch(r"20\d\d-(0[1-9]|1[0-2])", preset.dated)
        assert preset.source
        assert preset.kind in {"card", "example", "rent", "mac"}
        if preset.idle_watts is not None and preset.full_watts is not None:
            assert 0 < preset.idle_watts < preset.full_watts


@pytest.mark.parametrize("name", ["rtx-4090", "RTX 4090", "NVIDIA GeForce RTX 4090", "rtx_4090"])
def test_a_card_is_a_machine_by_any_way_to_write_it(name):
    """Case, brands and what stands between words make no difference."""
    assert machine_preset(name).purchase_price_usd == 1_599


def test_a_name_that_is_not_known_is_told_with_the_nearest():
    """A typing error is answered with names that there are."""
    with pytest.raises(SourceContractError, match=r"the nearest are .*rtx-4090"):
        machine_preset("rtx-4009")
    with pytest.raises(SourceContractError, match=r"--list-presets$"):
        machine_preset("abacus")


def test_the_card_of_the_demo_is_no_machine_to_plan_with():
    """What does not exist is not offered."""
    assert preset_for("Simulated GPU 24GB").is_simulated
    assert not any("simulated" in preset.name for preset in machine_presets())


@pytest.mark.parametrize(
    ("name", "rent"),
    [
        ("h100-hyperscaler", 1.30),
        ("h200-neocloud", 1.74),
        ("b200-three-years", 2.90),
        ("mi355x-neocloud", 1.90),
    ],
)
def test_rents_are_those_of_their_source(name, rent):
    """Published cost of a GPU-hour, by who has it."""
    assert machine_preset(name).rent_usd_per_hour == rent


def test_the_beginning_of_a_name_tells_all_that_begin_so():
    """Whoever types what the card is called in short sees every form of it."""
    with pytest.raises(SourceContractError) as caught:
        machine_preset("h100")

    begun = [preset.name for preset in machine_presets() if preset.name.startswith("h100")]
    assert len(begun) > 1
    assert all(name in str(caught.value) for name in begun)
