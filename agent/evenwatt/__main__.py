"""`python -m evenwatt` and the `evenwatt` command."""

import gc
import os
import signal
import sys
from types import ModuleType

__all__ = ["main"]

_AGENT_COMMANDS = (["run"], ["demo"], ["proxy"])
_START_OBJECTS = 100_000
"""How many objects come before the first look for garbage: what is imported is none, and the looks at it
would take a quarter of a command's time."""


def main() -> None:
    """Run a command; an agent that only just starts is not ended by a signal that is no request to end."""
    gc.set_threshold(_START_OBJECTS, *gc.get_threshold()[1:])
    _without_pydantic_plugins()
    if sys.argv[1:2] in _AGENT_COMMANDS:
        # `Control` does this too, and listens to them later; it takes half a second to import.
        for number in (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):
            signal.signal(number, signal.SIG_IGN)
    from evenwatt.cli import main as run_command  # noqa: PLC0415 -- not before the signals are ignored

    run_command()


def _without_pydantic_plugins() -> None:
    """Keep pydantic from looking through everything that is installed for plugins, which have no place here.

    Its variable for that spares the look and not the import of what would look, which is most of it; where
    that import is named otherwise in another version, only the time comes back.
    """
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    loader = ModuleType("pydantic.plugin._loader")
    loader.get_plugins = tuple  # type: ignore[attr-defined]
    sys.modules.setdefault(loader.__name__, loader)


if __name__ == "__main__":
    main()
