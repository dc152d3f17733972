"""The commands for people: arguments, exit codes, and errors in their words.

What a command needs is imported when it runs: `check-config` must not wait for a web server.
"""

import sys

from evenwatt.cli import (  # isort: skip -- the order in which commands stand in --help
    agent,  # noqa: F401 -- each adds its commands to `app`
    status,  # noqa: F401
    report,  # noqa: F401
    reprice,  # noqa: F401
    exchange,  # noqa: F401
    init,  # noqa: F401
    doctor,  # noqa: F401
    alerts,  # noqa: F401
    config,  # noqa: F401
    plan,  # noqa: F401
    prices,  # noqa: F401
    calibrate,  # noqa: F401
    gpu,  # noqa: F401
    meters,  # noqa: F401
    proxy,  # noqa: F401
    service,  # noqa: F401
)
from evenwatt.cli.app import app
from evenwatt.errors import ConfigError, EvenwattError, OptionError

__all__ = ["app", "main"]

EXIT_FAILED = 1
EXIT_WRONGLY_ASKED = 2
"""The configuration or an option is wrong, as with the options that the library refuses itself."""


def main() -> None:
    """Run a command; a fault that the user can mend is told in one sentence, without a traceback."""
    try:
        app()
    except ConfigError as error:
        print("\n".join(error.faults), file=sys.stderr)
        sys.exit(EXIT_WRONGLY_ASKED)
    except EvenwattError as error:
        print(f"evenwatt: {error}", file=sys.stderr)
        sys.exit(EXIT_WRONGLY_ASKED if isinstance(error, OptionError) else EXIT_FAILED)
