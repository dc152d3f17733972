"""The pages of real engines in `captures/`, and the differences that the truth beside them asks for."""

import json
from pathlib import Path

from evenwatt.readings.adapter import Adapter
from evenwatt.readings.exposition import Sample, checked_page, parse_samples

__all__ = ["CAPTURES", "pages", "samples_of", "truth_steps"]

CAPTURES = Path(__file__).parent / "captures"


def pages(folder: str = "") -> list[Path]:
    """Return every captured page of an engine, or of all of them."""
    return sorted((CAPTURES / folder).rglob("*.prom.txt"))


def samples_of(adapter: Adapter, file: Path) -> tuple[Sample, ...]:
    """Return what an adapter wants of a captured page."""
    return parse_samples(checked_page(file.read_bytes()), adapter.wanted)


def truth_steps(folder: str, series: str) -> list[tuple[Path, Path, dict]]:
    """Return the steps of a series: the page before, the page after, and what the clients were told between.

    Only steps of which the clients know all are returned: none aborted, none without usage.
    """
    records = json.loads((CAPTURES / folder / "truth.json").read_text())[series]
    files = [CAPTURES / folder / record["file"] for record in records]
    truths = [record.get("truth_of_this_step") for record in records]
    return [
        (before, after, truth)
        for before, after, truth in zip(files, files[1:], truths[1:], strict=False)
        if truth is not None and truth["ok"] == truth["requests"] and not truth["usage_missing"]
    ]
