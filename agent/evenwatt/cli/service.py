"""`evenwatt service`: the agent as a systemd service, for machines without the Debian package."""

import typer

from evenwatt.cli.app import app

__all__ = ["install", "status_of_units", "uninstall"]

_WORDS = {"ActiveEnterTimestamp": "since", "StatusText": "says", "NRestarts": "restarts"}

_group = typer.Typer(help="The agent as a systemd service.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(_group, name="service")


@_group.command()
def install() -> None:
    """Install the agent as a service that runs at each boot, without any privilege; the proxy is left off."""
    from evenwatt.service.installation import Installation

    for line in Installation.of_this_machine().install():
        print(line, flush=True)


@_group.command()
def uninstall() -> None:
    """End the service and remove its files; history and configuration stay."""
    from evenwatt.service.installation import Installation

    for line in Installation.of_this_machine().uninstall():
        print(line, flush=True)


@_group.command("status")
def status_of_units() -> None:
    """Show what systemd says of the agent and the proxy; exit code 1 where the agent does not run."""
    from evenwatt.service.installation import UNITS, unit_states

    states = unit_states()
    for unit, state in states.items():
        if not state:
            print(f"{unit}: not installed")
            continue
        print(f"{unit}: {state['ActiveState']} ({state['SubState']}), {state['UnitFileState']}")
        for name, words in _WORDS.items():
            if state.get(name):
                print(f"  {words}: {state[name]}")
    if states[UNITS[0]].get("ActiveState") != "active":
        raise typer.Exit(1)
