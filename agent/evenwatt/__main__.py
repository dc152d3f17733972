"""`python -m evenwatt` and the `evenwatt` command."""

import gc
import os
import signal
import sys
from typing import NoReturn

__all__ = ["main"]

_AGENT_COMMANDS = (["run"], ["demo"], ["proxy"])
_FAILED = 1
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
        _leave(ended.code or 0)


def _leave(status: int) -> NoReturn:
    """End a command that is done, without taking the interpreter apart first.

    All that it opened is closed, and the kernel takes back the rest at once: object by object it takes a
    tenth of the time that a person waits.
    """
    try:
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:  # as where a shell closed it
                stream.flush()
    except BrokenPipeError:  # whoever read it had enough
        status = _FAILED
    except OSError as error:
        os.write(2, f"evenwatt: the output cannot be written: {error.strerror}\n".encode())
        status = _FAILED
    os._exit(status)


if __name__ == "__main__":
    main()
