"""Writes dashboards/grafana/*.json from the code beside this; with --check, only compares."""

import argparse
import difflib
import json
import sys
from collections.abc import Mapping
from pathlib import Path

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from . import fleet, gpus, health, models, overview
from .parts import Page

FOLDER = Path(__file__).parents[2] / "dashboards" / "grafana"
PAGES: tuple[Page, ...] = (overview.PAGE, models.PAGE, gpus.PAGE, fleet.PAGE, health.PAGE)


def main() -> int:
    """Write or check the files; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m scripts.dashboards", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 with the difference")
    arguments = parser.parse_args()
    wanted = documents()
    if arguments.check:
        return check(wanted)
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, text in wanted.items():
        (FOLDER / name).write_text(text, encoding="utf-8")
    return 0


def documents() -> Mapping[str, str]:
    """Return every dashboard as JSON, by the name of its file."""
    return {page.file: _json(page) for page in PAGES}


def check(wanted: Mapping[str, str]) -> int:
    """Show where the files differ from what the code says; return the exit status."""
    present = {path.name: path.read_text(encoding="utf-8") for path in sorted(FOLDER.glob("*.json"))}
    for name in sorted(wanted.keys() | present.keys()):
        difference = difflib.unified_diff(
            present.get(name, "").splitlines(keepends=True),
            wanted.get(name, "").splitlines(keepends=True),
            f"dashboards/grafana/{name}",
            "what the code says",
        )
        sys.stdout.writelines(difference)
    if present == wanted:
        return 0
    print("dashboards/grafana/ differs from the code; write it anew with: make docs")
    return 1


def _json(page: Page) -> str:
    # Once more through json: the encoder of the SDK leaves the order of keys to its classes.
    document = json.loads(JSONEncoder().encode(page.build()))
    return json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.exit(main())
