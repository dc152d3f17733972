"""What a load run shows: rates of steps, when more requests bring no more, and what is kept of it."""

import pytest

from evenwatt.economics.calibration import (
    Phase,
    Step,
    best_step,
    calibration_result,
    is_still_growing,
    next_concurrency,
    phases_explain,
)


def step(rate, *, concurrency=1, phase=Phase.DECODE, read=0):
    """Return a step of ten seconds that wrote so many tokens a second."""
    return Step(
        phase=phase,
        concurrency=concurrency,
        requests=10,
        seconds=10.0,
        input_tokens=read,
        output_tokens=10 * rate,
    )


def doubling(*rates, phase=Phase.DECODE):
    """Return steps of 1, 2, 4, ... requests at once with these rates."""
    return [step(rate, concurrency=2**number, phase=phase) for number, rate in enumerate(rates)]


@pytest.mark.parametrize(
    ("phase", "rate"), [(Phase.PREFILL, 300.0), (Phase.DECODE, 20.0), (Phase.MIXED, 320.0)]
)
def test_each_phase_has_its_own_tokens(phase, rate):
    """3,000 read and 200 written in 10 s are a rate of prefill, of decode, or of both."""
    assert step(20, phase=phase, read=3_000).tokens_per_second == rate


@pytest.mark.parametrize(
    ("rates", "expected"),
    [
        ((), 1),
        ((100,), 2),
        ((100, 200), 4),
        ((100, 104), 4),
        ((100, 104, 104), None),
        ((100, 90, 106), 8),
        ((100, 200, 190, 180), None),
        ((100, 200, 400, 800, 1_600), None),
    ],
    ids=str,
)
def test_requests_double_until_twice_in_a_row_that_brings_no_more(rates, expected):
    """Less than five percent more is nothing; one such step may be bad luck; sixteen are the limit."""
    assert next_concurrency(doubling(*rates), 16) == expected


def test_the_last_doubling_goes_to_the_limit():
    """A limit that is no power of two is reached all the same."""
    assert next_concurrency(doubling(100, 200, 400), 6) == 6


def test_growth_at_the_limit():
    """The last step brought more: the engine may do more than was asked of it."""
    assert is_still_growing(doubling(100, 200))
    assert not is_still_growing(doubling(100, 200, 201))
    assert is_still_growing(doubling(100))


def test_the_best_step_counts():
    """Past the best, more requests may bring less."""
    assert best_step(doubling(100, 200, 150)).concurrency == 2
    assert best_step([]) is None


def test_what_is_kept():
    """The best of each phase, whether it still grew, and what the phases make of the mixed step."""
    steps = [
        *[step(0, phase=Phase.PREFILL, read=10_000, concurrency=c) for c in (1, 2, 4)],
        *doubling(100, 200),
        step(100, phase=Phase.MIXED, read=5_000),
        step(90, phase=Phase.MIXED, read=5_000, concurrency=2),
    ]
    result = calibration_result(steps, model="small", others_seen=False)

    assert result["prefill_tokens_per_second"] == 1_000.0
    assert result["decode_tokens_per_second"] == 200.0
    assert result["tokens_per_second"] == 600.0
    assert result["still_growing"] == ["decode"]
    assert result["mixed_load_by_phases"] == pytest.approx(0.5 + 0.5)
    assert len(result["steps"]) == 7
    assert phases_explain(result)


def test_a_phase_that_was_never_through_is_not_known():
    """A run that ended early says nothing of what it did not get to, and that it was not finished."""
    result = calibration_result(doubling(100), model="small", others_seen=True)

    assert result["tokens_per_second"] is None
    assert result["mixed_load_by_phases"] is None
    assert result["still_growing"] == ["prefill", "decode", "mixed"]
    assert phases_explain(result)


def test_phases_that_overlap_do_not_explain_the_mix():
    """By its phases the mixed step would be a load of one and a half: they run side by side."""
    steps = [
        step(0, phase=Phase.PREFILL, read=10_000),
        *doubling(100),
        step(75, phase=Phase.MIXED, read=7_500),
    ]

    assert not phases_explain(calibration_result(steps, model="small", others_seen=False))
