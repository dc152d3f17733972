"""Sums of what may not be known."""

from evenwatt.economics.sums import known_sum, whole_sum


def test_a_known_sum_takes_what_there_is():
    """Parts that are not known leave the sum of the others; nothing known is not zero."""
    assert known_sum([1.0, None, 2.0]) == 3.0
    assert known_sum([None]) is None
    assert known_sum([0.0]) == 0.0


def test_a_whole_sum_needs_all():
    """One part that is not known makes the whole unknown."""
    assert whole_sum([1.0, 2.0]) == 3.0
    assert whole_sum([1.0, None]) is None
