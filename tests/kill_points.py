"""Kills a piece of work with SIGKILL at random points of it, again and again.

The work is a function of a module, named `module:function`, with texts for arguments. A process that has
imported the module forks one for each try, so that a try takes milliseconds and is killed in the work itself,
not while it imports. What the work starts is killed with it.

    with KillPoints("kill_works:write_ticks") as works:
        works.seconds(str(path))
        works.kill(str(path), chance=random.Random(1))
"""

import importlib
import os
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Self

__all__ = ["KillPoints"]

_TESTS = Path(__file__).parent


class KillPoints:
    """A process that begins a work whenever it is asked to.

    Args:
        work: `module:function`; the module lies in `tests`.

    Attributes:
        killed: How many tries were killed before their end.
        ended: How many came to their end before that.
    """

    def __init__(self, work: str) -> None:
        self.killed = self.ended = 0
        self._reach_seconds = 0.0
        self._process = subprocess.Popen(
            [sys.executable, __file__, work],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join((str(_TESTS), *filter(None, sys.path)))},
        )

    def __enter__(self) -> Self:
        """Wait until everything is imported."""
        assert self._process.stdout.readline() == "ready\n"
        return self

    def __exit__(self, *_: object) -> None:
        """End the process."""
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()

    def seconds(self, *arguments: str) -> float:
        """Run the work to its end and return how long that took."""
        began = time.monotonic()
        self._begin(arguments)
        assert self._ending() == 0
        seconds = time.monotonic() - began
        self._reach_seconds = self._reach_seconds or seconds
        return seconds

    def kill(self, *arguments: str, chance: random.Random) -> bool:
        """Run the work and kill it at a random moment; return whether it was killed before its end.

        `seconds` has told before how long it takes; where it turns out to be faster, later kills come sooner.
        """
        pid = self._begin(arguments)
        time.sleep(chance.uniform(0.0, self._reach_seconds))
        with suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)
        status = self._ending()
        assert status in {0, -signal.SIGKILL}, f"the work failed by itself: {status}"
        self.killed += status != 0
        self.ended += status == 0
        if status == 0:
            self._reach_seconds *= 0.8
        return status != 0

    def _begin(self, arguments: tuple[str, ...]) -> int:
        self._process.stdin.write("\t".join(arguments) + "\n")
        self._process.stdin.flush()
        word, pid = self._process.stdout.readline().split()
        assert word == "began"
        return int(pid)

    def _ending(self) -> int:
        word, status = self._process.stdout.readline().split()
        assert word == "ended"
        return int(status)


def _serve(work: str) -> None:
    name, _, function = work.partition(":")
    run = getattr(importlib.import_module(name), function)
    print("ready", flush=True)
    for line in sys.stdin:
        pid = os.fork()
        if not pid:
            os.setsid()
            print("began", os.getpid(), flush=True)
            run(*line.rstrip("\n").split("\t"))
            os._exit(0)
        _, status = os.waitpid(pid, 0)
        print("ended", os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    _serve(sys.argv[1])
