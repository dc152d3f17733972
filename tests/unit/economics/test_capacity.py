"""Who is believed about a capacity, and the load that follows from it."""

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from evenwatt.economics.capacity import Capacity, CapacitySource, best_capacity, capacity_load

RATES = st.floats(0.001, 1e9)
CONFIGURED = Capacity(tokens_per_second=100.0, source=CapacitySource.CONFIGURED)


def test_the_order_of_belief():
    """Configured before calibrated before learned before the peak, in whatever order they are told."""
    sources = ("configured", "calibrated", "simulated", "learned", "peak_seen")
    ranked = [replace(CONFIGURED, source=CapacitySource(source)) for source in sources]

    for first in range(len(sources)):
        for order in permutations(ranked[first:]):
            assert best_capacity(None, *order) == ranked[first]
    assert best_capacity(None, None) is None


def test_no_capacity_is_no_load():
    """Unknown stays unknown."""
    assert capacity_load(None, input_tokens_per_second=1, output_tokens_per_second=1) is None


def test_load_by_parts_and_by_the_whole():
    """Where both phases are known they are taken: 300 of 1,000 and 20 of 100 are half a load."""
    parts = replace(CONFIGURED, prefill_tokens_per_second=1_000.0, decode_tokens_per_second=100.0)

    assert capacity_load(CONFIGURED, input_tokens_per_second=30, output_tokens_per_second=20) == 0.5
    assert capacity_load(parts, input_tokens_per_second=300, output_tokens_per_second=20) == pytest.approx(
        0.5
    )


@pytest.mark.parametrize(
    ("source", "load"), [("configured", 1.5), ("calibrated", 1.5), ("learned", 1.0), ("peak_seen", 1.0)]
)
def test_a_capacity_is_never_less_than_what_was_served(source, load):
    """Serving 150 with a capacity of 100 is a full load where 100 was only seen; else 100 is wrong."""
    capacity = replace(CONFIGURED, source=CapacitySource(source))

    assert capacity_load(capacity, input_tokens_per_second=100, output_tokens_per_second=50) == load


@given(RATES, RATES, st.floats(0, 1), st.floats(0, 1))
def test_load_from_parts_adds_up(prefill, decode, prefill_share, decode_share):
    """A share of each phase's capacity is that share of a load, and both together their sum."""
    parts = Capacity(
        tokens_per_second=None,
        prefill_tokens_per_second=prefill,
        decode_tokens_per_second=decode,
        source=CapacitySource.CALIBRATED,
    )
    load = capacity_load(
        parts,
        input_tokens_per_second=prefill_share * prefill,
        output_tokens_per_second=decode_share * decode,
    )

    assert load == pytest.approx(prefill_share + decode_share)


@given(RATES, RATES, RATES)
def test_a_lower_bound_of_the_capacity_is_an_upper_bound_of_the_load(seen, more, rate):
    """Whatever the engine turns out to sustain beyond what was seen, the load can only be less."""
    loads = [
        capacity_load(
            replace(CONFIGURED, tokens_per_second=capacity),
            input_tokens_per_second=rate,
            output_tokens_per_second=0.0,
        )
        for capacity in (seen, seen + more)
    ]

    assert loads[0] >= loads[1]
