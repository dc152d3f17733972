"""Writes docs/commands.md from the commands as the code defines them; --man: their manual page, to stdout.

With --check the document is only compared.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer
from generated import parser, write_or_check

from evenwatt import __version__
from evenwatt.cli.whole import app

DOCUMENT = Path(__file__).parents[1] / "docs" / "commands.md"

HEAD = """\
# Commands

Every command and option, written by `make docs` from the code; `evenwatt COMMAND --help` says the same. Exit
status: 0 done, 1 failed or (with `doctor`) something is broken, 2 wrongly asked, as by a wrong configuration.
"""

FILES = (
    ("/etc/evenwatt/config.yaml", "The configuration of the machine; else ~/.config/evenwatt/config.yaml."),
    ("/etc/evenwatt/credentials/", "Secrets, one a file, which the configuration names as credential:NAME."),
    ("/var/lib/evenwatt/history.db", "The history, SQLite."),
)


def main() -> int:
    """Write or check; return the exit status."""
    options = parser(__doc__)
    options.add_argument("--man", action="store_true", help="write the manual page to stdout")
    arguments = options.parse_args()
    if arguments.man:
        sys.stdout.write(manual_page())
        return 0
    return write_or_check(DOCUMENT, document, check=arguments.check)


def commands() -> Iterator[tuple[str, Any]]:
    """Yield every command as it is typed, groups by their commands."""
    return _commands(typer.main.get_command(app), "evenwatt")


def _commands(group: Any, name: str) -> Iterator[tuple[str, Any]]:
    for word, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _commands(command, f"{name} {word}")
        else:
            yield f"{name} {word}", command


def options(name: str, command: Any) -> Iterator[tuple[str, str]]:
    """Yield how arguments and options of a command are typed, and what they mean, as `--help` has it."""
    context = typer.Context(command, info_name=name)
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record is not None and "--help" not in parameter.opts:
            typed, meaning = record
            yield typed, " ".join(meaning.split())


def document() -> str:
    """Return the whole document."""
    parts = [HEAD]
    for name, command in commands():
        parts.append(f"## {name}\n\n{_paragraphs(command.help)}\n")
        rows = [f"| `{_cell(typed)}` | {_cell(meaning)} |" for typed, meaning in options(name, command)]
        if rows:
            parts.append("\n".join(("| option | meaning |", "| --- | --- |", *rows)) + "\n")
    return "\n".join(parts)


def manual_page() -> str:
    """Return the manual page in the language of man(7)."""
    head = typer.main.get_command(app)
    lines = [
        f'.TH EVENWATT 1 "" "evenwatt {__version__}" "User Commands"',
        ".SH NAME",
        f"evenwatt \\- {_roff(_lower(head.help))}",
        ".SH SYNOPSIS",
        ".B evenwatt\nCOMMAND [OPTIONS]",
        ".SH COMMANDS",
    ]
    for name, command in commands():
        lines += [f".SS {_roff(name)}", _roff(_paragraphs(command.help)).replace("\n\n", "\n.PP\n")]
        for typed, meaning in options(name, command):
            lines += [".TP", f".B {_roff(typed)}", _roff(meaning) or "."]
    lines.append(".SH FILES")
    for path, meaning in FILES:
        lines += [".TP", f".I {_roff(path)}", _roff(meaning)]
    lines += [".SH EXIT STATUS", "0 done; 1 failed, or something is broken; 2 wrongly asked."]
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _paragraphs(text: str) -> str:
    return "\n\n".join(" ".join(part.split()) for part in (text or "").split("\n\n"))


def _lower(text: str) -> str:
    return (text[:1].lower() + text[1:]).rstrip(".")


def _roff(text: str) -> str:
    escaped = text.replace("\\", "\\e").replace("-", "\\-")
    return "\n".join(f"\\&{line}" if line.startswith((".", "'")) else line for line in escaped.split("\n"))


if __name__ == "__main__":
    sys.exit(main())
