"""What the configuration leaves open, and whether its references have prices."""

from collections.abc import Iterator
from pathlib import Path

from evenwatt.config import Settings, assumptions
from evenwatt.errors import SourceError
from evenwatt.service.api_prices.quotes import unknown_references
from evenwatt.snapshot.checks import Finding, Health

__all__ = ["price_findings", "settings_finding"]


def settings_finding(settings: Settings, path: Path | None) -> Finding:
    """Return whether anything that decides the cost was left to be assumed."""
    file = "no configuration file" if path is None else f"{path} is right"
    assumed = assumptions(settings)
    if not assumed:
        return Finding(link="configuration", health=Health.GOOD, text=f"{file}; nothing is assumed")
    names = ", ".join(assumption.setting for assumption in assumed)
    return Finding(
        link="configuration",
        health=Health.WEAK,
        text=f"{file}; assumed, as nobody wrote them: {names}",
        mend="; ".join(f"write {assumption.line_to_write.strip()}" for assumption in assumed),
    )


def price_findings(settings: Settings) -> Iterator[Finding]:
    """Yield whether each reference is known to the price catalogue; waits for a child process."""
    try:
        faults = unknown_references(settings)
    except SourceError as error:
        yield Finding(link="prices", health=Health.BROKEN, text=str(error))
        return
    for fault in faults:
        yield Finding(link="prices", health=Health.BROKEN, text=fault)
    if not faults:
        names = ", ".join(reference.name for reference in settings.references)
        yield Finding(link="prices", health=Health.GOOD, text=f"all references have prices: {names}")
