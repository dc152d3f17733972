"""The command line with all its commands: for --help, for a word that is none of them, for documents."""

from importlib import import_module

from evenwatt.cli import MODULES
from evenwatt.cli.app import app

__all__ = ["app"]

for module in dict.fromkeys(MODULES.values()):
    import_module(f"evenwatt.cli.{module}")  # each adds its commands to `app`
