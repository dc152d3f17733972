"""The command line as a whole: what all commands share."""

from pathlib import Path
from typing import Annotated

import typer

from evenwatt import __version__

__all__ = ["ConfigOption", "app"]

app = typer.Typer(
    name="evenwatt",
    help="Measures what a million tokens really costs on your own inference server.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        "-c",
        metavar="FILE",
        help="Configuration. Left out: /etc/evenwatt/config.yaml, else the user's, else none is needed.",
    ),
]


def _version(wanted: bool) -> None:
    if wanted:
        print(f"evenwatt {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    _version_wanted: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Measure what a million tokens really costs on your own inference server."""
