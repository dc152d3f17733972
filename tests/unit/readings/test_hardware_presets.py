"""Assumed hardware prices by GPU name."""

import re

import pytest

from evenwatt.economics.ownership import Owned, hardware_cost
from evenwatt.readings.hardware_presets import preset_for, presets


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
