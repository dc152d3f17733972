"""`evenwatt status`: what the running agent sees."""

from typing import Annotated

import typer

from evenwatt.cli.app import ConfigOption, app

__all__ = ["status"]


@app.command()
def status(
    config: ConfigOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="The whole document, for programs.")] = False,
) -> None:
    """Show what the running agent sees: sources, power, tokens, cost."""
    from evenwatt.config import load
    from evenwatt.service.access import local_socket
    from evenwatt.service.client import running_status
    from evenwatt.sinks.console import print_status

    settings = load(config)
    document = running_status(settings.server.listen, local_socket(settings))
    if as_json:
        import json

        print(json.dumps(document, indent=2))
    else:
        print_status(document)
