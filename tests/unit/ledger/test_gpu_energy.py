"""What GPUs drew: energy counters, integrated power, resets, refused jumps, changes between the two."""

import pytest

from evenwatt.ledger import LedgerRules, SourceTotals
from ledger_values import START, Books, at, gpu, gpus

KINDS = {
    "energy_counter_reset",
    "energy_refused",
    "energy_source",
    "gpu_lost",
    "gpu_back",
    "energy_disagreement",
    "energy_agreement",
}


@pytest.fixture
def books():
    """Return books whose history began at 0."""
    books = Books()
    books.fold(at(0))
    return books


def told(books):
    """Return the kinds of what was told of GPUs, in order."""
    return [event.kind for event in books.posted.events if event.kind in KINDS]


# --- the energy counter ------------------------------------------------------------------------------------


def test_a_counter_seen_first_is_a_baseline(books):
    """What the driver counted before the history began is not booked."""
    books.fold(at(10), gpus(gpu(at(10), 5_000.0)))

    assert books.gpu_joules == 0


def test_a_counter_that_rises_is_booked_by_its_difference(books):
    """Between two readings a GPU drew what its counter rose by, for itself and for somebody."""
    books.fold(at(10), gpus(gpu(at(10), 5_000.0)))
    books.fold(at(20), gpus(gpu(at(20), 6_000.0)))

    assert books.gpu_joules == 1_000
    assert books.joules() == 1_000
    assert books.posted.gpus[START, "GPU-a"].measured_seconds == 10


def test_energy_is_cut_at_minutes(books):
    """Each minute gets the part of the energy that lies in it."""
    books.fold(at(50), gpus(gpu(at(50), 0.0)))
    books.fold(at(70), gpus(gpu(at(70), 1_000.0)))

    assert {key[0] - START: row.energy_joules for key, row in books.posted.gpus.items()} == {0: 500, 60: 500}


def test_a_counter_that_fell_was_reset_and_counts_anew(books):
    """After a driver reload the new value is booked, never a negative one, and it is told."""
    books.fold(at(10), gpus(gpu(at(10), 5_000.0)))
    books.fold(at(20), gpus(gpu(at(20), 300.0)))
    books.fold(at(30), gpus(gpu(at(30), 400.0)))

    assert books.gpu_joules == 400
    assert told(books) == ["energy_counter_reset"]


def test_a_counter_of_a_new_boot_counts_from_that_boot(books):
    """After a reboot all that the counter says lies between the boot and its reading, however much it is."""
    books.fold(at(10), gpus(gpu(at(10), 1_000.0)))
    later = at(300, boot="boot-2", uptime=30)
    books.fold(later, gpus(gpu(later, 3_000.0)))

    assert books.gpu_joules == 3_000
    assert {key[0] - START for key, row in books.posted.gpus.items() if row.energy_joules} == {240}
    assert books.posted.gpus[START + 240, "GPU-a"].measured_seconds == 30
    assert told(books) == ["energy_counter_reset"]


def test_a_wall_clock_that_came_up_wrong_places_no_energy_before_the_last_reading(books):
    """Where the calendar puts a boot before the last reading of the boot before, that reading bounds it."""
    books.fold(at(100), gpus(gpu(at(100), 1_000.0)))
    later = at(110, boot="boot-2", uptime=50)
    books.fold(later, gpus(gpu(later, 500.0)))

    assert books.gpu_joules == 500
    assert books.posted.gpus[START + 60, "GPU-a"].measured_seconds == 10


def test_a_gpu_first_seen_in_a_later_boot_counts_from_that_boot(books):
    """A counter that began after the history did holds nothing older."""
    later = at(300, boot="boot-2", uptime=30)
    books.fold(later, gpus(gpu(later, 3_000.0)))

    assert books.gpu_joules == 3_000
    assert told(books) == []


@pytest.mark.parametrize(
    ("limit", "joules", "is_booked"),
    [(100.0, 3_500.0, True), (100.0, 5_001.0, False), (None, 32_000.0, True), (None, 62_001.0, False)],
)
def test_a_jump_that_no_card_can_draw_is_refused(books, limit, joules, is_booked):
    """More than 1.5 times the limit (2,000 W where it is not told) and some slack is not believed."""
    for second, counted in ((10, 0.0), (20, joules), (30, joules)):
        books.fold(at(second), gpus(gpu(at(second), 1_000.0 + counted, power_limit_watts=limit)))

    assert books.gpu_joules == (joules if is_booked else 0)
    assert told(books) == ([] if is_booked else ["energy_refused"])


