"""IPMI DCMI: what the board's controller measures, asked through `ipmitool` in a process of its own.

The controller needs up to a second for an answer and bears no quick asking, so that it is asked only every
ten seconds. A child process is the seam: a driver that hangs takes nothing of the agent with it.
"""

import re
import shutil
import subprocess

from evenwatt.errors import SourceContractError, SourceUnavailable
from evenwatt.model import Coverage
from evenwatt.readings.host.meter import Measurement, measured, power_watts

__all__ = ["IpmiMeter"]

_COMMAND = ("ipmitool", "dcmi", "power", "reading")
_READING = re.compile(r"Instantaneous power reading:\s*([-\d.]+)\s*Watts", re.IGNORECASE)
_STATE = re.compile(r"Power reading state is:\s*(\S+)", re.IGNORECASE)
_WORDS = 200


class IpmiMeter:
    """The board's controller.

    Args:
        covers: `Coverage.WALL` where it measures before the power supply, as with most PMBus supplies.
    """

    source = "ipmi"
    address = " ".join(_COMMAND)
    is_of_boot = False
    sample_seconds: float | None = 10.0

    def __init__(self, covers: Coverage = Coverage.BOARD) -> None:
        self.covers = covers

    def measure(self, deadline_seconds: float) -> Measurement:
        """Return the power of now."""
        program = shutil.which(_COMMAND[0])
        if program is None:
            raise SourceUnavailable(f"{self.address}: ipmitool is not installed; install it to ask the board")
        answer = _answer(program, deadline_seconds)
        found = _READING.search(answer)
        state = _STATE.search(answer)
        if found is None:
            raise SourceContractError(
                f"{self.address}: answered '{_shortened(answer)}', expected an 'Instantaneous power reading'"
            )
        watts = power_watts(found[1], "W", self.address)
        if not watts or (state is not None and state[1].lower() != "activated"):
            raise SourceUnavailable(
                f"{self.address}: says {watts:g} W, state {state[1] if state else 'not told'}: this board "
                "does not measure its power, or does not now"
            )
        return measured(None, watts)

    def close(self) -> None:
        """Do nothing: each question has its own process."""


def _answer(program: str, deadline_seconds: float) -> str:
    try:
        done = subprocess.run(  # noqa: S603 -- a fixed command, no shell
            (program, *_COMMAND[1:]),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=deadline_seconds,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise SourceUnavailable(
            f"{IpmiMeter.address}: no answer within {deadline_seconds:.3g} s; the board's controller is busy"
        ) from error
    except OSError as error:
        raise SourceUnavailable(f"{IpmiMeter.address}: cannot be run ({error.strerror})") from error
    if done.returncode:
        said = _shortened((done.stderr or done.stdout).decode(errors="replace"))
        raise SourceUnavailable(
            f"{IpmiMeter.address}: failed, '{said}'; the agent's user needs read and write on /dev/ipmi0, "
            "and the modules ipmi_si and ipmi_devintf loaded"
        )
    return done.stdout.decode(errors="replace")


def _shortened(text: str) -> str:
    return " ".join(text.split())[:_WORDS] or "nothing"
