"""Signals are flags for the tick loop: none is lost, none waits, and none comes at a bad moment."""

import os
import signal
import threading
import time

import pytest

from evenwatt.service.control import RELEASE_SIGNAL, RESUME_SIGNAL, Control

LONG = 30.0
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, RELEASE_SIGNAL, RESUME_SIGNAL)


@pytest.fixture
def control():
    """A control that listens to the signals of the tests' own process."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    control = Control()
    control.install()
    yield control
    for number, handler in before.items():
        signal.signal(number, handler)


def send(number):
    """Send a signal to this process."""
    os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", [signal.SIGHUP, RELEASE_SIGNAL, RESUME_SIGNAL])
def test_a_request_is_taken_once(control, number):
    """What a signal asks for is asked once, however often it came, and for nothing else."""
    send(number)
    send(number)

    assert [other for other in SIGNALS if control.take(other)] == [number]
    assert not control.take(number)
    assert not control.stopping


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_who_asks_to_stop_is_heard_at_once(control, number):
    """The loop is told to end, and what it waits for is cut short."""
    interrupted = []
    control.interrupt = lambda: interrupted.append(number)
    send(number)

    assert control.stopping
    assert interrupted == [number]


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_ends_the_wait(control, number):
    """A sleeping agent wakes up by any of its signals."""
    timer = threading.Timer(0.1, send, (number,))
    timer.start()
    began = time.monotonic()
    control.wait(LONG)

    assert time.monotonic() - began < LONG / 2
    timer.join()


def test_a_signal_before_the_wait_ends_it(control):
    """What came while the agent was at work is not slept over; the wait after it is a whole one."""
    send(signal.SIGHUP)
    began = time.monotonic()
    control.wait(LONG)
    assert time.monotonic() - began < LONG / 2

    control.wait(0.05)
    assert time.monotonic() - began >= 0.05


def test_a_storm_of_signals_blocks_nothing(control):
    """Handlers run between any two steps of the loop's own code and never wait for it."""
    sent = threading.Thread(target=lambda: [send(signal.SIGHUP) for _ in range(2_000)])
    taken = 0
    sent.start()
    while sent.is_alive():
        control.wait(0.0001)
        taken += control.take(signal.SIGHUP)
    sent.join()
    taken += control.take(signal.SIGHUP)

    assert taken > 0
    assert not control.take(signal.SIGHUP)


@pytest.mark.parametrize("wishes", [(RELEASE_SIGNAL, RESUME_SIGNAL), (RESUME_SIGNAL, RELEASE_SIGNAL)])
def test_of_two_wishes_about_the_gpus_the_last_one_holds(control, wishes):
    """Who releases and resumes within one tick, in either order, has the GPUs as he said last."""
    for number in wishes:
        send(number)

    assert [number for number in SIGNALS if control.take(number)] == [wishes[-1]]


def test_a_request_to_end_is_not_lost_once_nobody_listens(control):
    """After the end of listening a request to end ends the process, and the others do nothing."""
    control.uninstall()
    for number in (signal.SIGHUP, RELEASE_SIGNAL, RESUME_SIGNAL):
        send(number)

    assert {number: signal.getsignal(number) for number in SIGNALS} == {
        signal.SIGTERM: signal.SIG_DFL,
        signal.SIGINT: signal.SIG_DFL,
        signal.SIGHUP: signal.SIG_IGN,
        RELEASE_SIGNAL: signal.SIG_IGN,
        RESUME_SIGNAL: signal.SIG_IGN,
    }
