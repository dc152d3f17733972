"""Shares of clients: by tokens, and together exactly the whole."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evenwatt.economics.clients import client_shares


def test_clients_share_by_what_their_tokens_weigh():
    """Three quarters and one quarter."""
    assert client_shares({"a": 30.0, "b": 10.0}, whole_weight=40.0, nobody="-") == {"a": 0.75, "b": 0.25}


def test_what_no_client_asked_for_is_nobody_s():
    """Half of the tokens are known by client."""
    assert client_shares({"a": 20.0}, whole_weight=40.0, nobody="-") == {"a": 0.5, "-": 0.5}


def test_a_span_without_tokens_is_nobody_s():
    """Idle time has no client."""
    assert client_shares({}, whole_weight=0.0, nobody="-") == {"-": 1.0}
    assert client_shares({"a": 0.0}, whole_weight=0.0, nobody="-") == {"-": 1.0}


def test_clients_with_more_than_the_whole_share_all_of_it():
    """Where a minute's end parted the two counts."""
    assert client_shares({"a": 30.0, "b": 30.0}, whole_weight=50.0, nobody="-") == {"a": 0.5, "b": 0.5}


@given(st.dictionaries(st.text(max_size=3), st.floats(0, 1e12), max_size=8), st.floats(0, 1e13))
def test_shares_add_up_to_one(weights, whole_weight):
    """Whatever is shared."""
    shares = client_shares(
        {f"c{name}": weight for name, weight in weights.items()}, whole_weight=whole_weight, nobody="-"
    )

    assert sum(shares.values()) == pytest.approx(1.0, rel=1e-9)
    assert all(share >= -1e-12 for share in shares.values())
