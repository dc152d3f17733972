"""Sources are read side by side: one that hangs, fails or goes away takes nothing from the others."""

import logging
import threading
import time
from contextlib import ExitStack

import pytest

from evenwatt.errors import SourceUnavailable
from evenwatt.service.workers import Crew
from scripted_sources import ScriptedSource, reading_of

SOON = 0.2
LONG = 30.0
"""A deadline that no test waits for."""


@pytest.fixture
def crew():
    """A crew, whose sources are let go at the end."""
    crew = Crew()
    yield crew
    crew.close(patience_seconds=1.0)


@pytest.fixture
def hanging(crew):
    """A source that hangs since it was last asked; it goes on at the end of the test."""
    source = ScriptedSource("slow")
    crew.add(source)
    source.hang()
    yield source
    source.go_on()


def answered(crew, deadline_seconds=LONG, **options):
    """Return the names of the sources that answered in a round."""
    return {reading.engine for reading in crew.round(deadline_seconds, **options)}


def health(crew, name):
    """Return how a source fares."""
    return next(entry for entry in crew.health if entry.source == name)


def wait_for(condition):
    """Wait until something is so."""
    until = time.monotonic() + LONG
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.001)


def test_all_sources_are_read_in_a_round(crew):
    """A round brings one reading of each source, and ends with the last of them."""
    for name in ("chat", "code", "nvml"):
        crew.add(ScriptedSource(name))

    assert health(crew, "chat").error == "not read yet"
    assert answered(crew) == {"chat", "code", "nvml"} == set(crew.names)
    assert health(crew, "chat").up
    assert health(crew, "chat").error is None
    assert health(crew, "chat").last_success_utc_seconds == pytest.approx(time.time(), abs=LONG)
    assert 0 <= health(crew, "chat").read_duration_seconds < LONG


def test_a_crew_of_nobody_has_an_empty_round(crew):
    """Without sources a round ends at once."""
    assert crew.round(LONG) == ()


def test_a_hung_source_delays_one_round_only(crew, hanging):
    """By the deadline it is down; later rounds neither wait for it nor ask it again; the others go on."""
    crew.add(ScriptedSource("quick"))
    began = time.monotonic()
    assert answered(crew, SOON) == {"quick"}
    assert time.monotonic() - began >= SOON
    first = health(crew, "slow")
    for _ in range(5):
        assert answered(crew) == {"quick"}

    assert time.monotonic() - began < LONG
    assert hanging.reads == 1
    assert not first.up
    assert "nowhere: no answer for 0." in first.error
    assert health(crew, "quick").up


def test_a_late_answer_is_taken_in_the_next_round(crew, hanging):
    """An answer that came after its deadline stands for the round after it; then the source is asked anew."""
    assert answered(crew, SOON) == set()
    hanging.go_on()
    wait_for(lambda: answered(crew) == {"slow"})

    assert hanging.reads == 1
    assert health(crew, "slow").up
    assert answered(crew) == {"slow"}
    assert hanging.reads == 2


def test_the_last_round_waits_for_late_answers(crew, hanging):
    """No later round can take what is on its way: the last one waits for it, and asks nobody twice."""
    answered(crew, SOON)
    timer = threading.Timer(SOON, hanging.go_on)
    timer.start()

    assert answered(crew, is_last=True) == {"slow"}
    assert hanging.reads == 1
    timer.join()


def test_an_interrupted_round_ends(crew, hanging):
    """Somebody who asks to stop does not wait for a source that hangs."""
    crew.add(ScriptedSource("quick"))
    timer = threading.Timer(SOON, crew.interrupt)
    timer.start()
    began = time.monotonic()

    assert answered(crew) == {"quick"}
    assert time.monotonic() - began < LONG / 2
    timer.join()


def test_an_interruption_between_rounds_ends_none(crew):
    """What was said before a round began is not meant for it."""
    crew.add(ScriptedSource())
    crew.interrupt()

    assert answered(crew) == {"chat"}


