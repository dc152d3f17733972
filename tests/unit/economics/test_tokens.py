"""The token bases."""

from evenwatt.economics.tokens import Tokens


def test_kinds_are_disjoint_and_add_up():
    """Total is computed input, cached input and output; computed leaves the cached input out."""
    tokens = Tokens(input_tokens=100, cached_input_tokens=20, output_tokens=3)

    assert tokens.logical_input_tokens == 120
    assert tokens.total_tokens == 123


def test_cached_input_that_is_not_told_is_inside_input():
    """Where the engine does not tell its cache hits, they are in the input and in what was computed."""
    tokens = Tokens(input_tokens=120, output_tokens=3)

    assert tokens.logical_input_tokens == 120
    assert tokens.total_tokens == 123
