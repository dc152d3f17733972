"""`evenwatt alerts`: what fires, and whether those who are to be told can be."""

from typing import Annotated

import typer

from evenwatt.cli.app import ConfigOption, app

__all__ = ["alerts", "alerts_test"]

alerts_app = typer.Typer(help="Show the agent's alerts; send a test message to those who are told.")
app.add_typer(alerts_app, name="alerts")


@alerts_app.callback(invoke_without_command=True)
def alerts(
    context: typer.Context,
    config: ConfigOption = None,
    shows_all: Annotated[
        bool, typer.Option("--all", help="Also those that are well, or cannot be judged, and why.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, for programs.")] = False,
) -> None:
    """Show which alerts of the running agent fire or are pending, and whom they are told to."""
    if context.invoked_subcommand is not None:
        return
    from evenwatt.config import load
    from evenwatt.service.access import local_socket
    from evenwatt.service.client import running_status
    from evenwatt.sinks.alerts.console import print_alerts

    settings = load(config)
    document = running_status(settings.server.listen, local_socket(settings))
    if as_json:
        import json

        print(json.dumps({name: document[name] for name in ("alerts", "notifiers")}, indent=2))
    else:
        print_alerts(document, shows_all=shows_all)


@alerts_app.command("test")
def alerts_test(
    config: ConfigOption = None,
    notifier: Annotated[
        str | None, typer.Option("--notifier", metavar="NAME", help="Only this one; left out: all.")
    ] = None,
) -> None:
    """Send a test message to everybody in alerts.notify, without the agent, and say how it went."""
    from evenwatt.config import load
    from evenwatt.service.alerts.trial import send_trials

    failed = False
    for result in send_trials(load(config), only=notifier):
        failed = failed or result.error is not None
        print(
            f"{result.name} ({result.kind}): {'sent' if result.error is None else f'failed: {result.error}'}"
        )
    if failed:
        raise typer.Exit(1)
