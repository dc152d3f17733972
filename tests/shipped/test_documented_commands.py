"""Every command line of ours in a document is one that there is, with options that it has."""

import re
import shlex
from pathlib import Path

import pytest
import typer

from documents import PAGES, ROOT, commands_of, pieces
from evenwatt.cli.whole import app

INLINE = re.compile(r"`((?:sudo )?evenwatt [^`\n]+)`")
PLACEHOLDER = re.compile(r"[A-Z]{2,}|\.\.\.|…")
"""What stands for something else: a line with such words is checked up to its command and options."""


def command_lines():
    """Yield each command line that begins with our program, by the page it is in."""
    typed = {
        page: {
            command.typed.partition("  #")[0]
            for piece in pieces()
            if (piece.page, piece.language) == (str(page.relative_to(ROOT)), "console")
            for command in commands_of(piece.text)
        }
        for page in PAGES
    }
    for page, commands in typed.items():
        for line in sorted(commands | set(INLINE.findall(page.read_text()))):
            for part in re.split(r"\s(?:&&|\||;|>)\s", line):
                words = part.split()
                if "evenwatt" in {Path(word).name for word in words[:2]} and "@" not in part:
                    yield pytest.param(part, id=f"{page.relative_to(ROOT)}: {part}")


def unknown_in(line):
    """Return what a command line has that our program does not."""
    words = shlex.split(line, comments=True)
    words = words[[Path(word).name for word in words].index("evenwatt") + 1 :]
    command = typer.main.get_command(app)
    while words and hasattr(command, "commands") and not words[0].startswith("-"):
        if words[0] not in command.commands:
            return [] if PLACEHOLDER.fullmatch(words[0]) else [words[0]]
        command = command.commands[words.pop(0)]
    context = typer.Context(command)
    known = {
        name
        for parameter in command.get_params(context)
        for name in (*parameter.opts, *getattr(parameter, "secondary_opts", ()))
    }
    options = [word.partition("=")[0] for word in words if re.match(r"--?[a-z]", word)]
    return [option for option in options if option not in known]


@pytest.mark.parametrize("line", list(command_lines()))
def test_documents_show_commands_that_there_are(line):
    """No page shows a command or an option that is refused."""
    assert not unknown_in(line)
