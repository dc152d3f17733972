"""The section of what is planned: what its keys take, and which of them can hold together."""

import pytest

from config_fixtures import faults_in, settings_of


def test_the_defaults_plan_a_mix_and_nothing_else():
    """Three input tokens for one of output, no cache, eleven loads; machine and volume are open."""
    plan = settings_of("").plan

    assert (plan.input_share, plan.cached_share) == (0.75, 0.0)
    assert (plan.loads[0], plan.loads[-1], len(plan.loads)) == (0.05, 1.0, 11)
    assert plan.capacity_tokens_per_second is None
    assert (plan.tokens_per_day, plan.month_hours, plan.tokens_per_task) == (None, None, None)


def test_a_whole_section():
    """Every key of the design is taken, in any notation of a number."""
    plan = settings_of(
        """\
        plan:
          capacity_tokens_per_second: 2e3
          input_share: 0.3
          cached_share: 0.5
          idle_watts: 100
          full_watts: 700
          loads: [1, 0.6]
          tokens_per_day: 50e6
          month_hours: 720
        """
    ).plan

    assert (plan.capacity_tokens_per_second, plan.tokens_per_day) == (2_000, 50_000_000)
    assert plan.loads == (1.0, 0.6)
    assert plan.month_hours == 720


@pytest.mark.parametrize(
    ("keys", "fault"),
    [
        ("loads: []", "at least one load"),
        ("loads: [0]", "loads[0]: got 0, expected a number above 0 and at most 1"),
        ("input_share: 1.1", "input_share: got 1.1, expected a number from 0 to 1"),
        ("month_hours: 700", "month_hours: got 700, expected 730 or 720"),
        ("idle_watts: 9, full_watts: 8", "idle_watts: got 9, expected at most full_watts (8)"),
        ("tokens_per_day: 1, tasks_per_day: 1", "given together with tokens_per_day"),
        ("tasks_per_day: 1", "needs the tokens_per_task"),
        ("input_share: 1, cached_share: 1", "leaves nothing to compute"),
        ("tokens_per_task: {output: 1}, input_share: 0.5", "given together with tokens_per_task"),
        ("tokens_per_task: {input: 1, cached: 2}", "cached: got 2, expected at most the input"),
        ("tokens_per_task: {input: 1, cached: 1}", "nothing of this task has to be computed"),
        ("tokens_per_dya: 1", "unknown key; did you mean tokens_per_day?"),
    ],
)
def test_what_is_refused(keys, fault):
    """A fault names its line, its key, what was found and what is expected."""
    (told,) = faults_in(f"plan: {{{keys}}}")

    assert told.startswith("1: plan")
    assert fault in told


def test_all_faults_of_the_section_are_told_at_once():
    """Values that are wrong by themselves do not hide each other."""
    assert len(faults_in("plan: {loads: [2], input_share: -1, month_hours: 1, full_watts: x}")) == 4
