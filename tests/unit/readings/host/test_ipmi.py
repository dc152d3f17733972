"""IPMI through a program named ipmitool on the path, with what boards' controllers answer."""

import os

import pytest

from evenwatt.errors import SourceContractError, SourceUnavailable
from evenwatt.model import Coverage
from evenwatt.readings.host.ipmi import IpmiMeter

ANSWER = """
    Instantaneous power reading:                   {watts} Watts
    Minimum during sampling period:                 90 Watts
    Maximum during sampling period:                401 Watts
    Average power reading over sample period:      251 Watts
    IPMI timestamp:                           Wed Nov 25 10:00:00 2026
    Sampling period:                          00000001 Seconds.
    Power reading state is:                   {state}
"""


@pytest.fixture
def board(tmp_path, monkeypatch):
    """Return a function that lets `ipmitool` answer with a shell script."""

    def answer(script):
        program = tmp_path / "ipmitool"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)

    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}/usr/bin{os.pathsep}/bin")
    return answer


def said(watts, state="activated"):
    """Return a script that answers as ipmitool does; it wants the right words."""
    text = ANSWER.format(watts=watts, state=state)
    return f"[ \"$*\" = 'dcmi power reading' ] || exit 9\ncat <<'END'\n{text}\nEND"


def test_the_board_says_its_power(board):
    """The present value counts, not the statistics beside it."""
    board(said(173))
    meter = IpmiMeter()
    found = meter.measure(5.0)
    meter.close()

    assert (found.power_watts, found.counters) == (173.0, ())
    assert (meter.covers, meter.sample_seconds) == (Coverage.BOARD, 10.0)


@pytest.mark.parametrize(
    ("script", "kind", "words"),
    [
        (said(0), SourceUnavailable, "says 0 W, state activated: this board does not measure"),
        (said(173, "deactivated"), SourceUnavailable, "state deactivated"),
        (said(-20), SourceContractError, "power flows back"),
        (said(45_000), SourceContractError, "says 45,000 W, expected at most 20,000"),
        ("echo nonsense", SourceContractError, "answered 'nonsense', expected an 'Instantaneous power"),
        ("true", SourceContractError, "answered 'nothing'"),
        (
            "echo 'Could not open device at /dev/ipmi0' >&2; exit 1",
            SourceUnavailable,
            "failed, 'Could not open device at /dev/ipmi0'; the agent's user needs read and write",
        ),
        ("exec sleep 30", SourceUnavailable, "no answer within 0.3 s"),
    ],
)
def test_what_is_no_power_is_told(board, script, kind, words):
    """A board without a sensor, a missing right, garbage and a busy controller each have their sentence."""
    board(script)
    with pytest.raises(kind, match=words):
        IpmiMeter().measure(0.3 if "sleep" in script else 5.0)


def test_a_machine_without_the_tool_is_told(tmp_path, monkeypatch):
    """Without ipmitool nobody can ask."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SourceUnavailable, match="ipmitool is not installed"):
        IpmiMeter().measure(1.0)


def test_a_tool_that_cannot_be_run_is_told(board, tmp_path):
    """A program of another machine is a fault of its own."""
    board("true")
    (tmp_path / "ipmitool").write_bytes(b"\x7fELFnot really")
    with pytest.raises(SourceUnavailable, match="cannot be run"):
        IpmiMeter().measure(1.0)
