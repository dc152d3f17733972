"""The pages of the project, and the pieces of code that stand in them."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from markdown_it import MarkdownIt

__all__ = ["PAGES", "ROOT", "Command", "Piece", "commands_of", "inline_commands", "pieces"]

ROOT = Path(__file__).parents[1]
PAGES = sorted(ROOT.glob("*.md")) + sorted((ROOT / "docs").rglob("*.md"))
"""All documents, those for the developers too."""


class Piece(NamedTuple):
    """A block of code.

    Attributes:
        page: Where it stands, from the project's folder.
        line: Its first one, from 1.
        language: As the page names it; empty where it names none.
    """

    page: str
    line: int
    language: str
    text: str


class Command(NamedTuple):
    """What a person types at the prompt, and what the page says comes of it: nothing where it does not."""

    typed: str
    output: str


def pieces() -> Iterator[Piece]:
    """Yield every block of code, fenced or indented, in whatever it is nested in."""
    for page in PAGES:
        for token in MarkdownIt().parse(page.read_text()):
            if token.type in {"fence", "code_block"}:
                yield Piece(str(page.relative_to(ROOT)), token.map[0] + 1, token.info.strip(), token.content)


def inline_commands() -> list[str]:
    """Return the commands of ours in the prose that can be typed as they stand, with their options.

    A command without options is its name; one with a word in capitals or dots leaves something to fill in.
    """
    named = {
        code.content
        for page in PAGES
        for token in MarkdownIt().parse(page.read_text())
        for code in token.children or ()
        if code.type == "code_inline"
    }
    return sorted(
        command
        for command in named
        if re.match(r"evenwatt .*(?<= )-.* [\w.-]", command)
        and not re.search(r"\b[A-Z]{2,}\b|\.\.\.|…", command)
    )


def commands_of(console: str) -> list[Command]:
    """Return the commands of a block: each begins with `$ ` and goes on after a backslash at its end.

    Raises:
        AssertionError: The block does not begin with a command.
    """
    parts = re.split(r"^\$ ", console.replace("\\\n", ""), flags=re.MULTILINE)
    assert not parts[0], f"a console shows commands, which begin with '$ '; found: {parts[0]}"
    typed = (part.partition("\n") for part in parts[1:])
    return [Command(command.strip(), output) for command, _, output in typed]