def test_a_source_that_says_why_not_is_down_with_its_words(crew):
    """A source error is shown as it is, and gone with the next answer; the last success is kept."""
    source = ScriptedSource()
    crew.add(source)
    answered(crew)
    last = health(crew, "chat").last_success_utc_seconds
    good, source.answer = source.answer, raising(SourceUnavailable("http://x: closed; start it"))

    assert answered(crew) == set()
    assert (health(crew, "chat").up, health(crew, "chat").error) == (False, "http://x: closed; start it")
    assert health(crew, "chat").last_success_utc_seconds == last

    source.answer = good
    assert answered(crew) == {"chat"}
    assert health(crew, "chat").error is None


def test_a_fault_of_ours_in_a_source_stays_in_it(crew, caplog):
    """An exception that nobody expected is told with its traceback; the others and later rounds go on."""
    broken = ScriptedSource("broken", raising(ZeroDivisionError("a bug")), sample_seconds=0.001)
    broken.sample_fault = ValueError("another")
    crew.add(broken)
    crew.add(ScriptedSource("quick"))

    for _ in range(3):
        assert answered(crew) == {"quick"}
    wait_for(lambda: broken.samples > 3)
    assert broken.reads == 3
    assert "internal fault: ZeroDivisionError('a bug'); please report it" in health(crew, "broken").error
    assert any(record.exc_info for record in caplog.records)


def test_a_removed_sources_late_answer_is_dropped(crew, hanging):
    """Whoever was let go says nothing any more; another one of its name answers for itself."""
    answered(crew, SOON)
    crew.remove("slow")
    assert crew.names == ()
    other = ScriptedSource("slow", lambda: reading_of("slow", 7))
    crew.add(other)
    hanging.go_on()
    wait_for(lambda: hanging.closed_by is not None)
    tokens = [reading.models[0].output_tokens for _ in range(3) for reading in crew.round(LONG)]

    assert tokens == [7, 7, 7]
    assert hanging.closed_by == "source slow"


def test_closing_does_not_wait_for_a_hung_source(hanging, crew):
    """The others are closed, each by its own thread; one that hangs is left behind in time."""
    quick = ScriptedSource("quick")
    crew.add(quick)
    answered(crew, SOON)
    began = time.monotonic()
    crew.close(patience_seconds=SOON)

    assert SOON <= time.monotonic() - began < LONG / 2
    assert quick.closed_by == "source quick"
    assert hanging.closed_by is None
    assert crew.names == ()


def test_sources_are_sampled_between_readings(crew):
    """A source that wants it is sampled at its pace; others never."""
    sampled, other = ScriptedSource("sampled", sample_seconds=0.005), ScriptedSource("other")
    crew.add(sampled)
    crew.add(other)
    wait_for(lambda: sampled.samples >= 5)
    answered(crew)
    before = sampled.samples
    wait_for(lambda: sampled.samples > before)

    assert other.samples == 0


def test_no_question_is_lost_between_samples(crew):
    """A question that comes just as a sample falls due is answered all the same, each time."""
    crew.add(ScriptedSource(sample_seconds=0.0))

    assert sum(len(crew.round(LONG)) for _ in range(300)) == 300


def test_each_change_of_state_is_told_once(crew, caplog):
    """A source that stays as it is is not spoken of again."""
    caplog.set_level(logging.INFO, "evenwatt")
    source = ScriptedSource()
    crew.add(source)
    good = source.answer
    for answer in (raising(SourceUnavailable("closed")), good, raising(SourceUnavailable("closed"))):
        source.answer = answer
        for _ in range(3):
            crew.round(LONG)

    assert [record.getMessage() for record in caplog.records] == [
        "chat is down: closed",
        "chat (scripted) is up at nowhere",
        "chat is down: closed",
    ]


def test_many_sources_take_no_longer_than_one(crew):
    """Twenty sources that need a moment each are asked at once."""
    begin = threading.Barrier(20)
    with ExitStack() as stack:
        stack.callback(begin.abort)
        for number in range(20):
            crew.add(ScriptedSource(f"engine-{number}", meeting(begin, f"engine-{number}")))

        assert len(answered(crew)) == 20


def meeting(barrier, name):
    """Return an answer that waits until everybody is asked."""

    def answer():
        barrier.wait(LONG)
        return reading_of(name)

    return answer


def raising(error):
    """Return an answer that is an error."""

    def answer():
        raise error

    return answer
