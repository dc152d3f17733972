"""`python -m evenwatt` and the `evenwatt` command."""

import gc
import os
import signal
import sys

__all__ = ["main"]

_AGENT_COMMANDS = (["run"], ["demo"], ["proxy"])
_START_OBJECTS = 100_000
"""How many objects come before the first look for garbage: what is imported is none, and the looks at it
would take a quarter of a command's time."""


def main() -> None:
    """Run a command; an agent that only just starts is not ended by a signal that is no request to end."""
    gc.set_threshold(_START_OBJECTS, *gc.get_threshold()[1:])
    if sys.argv[1:2] in _AGENT_COMMANDS:
        # `Control` does this too, and listens to them later; it takes half a second to import.
        for number in (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):
            signal.signal(number, signal.SIG_IGN)
    from evenwatt.cli import main as run_command  # noqa: PLC0415 -- not before the signals are ignored

    try:
        run_command()
    except SystemExit as ended:
        if sys.argv[1:2] in _AGENT_COMMANDS or not isinstance(ended.code, int | None):
            raise
        # All that a command opened is closed, and all that it said is written. Taking the interpreter apart,
        # object by object, is a tenth of the time that a person waits; the kernel takes it back at once.
        os._exit(ended.code or 0)


if __name__ == "__main__":
    main()
