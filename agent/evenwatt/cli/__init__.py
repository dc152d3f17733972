"""The commands for people: arguments, exit codes, and errors in their words.

What a command needs is imported when it runs: `check-config` must not wait for a web server, and no command
for what the others can be asked. `evenwatt.cli.whole` has them all.
"""

import errno
import sys
from collections.abc import Mapping
from importlib import import_module
from typing import Final

from evenwatt.cli.app import app
from evenwatt.errors import ConfigError, EvenwattError, OptionError

__all__ = ["MODULES", "main"]

MODULES: Final[Mapping[str, str]] = {
    "run": "agent",
    "demo": "agent",
    "status": "status",
    "report": "report",
    "reprice": "reprice",
    "what-if": "reprice",
    "export": "exchange",
    "import": "exchange",
    "backup": "exchange",
    "init": "init",
    "doctor": "doctor",
    "check-config": "config",
    "plan": "plan",
    "calibrate": "calibrate",
    "proxy": "proxy",
    "alerts": "alerts",
    "prices": "prices",
    "gpu": "gpu",
    "meter": "meters",
    "service": "service",
}
"""Where each command is defined, in the order of --help. Where none is asked for, all are needed."""

_NO_ROOM: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
EXIT_FAILED = 1
EXIT_WRONGLY_ASKED = 2
"""The configuration or an option is wrong, as with the options that the library refuses itself."""


def main() -> None:
    """Run a command to the end of all that it says.

    A fault that the user can mend is told in one sentence, without a traceback.

    Raises:
        SystemExit: Always, with the exit status.
    """
    asked = sys.argv[1] if len(sys.argv) > 1 else ""
    import_module(f"evenwatt.cli.{MODULES.get(asked, 'whole')}")
    try:
        try:
            _run()
        finally:
            _flush()
    except BrokenPipeError:  # whoever read it had enough
        sys.exit(EXIT_FAILED)
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise
        what = error.filename or "the output"
        told = f"{what} cannot be written: {error.strerror}; make room, or write elsewhere"
        print(f"evenwatt: {told}", file=sys.stderr)
        sys.exit(EXIT_FAILED)


def _run() -> None:
    try:
        app()
    except ConfigError as error:
        print("\n".join(error.faults), file=sys.stderr)
        sys.exit(EXIT_WRONGLY_ASKED)
    except EvenwattError as error:
        print(f"evenwatt: {error}", file=sys.stderr)
        sys.exit(EXIT_WRONGLY_ASKED if isinstance(error, OptionError) else EXIT_FAILED)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:  # as where a shell closed it
            stream.flush()
