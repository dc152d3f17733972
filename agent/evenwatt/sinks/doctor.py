"""The findings of `evenwatt doctor` for a person and for programs."""

import json
from collections.abc import Iterable

from msgspec import to_builtins

from evenwatt.sinks.words import clean
from evenwatt.snapshot.checks import Finding, Health

__all__ = ["finding_lines", "render_findings"]

_MARKS = {Health.GOOD: "ok    ", Health.WEAK: "weak  ", Health.BROKEN: "BROKEN"}


def finding_lines(finding: Finding) -> Iterable[str]:
    """Yield the lines that a person reads of one finding."""
    yield f"{_MARKS[finding.health]}  {clean(finding.link)}: {clean(finding.text)}"
    if finding.mend is not None:
        yield f"          to mend: {clean(finding.mend)}"


def render_findings(findings: Iterable[Finding]) -> str:
    """Return all findings as a JSON document."""
    listed = [to_builtins(finding) for finding in findings]
    broken = sum(finding["health"] == Health.BROKEN for finding in listed)
    return json.dumps({"broken": broken, "findings": listed}, indent=2)
