"""Prices at a mix, for display: the mixes that published comparisons use, and the measured one."""

import pytest

from evenwatt.economics.api import ApiCost, ReferencePrice
from evenwatt.economics.mixes import (
    NAMED_MIXES,
    Mix,
    batch_price_at_mix,
    measured_mix,
    mix_of_parts,
    price_at_mix,
)
from evenwatt.economics.tokens import Tokens

HAIKU_3_5 = ReferencePrice(
    name="haiku", valid_from_utc_seconds=0.0, input_per_mtok=0.80, output_per_mtok=4.00
)
HAIKU_4_5 = ReferencePrice(
    name="haiku",
    valid_from_utc_seconds=0.0,
    input_per_mtok=1.0,
    cached_input_per_mtok=0.1,
    output_per_mtok=5.0,
    cache_write_per_mtok=1.25,
    batch_input_per_mtok=0.5,
    batch_cached_input_per_mtok=0.05,
    batch_output_per_mtok=2.5,
)


@pytest.mark.parametrize(("name", "expected"), [("3:1", 1.60), ("1:1", 2.40), ("30/70", 3.04)])
def test_a3_named_blends(name, expected):
    """0.80 in and 4.00 out are 1.60 at 3:1, 2.40 at 1:1 and 3.04 at 30/70."""
    assert price_at_mix(HAIKU_3_5, NAMED_MIXES[name]).no_cache == pytest.approx(expected)


def test_a_mix_called_30_70_is_not_50_50():
    """30/70 and 1:1 are different prices, which a published table took for the same."""
    assert price_at_mix(HAIKU_4_5, NAMED_MIXES["30/70"]).no_cache == pytest.approx(3.80)
    assert price_at_mix(HAIKU_4_5, NAMED_MIXES["1:1"]).no_cache == pytest.approx(3.00)


def test_measured_mix_has_both_bounds():
    """6 parts computed, 3 cached and 1 output: shares of a million, billed by both bounds."""
    mix = measured_mix(Tokens(input_tokens=60, cached_input_tokens=30, output_tokens=10))

    assert mix == Mix(input_share=0.6, cached_share=0.3, output_share=0.1)
    assert price_at_mix(HAIKU_4_5, mix) == ApiCost(
        no_cache=pytest.approx(1.40), observed_cache=pytest.approx(0.6 + 0.03 + 0.5)
    )
    assert price_at_mix(HAIKU_4_5, mix, has_cache_write_surcharge=True).observed_cache == pytest.approx(1.28)
    assert batch_price_at_mix(HAIKU_4_5, mix) == ApiCost(
        no_cache=pytest.approx(0.70), observed_cache=pytest.approx(0.565)
    )


def test_a_mix_without_known_hits_has_one_bound():
    """Where nobody knows which input came from the cache, neither does the price."""
    mix = measured_mix(Tokens(input_tokens=3, output_tokens=1))

    assert mix == NAMED_MIXES["3:1"]
    assert price_at_mix(HAIKU_4_5, mix).observed_cache is None


def test_nothing_has_no_mix():
    """Where no token was served there is no mix, and no price at it."""
    assert measured_mix(Tokens()) is None
    assert mix_of_parts(input_part=0, output_part=0, cached_part=0) is None


def test_no_batch_price_at_any_mix():
    """Without batch rates there is no batch price."""
    assert batch_price_at_mix(HAIKU_3_5, NAMED_MIXES["3:1"]) is None