def test_after_a_refused_jump_counting_goes_on_from_there(books):
    """A value that is refused twice is a new baseline."""
    for second, joules in ((10, 1_000.0), (20, 1e9), (30, 1e9 + 500), (40, 1e9 + 900)):
        books.fold(at(second), gpus(gpu(at(second), joules)))

    assert books.gpu_joules == 400


@pytest.mark.parametrize("glitch", [0.0, 1e9], ids=["down", "up"])
def test_one_value_that_does_not_fit_loses_and_invents_nothing(books, glitch):
    """A counter that is wrong once and right again is counted as if it had never been."""
    for second, joules in ((10, 50_000.0), (20, glitch), (30, 52_000.0)):
        books.fold(at(second), gpus(gpu(at(second), joules)))
        books = books.reopened()

    assert books.gpu_joules == 2_000
    assert told(books) == []


def test_a_counter_that_fails_for_a_while_loses_nothing(books):
    """The next good value holds what was drawn meanwhile; power samples are not booked in its place."""
    books.fold(at(10), gpus(gpu(at(10), 1_000.0, watts=[(10, 50.0)])))
    books.fold(at(20), gpus(gpu(at(20), None, watts=[(15, 50.0), (20, 50.0)])))

    assert books.gpu_joules == 0

    books.fold(at(30), gpus(gpu(at(30), 2_000.0, watts=[(25, 50.0), (30, 50.0)])))

    assert books.gpu_joules == 1_000
    assert told(books) == []


def test_energy_of_a_gap_is_spread_and_flagged(books):
    """What the counter rose by while nobody looked is spread over that time, minute by minute."""
    books.fold(at(0), gpus(gpu(at(0), 0.0)))
    books.fold(at(240), gpus(gpu(at(240), 4_000.0)))

    rows = [row for key, row in sorted(books.posted.gpus.items())]
    assert [(row.energy_joules, row.estimated) for row in rows] == [(1_000.0, 1)] * 4
    assert books.posted.sources["nvml"] == SourceTotals(gap_seconds=240)


def test_a_gap_of_several_gpus_is_one_gap(books):
    """A source that was away was away once, for the longest time that one of its GPUs misses."""
    books.fold(at(0), gpus(gpu(at(0), 0.0), gpu(at(0), 0.0, uuid="GPU-b", index=1)))
    books.fold(at(20), gpus(gpu(at(20), 1.0), gpu(at(20), None, uuid="GPU-b", index=1)))
    books.fold(at(80), gpus(gpu(at(80), 2.0), gpu(at(80), 2.0, uuid="GPU-b", index=1)))

    assert books.posted.sources["nvml"] == SourceTotals(gap_seconds=80)
    assert [event.subject for event in books.events("gap")] == ["nvml", "agent"]


# --- integrated power --------------------------------------------------------------------------------------


def ramp(first, last):
    """Return samples, one a second, of power that rises by 10 W each second."""
    return [(second, 10.0 * second) for second in range(first, last + 1)]


def test_power_is_integrated_exactly_where_it_is_linear(books):
    """The trapezoid rule goes on over readings, each of which brings the samples since the one before."""
    books.fold(at(10), gpus(gpu(at(10), counter=False, watts=ramp(1, 10))))
    books.fold(at(20), gpus(gpu(at(20), counter=False, watts=ramp(11, 20))))

    assert books.gpu_joules == pytest.approx(5 * (20**2 - 1))
    assert books.posted.gpus[START, "GPU-a"].measured_seconds == pytest.approx(19)
    assert told(books) == []


def test_power_goes_on_in_a_new_process_of_the_agent(books):
    """The last sample is remembered, within one boot."""
    books.fold(at(10), gpus(gpu(at(10), counter=False, watts=[(10, 100.0)])))
    books = books.reopened()
    books.fold(at(20), gpus(gpu(at(20), counter=False, watts=[(20, 100.0)])))

    assert books.gpu_joules == 1_000


def test_samples_too_far_apart_are_not_joined(books):
    """Energy between them is not known and is not made up; the measured time says so."""
    books.fold(at(10), gpus(gpu(at(10), counter=False, watts=[(10, 100.0)])))
    books.fold(at(60), gpus(gpu(at(60), counter=False, watts=[(41, 100.0), (51, 100.0)])))

    assert books.gpu_joules == 1_000
    assert books.posted.gpus[START, "GPU-a"].measured_seconds == pytest.approx(10)


