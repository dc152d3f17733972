"""Files that are made from the code, for scripts that make them: written, or compared with what there is."""

import argparse
import difflib
import sys
from collections.abc import Callable
from pathlib import Path

__all__ = ["parser", "write_or_check"]

_ROOT = Path(__file__).parents[1]


def parser(description: str | None) -> argparse.ArgumentParser:
    """Return the options of a script that makes one file."""
    options = argparse.ArgumentParser(description=description)
    options.add_argument("--check", action="store_true", help="write nothing; exit 1 with the difference")
    return options


def write_or_check(file: Path, made: Callable[[], str], *, check: bool) -> int:
    """Write a file, or show where it differs from what the code says; return the exit status."""
    wanted, name = made(), str(file.relative_to(_ROOT))
    if not check:
        file.write_text(wanted, encoding="utf-8")
        return 0
    present = file.read_text(encoding="utf-8") if file.exists() else ""
    lines = [text.splitlines(keepends=True) for text in (present, wanted)]
    sys.stdout.writelines(difflib.unified_diff(*lines, name, "what the code says"))
    if present != wanted:
        print(f"{name} differs from the code; write it anew with: make docs")
    return int(present != wanted)
