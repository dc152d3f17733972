"""`evenwatt doctor`: is every link of the chain sound?"""

import sys
from pathlib import Path
from typing import Annotated

import typer

from evenwatt.cli.app import ConfigOption, app

__all__ = ["doctor"]


@app.command()
def doctor(
    config: ConfigOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="One document, for programs.")] = False,
    support: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Also write what helps to answer a question (.tar.gz): findings, status, configuration and "
            "log, without secrets. It is sent nowhere.",
        ),
    ] = None,
) -> None:
    """Prove the chain link by link, and say how to mend what is broken; exit code 1 where anything is."""
    from evenwatt.config import find_config, load
    from evenwatt.service.doctor import findings
    from evenwatt.sinks.doctor import finding_lines, render_findings
    from evenwatt.snapshot.checks import Health

    found = []
    settings, path = load(config), config or find_config()
    for finding in findings(settings, path):
        found.append(finding)
        if not as_json:
            # One by one, as some of them take seconds.
            print("\n".join(finding_lines(finding)), flush=True)
    if as_json:
        print(render_findings(found))
    if support is not None:
        from evenwatt.service.support import write_bundle

        write_bundle(support, settings, path, found)
        print(f"wrote {support}; look through it before you send it", file=sys.stderr)
    if any(finding.health is Health.BROKEN for finding in found):
        raise typer.Exit(1)