def test_samples_of_two_boots_are_not_joined(books):
    """The boot clock of another boot places no sample in this one."""
    books.fold(at(10), gpus(gpu(at(10), counter=False, watts=[(10, 100.0)])))
    later = at(20, boot="boot-2")
    books.fold(later, gpus(gpu(later, counter=False, watts=[(15, 100.0), (20, 100.0)])))

    assert books.gpu_joules == 500


def test_samples_of_one_moment_draw_nothing(books):
    """The same sample twice is no time."""
    books.fold(at(10), gpus(gpu(at(10), counter=False, watts=[(9, 10.0), (9, 10.0), (10, 10.0)])))

    assert books.gpu_joules == 10


def test_a_wall_clock_that_was_set_moves_no_sample(books):
    """Samples lie on the boot clock; the calendar only says where that is now."""
    books.fold(at(0), gpus(gpu(at(0), counter=False, watts=[(0, 100.0)])))
    later = at(10, stepped=3_600)
    books.fold(later, gpus(gpu(later, counter=False, watts=[(5, 100.0), (10, 100.0)])))

    assert books.gpu_joules == 1_000
    assert {key[0] - START for key in books.posted.gpus} == {3_600}


# --- from one to the other ---------------------------------------------------------------------------------


def test_a_counter_that_comes_to_be_known_later_is_a_baseline(books):
    """What was integrated is not counted again out of the counter, not even in a boot that we saw begin."""
    boot = "boot-2"
    for second in (10, 20):
        moment = at(second, boot=boot)
        books.fold(moment, gpus(gpu(moment, counter=False, watts=[(second, 100.0)])))
    third, fourth = at(30, boot=boot), at(40, boot=boot)
    books.fold(third, gpus(gpu(third, 50_000.0, watts=[(30, 100.0)])))
    books.fold(fourth, gpus(gpu(fourth, 51_000.0, watts=[(40, 100.0)])))

    assert books.gpu_joules == 1_000 + 1_000
    assert told(books) == ["energy_source"]


def test_a_counter_that_is_lost_for_good_gives_way_to_power(books):
    """Power is integrated from the next sample on: the time up to there was partly counted already."""
    books.fold(at(10), gpus(gpu(at(10), 1_000.0, watts=[(9, 100.0)])))
    books.fold(at(20), gpus(gpu(at(20), counter=False, watts=[(11, 100.0), (20, 100.0)])))
    books.fold(at(30), gpus(gpu(at(30), counter=False, watts=[(30, 100.0)])))

    assert books.gpu_joules == 900 + 1_000
    assert told(books) == ["energy_source"]
    assert "integrated power" in books.events("energy_source")[0].text


def test_a_counter_that_comes_back_does_not_count_what_was_integrated(books):
    """From counter to power and back, each joule is booked once."""
    books.fold(at(10), gpus(gpu(at(10), 1_000.0, watts=[(10, 100.0)])))
    books.fold(at(20), gpus(gpu(at(20), counter=False, watts=[(10, 100.0), (20, 100.0)])))
    books.fold(at(30), gpus(gpu(at(30), None)))
    books.fold(at(40), gpus(gpu(at(40), 4_000.0, watts=[(40, 100.0)])))
    books.fold(at(50), gpus(gpu(at(50), 5_000.0, watts=[(50, 100.0)])))

    assert books.gpu_joules == 1_000 + 1_000
    assert told(books) == ["energy_source", "energy_source"]


def test_integrated_power_of_the_boot_before_does_not_hide_a_counter(books):
    """A driver that brings a counter with a new boot counts from that boot."""
    books.fold(at(10), gpus(gpu(at(10), counter=False, watts=[(10, 100.0)])))
    later = at(300, boot="boot-2", uptime=30)
    books.fold(later, gpus(gpu(later, 3_000.0)))

    assert books.gpu_joules == 3_000
    assert told(books) == ["energy_source"]


# --- lost and back -----------------------------------------------------------------------------------------


def test_a_lost_gpu_is_told_once_and_counted_when_it_is_back(books):
    """Its fault is an event, so is its return, and what its counter went on to count is booked."""
    books.fold(at(10), gpus(gpu(at(10), 1_000.0)))
    for second in (20, 30):
        books.fold(at(second), gpus(gpu(at(second), fault="GPU is lost")))
        books = books.reopened()
    books.fold(at(40), gpus(gpu(at(40), 1_500.0)))

    assert told(books) == ["gpu_lost", "gpu_back"]
    assert "GPU is lost" in books.events("gpu_lost")[0].text
    assert books.gpu_joules == 500


