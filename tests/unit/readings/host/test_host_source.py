"""The source of host power: which meter it takes, when it changes, and what it hands on."""

import pytest

from evenwatt import clock
from evenwatt.errors import SourceUnavailable
from evenwatt.model import Coverage, EnergyCounter
from evenwatt.readings.host.fixed import FixedMeter
from evenwatt.readings.host.meter import Measurement
from evenwatt.readings.host.source import HostSource


class ScriptedMeter:
    """A meter that says what a test tells it to.

    Attributes:
        says: Watts, or joules of a counter, or the fault to raise.
    """

    covers = Coverage.BOARD
    is_of_boot = False

    def __init__(self, source, *, watts=None, joules=None, sample_seconds=None):
        self.source = source
        self.address = f"the {source}"
        self.sample_seconds = sample_seconds
        self.watts = watts
        self.joules = joules
        self.fault = None
        self.asked = 0
        self.is_closed = False

    def measure(self, deadline_seconds):
        self.asked += 1
        assert deadline_seconds > 0
        if self.fault is not None:
            raise SourceUnavailable(self.fault)
        counters = ()
        if self.joules is not None:
            counters = (EnergyCounter(name="total", energy_joules=self.joules, most_watts=1_000.0),)
        return Measurement(counters=counters, power_watts=self.watts)

    def close(self):
        self.is_closed = True


def source_of(*meters):
    """Return the source of some meters."""
    return HostSource(meters, deadline_seconds=1.0)


def test_the_best_meter_that_works_is_taken_and_says_why():
    """Those before it are named with their faults."""
    board, cpu = ScriptedMeter("ipmi", watts=200.0), ScriptedMeter("rapl", joules=5.0)
    board.fault = "ipmitool is not installed"
    source = source_of(board, cpu)
    reading = source.read()

    assert (reading.source, reading.meter, source.kind, source.address) == (
        "rapl",
        "the rapl",
        "rapl",
        "the rapl",
    )
    assert reading.reason == "the best that was found; better ones do not work: ipmitool is not installed"
    assert reading.counters[0].energy_joules == 5.0


def test_a_named_meter_needs_no_reason():
    """What the configuration names is what is read."""
    assert source_of(ScriptedMeter("http", joules=5.0)).read().reason == ""


def test_where_none_works_all_say_why():
    """The fault has a sentence of each."""
    meters = ScriptedMeter("ipmi"), ScriptedMeter("rapl")
    meters[0].fault, meters[1].fault = "no tool", "no zone"
    source = source_of(*meters)
    with pytest.raises(SourceUnavailable, match="no tool; no zone"):
        source.read()

    assert source.sample_seconds is None
    source.sample()


def test_one_failure_changes_nothing_and_three_do():
    """A controller that is busy once is no reason for another meter, which would begin with a baseline."""
    board, cpu = ScriptedMeter("ipmi", joules=1.0), ScriptedMeter("rapl", joules=5.0)
    source = source_of(board, cpu)
    source.read()
    board.fault = "busy"
    for _ in range(3):
        with pytest.raises(SourceUnavailable, match="busy"):
            source.read()

    assert source.read().source == "rapl"


def test_a_failure_now_and_then_never_changes_the_meter():
    """Only failures in a row count."""
    board, cpu = ScriptedMeter("ipmi", joules=1.0), ScriptedMeter("rapl", joules=5.0)
    source = source_of(board, cpu)
    for _ in range(5):
        board.fault = None
        assert source.read().source == "ipmi"
        board.fault = "busy"
        with pytest.raises(SourceUnavailable):
            source.read()


def test_the_only_meter_is_kept_however_long_it_fails():
    """What the configuration names has no stand-in."""
    plug = ScriptedMeter("http", joules=1.0)
    source = source_of(plug)
    source.read()
    plug.fault = "gone"
    for _ in range(10):
        with pytest.raises(SourceUnavailable, match="gone"):
            source.read()
    plug.fault = None

    assert source.read().counters


def test_power_is_handed_on_once_with_what_was_seen_between():
    """Samples between two readings come with the next one, oldest first; counters need none."""
    board = ScriptedMeter("hwmon", watts=100.0, sample_seconds=1e-6)
    source = source_of(board)
    source.read()
    for watts in (110.0, 120.0):
        board.watts = watts
        source.sample()
    board.watts = 130.0
    reading = source.read()

    assert [sample.power_watts for sample in reading.power_samples] == [110.0, 120.0, 130.0]
    assert reading.power_watts == 130.0
    assert reading.moment.boot_seconds == reading.power_samples[-1].boot_seconds


def test_a_slow_meter_is_not_asked_again_at_once():
    """A reading just after a look takes that look: controllers bear no quick asking."""
    board = ScriptedMeter("ipmi", watts=100.0, sample_seconds=10.0)
    source = source_of(board)
    source.read()
    first = board.asked
    again = source.read()

    assert (first, board.asked) == (1, 1)
    assert again.power_samples == ()


def test_a_look_that_fails_is_left_to_the_next_reading():
    """Sampling never raises; the reading after it asks anew and tells."""
    board = ScriptedMeter("ipmi", watts=100.0, sample_seconds=10.0)
    source = source_of(board)
    source.read()
    board.fault = "busy"
    source.sample()
    with pytest.raises(SourceUnavailable, match="busy"):
        source.read()


def test_looks_that_nobody_reads_do_not_pile_up():
    """Memory stays bounded however long readings stay away."""
    board = ScriptedMeter("hwmon", watts=100.0, sample_seconds=1e-6)
    source = source_of(board)
    source.read()
    for _ in range(1_000):
        source.sample()

    assert len(source.read().power_samples) == 600


def test_all_meters_are_let_go():
    """Closing closes those that were never taken too."""
    meters = ScriptedMeter("ipmi"), ScriptedMeter("rapl")
    source_of(*meters).close()

    assert all(meter.is_closed for meter in meters)


def test_a_fixed_figure_counts_from_the_boot_on():
    """50 W since the boot, so that time in which the agent was away is in it."""
    before = clock.boot_seconds()
    reading = source_of(FixedMeter(50.0)).read()
    after = clock.boot_seconds()

    assert 50 * before <= reading.counters[0].energy_joules <= 50 * after
    assert reading.covers is Coverage.REST
    assert reading.epoch.signals == {"boot": clock.boot_id()}
