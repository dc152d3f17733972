"""`evenwatt export`, `import` and `backup`: the history for other programs, other machines and bad days."""

import os
from contextlib import nullcontext
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from evenwatt.cli.app import ConfigOption, app

__all__ = ["backup", "export", "import_"]

HistoryOption = Annotated[
    Path | None, typer.Option(metavar="FILE", help="This history, not the one of the configuration.")
]


class Format(StrEnum):
    """What an export is written as."""

    CSV = "csv"
    PARQUET = "parquet"
    JSONL = "jsonl"
    OPENMETRICS = "openmetrics"
    FOCUS = "focus"
    LITELLM = "litellm"


class Level(StrEnum):
    """What the rows of an export span."""

    MINUTE = "minute"
    HOUR = "hour"
    DAY = "day"


class Table(StrEnum):
    """What a sheet is of."""

    USAGE = "usage"
    API = "api"
    CLIENT = "client"
    GPU = "gpu"
    ENGINE = "engine"
    METER = "meter"
    HOST = "host"


@app.command()
def export(
    form: Annotated[
        Format,
        typer.Option(
            "--format",
            "-f",
            metavar="FORMAT",
            help="csv, parquet (a table), jsonl (all of it, for evenwatt import), openmetrics (time series "
            "for Prometheus and others), focus (FOCUS 1.2 costs for FinOps), litellm (a price file).",
        ),
    ],
    config: ConfigOption = None,
    first: Annotated[
        str | None,
        typer.Option(
            "--from", metavar="TIME", help="First day, as 2026-10-01, or a moment, as 2026-10-01T12:00."
        ),
    ] = None,
    last: Annotated[
        str | None, typer.Option("--to", metavar="TIME", help="Last day, or the moment after the last one.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Write here; left out: standard output."),
    ] = None,
    by: Annotated[
        Level | None,
        typer.Option(
            metavar="LEVEL",
            help="minute, hour or day of UTC for each row, coarser where finer ones are not kept. Left out: "
            "minute for jsonl and openmetrics, hour for csv and parquet, day for focus.",
        ),
    ] = None,
    table: Annotated[
        Table,
        typer.Option(
            metavar="TABLE", help="Of csv and parquet: usage, api, client, gpu, engine, meter, host."
        ),
    ] = Table.USAGE,
    label: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE",
            help="Of openmetrics, again for each: what the store knows this machine by, as "
            "instance=gpu1:9787.",
        ),
    ] = None,
    account: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Of focus: the billing account; left out: this machine's name."),
    ] = None,
    history: HistoryOption = None,
) -> None:
    """Write the history for other programs: spreadsheets, databases, time series stores, FinOps tools."""
    from evenwatt.config import load
    from evenwatt.service.exchange.exporting import Export
    from evenwatt.sinks.progress import progress_bar

    asked = Export(
        form=form,
        first=first,
        last=last,
        finest=None if by is None else by.value,
        table=table.value,
        labels=tuple(label or ()),
        account=account,
    )
    asked.check(output)
    settings = load(config)
    # A bar would stand in the middle of what is written to the same terminal.
    shows = output is not None or not os.isatty(1)
    with progress_bar("exporting") if shows else nullcontext(_nothing) as advance:
        told = asked.write(settings, history or settings.history.path, output, advance)
    if output is not None:
        print(f"written: {output}")
    for line in told:
        typer.echo(line, err=True)


@app.command("import")
def import_(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="An export (jsonl), or another history or a backup of one.")
    ],
    config: ConfigOption = None,
    history: HistoryOption = None,
) -> None:
    """Take into the history what it lacks of another one; what it has is never counted twice."""
    from evenwatt.config import load
    from evenwatt.service.exchange.importing import import_file
    from evenwatt.sinks.progress import progress_bar
    from evenwatt.sinks.words import duration

    settings = load(config)
    into = history or settings.history.path
    with progress_bar("importing") as advance:
        done = import_file(file, into, zone=settings.timezone, advance=advance)
    what = duration(done.merged.taken_seconds)
    print(f"{into}: {what} of the machine's time imported" + (", into a new history" if done.is_new else ""))
    if done.merged.known_seconds:
        print(f"{duration(done.merged.known_seconds)} were there already and stay as they are")


@app.command()
def backup(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="Where to; a folder takes the history's name.")
    ],
    config: ConfigOption = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Take the place of what is there, once the copy is whole.")
    ] = False,
    history: HistoryOption = None,
) -> None:
    """Copy the history into one file, also while the agent writes it."""
    from evenwatt.config import load
    from evenwatt.service.exchange.backup import back_up
    from evenwatt.sinks.progress import progress_bar

    with progress_bar("copying") as advance:
        size = back_up(history or load(config).history.path, file, replace=replace, advance=advance)
    print(f"written: {file} ({size / 2**20:,.1f} MiB)")


def _nothing(_done_ratio: float) -> None:
    """Show no progress."""