def test_a_fault_says_nothing_about_where_energy_comes_from(books):
    """While a GPU without a counter is lost, nobody knows that it has none, and nothing is made of that."""
    books.fold(at(10), gpus(gpu(at(10), counter=False, watts=[(10, 100.0)])))
    books.fold(at(20), gpus(gpu(at(20), fault="GPU is lost")))
    books.fold(at(30), gpus(gpu(at(30), counter=False, watts=[(30, 100.0)])))

    assert told(books) == ["gpu_lost", "gpu_back"]
    assert books.gpu_joules == 2_000


# --- the cross-check ---------------------------------------------------------------------------------------


def run(books, *, first, ticks, watts, counted_watts, utilization):
    """Fold ticks of ten seconds in which a counter rises by other watts than are sampled."""
    for number in range(first, first + ticks):
        second = 10 * number
        reading = gpu(
            at(second),
            second * counted_watts,
            watts=[(second - 5, watts), (second, watts)],
            utilization_ratio=utilization,
        )
        books.fold(at(second), gpus(reading))


def test_a_counter_that_parts_from_power_on_a_busy_gpu_is_told(books):
    """More than a tenth apart over five busy minutes is an event with the ratio, once."""
    run(books, first=1, ticks=65, watts=100.0, counted_watts=120.0, utilization=0.9)

    assert told(books) == ["energy_disagreement"]
    assert "1.200" in books.events("energy_disagreement")[0].text
    assert books.ledger.counter_power_ratios == {"GPU-a": pytest.approx(1.2)}


def test_a_counter_that_stands_still_on_a_busy_gpu_is_told(books):
    """A counter that does not move at all while power is drawn is the worst of disagreements."""
    run(books, first=1, ticks=35, watts=100.0, counted_watts=0.0, utilization=0.9)

    assert told(books) == ["energy_disagreement"]


def test_a_counter_that_agrees_again_is_told(books):
    """The end of a disagreement is an event as well, also to an agent that restarted meanwhile."""
    run(books, first=1, ticks=35, watts=100.0, counted_watts=120.0, utilization=0.9)
    books = books.reopened()
    run(books, first=36, ticks=65, watts=120.0, counted_watts=120.0, utilization=0.9)

    assert told(books) == ["energy_disagreement", "energy_agreement"]


@pytest.mark.parametrize(
    ("counted_watts", "utilization"), [(109.0, 0.9), (91.0, 0.9), (170.0, 0.1), (170.0, None)]
)
def test_small_differences_and_idle_gpus_are_no_disagreement(books, counted_watts, utilization):
    """Within a tenth nothing is told, and an idle GPU's counter is known to be off."""
    run(books, first=1, ticks=40, watts=100.0, counted_watts=counted_watts, utilization=utilization)

    assert told(books) == []


def test_missed_samples_are_no_disagreement(books):
    """Only time that both have is compared."""
    for number in range(1, 100):
        second = 10 * number
        samples = [(second - 5, 100.0), (second, 100.0)]
        if number % 5 == 0:
            samples = []
        books.fold(at(second), gpus(gpu(at(second), 100.0 * second, watts=samples, utilization_ratio=1.0)))

    assert told(books) == []
    assert books.ledger.counter_power_ratios == {"GPU-a": pytest.approx(1.0)}


def test_other_bounds_apply_from_the_next_tick(books):
    """A changed setting of the comparison is used without a restart."""
    run(books, first=1, ticks=5, watts=100.0, counted_watts=120.0, utilization=0.9)
    books.ledger.adopt(LedgerRules(cross_check_seconds=60, cross_check_tolerance_ratio=0.15))
    run(books, first=6, ticks=3, watts=100.0, counted_watts=120.0, utilization=0.9)

    assert told(books) == ["energy_disagreement"]


def test_power_of_nothing_is_not_compared(books):
    """A sensor that says 0 W gives no ratio."""
    run(books, first=1, ticks=40, watts=0.0, counted_watts=100.0, utilization=0.9)

    assert told(books) == []
    assert books.ledger.counter_power_ratios == {}


# --- utilization -------------------------------------------------------------------------------------------


def test_utilization_is_kept_as_time(books):
    """Half of ten seconds is five seconds; a GPU that does not tell has none."""
    quiet = gpu(at(10), uuid="GPU-b", index=1)
    books.fold(at(10), gpus(gpu(at(10), utilization_ratio=0.5), quiet))

    assert {key[1]: row.utilization_seconds for key, row in books.posted.gpus.items()} == {"GPU-a": 5.0}


def test_utilization_of_time_that_nobody_watched_is_not_known(books):
    """The samples of the last second say nothing about an hour."""
    books.fold(at(3_600), gpus(gpu(at(3_600), utilization_ratio=0.5)))

    assert not books.posted.gpus
