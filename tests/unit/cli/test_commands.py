"""A command is found without the others: where each one is defined has to be known."""

import subprocess
import sys

import typer

from evenwatt.cli import MODULES
from evenwatt.cli.whole import app


def test_each_command_is_found_where_it_is_said_to_be():
    """All commands, and no others, in the order in which --help has them."""
    commands = typer.main.get_command(app).commands

    assert list(commands) == list(MODULES)
    for name, command in commands.items():
        defined = next(iter(getattr(command, "commands", {"": command}).values()))
        assert defined.callback.__module__ == f"evenwatt.cli.{MODULES[name]}"


def test_a_command_imports_no_other():
    """`report` does not wait for what `service` or `export` could be asked."""
    code = "import sys; sys.argv = ['evenwatt', 'report', '--help']; from evenwatt.cli import main\n"
    code += "try: main()\nfinally: print([name for name in sys.modules if name.startswith('evenwatt.cli.')])"

    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert "'evenwatt.cli.report'" in ended.stdout
    assert "evenwatt.cli.exchange" not in ended.stdout
    assert "evenwatt.cli.whole" not in ended.stdout
