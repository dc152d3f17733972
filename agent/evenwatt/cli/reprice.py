"""`evenwatt reprice` and `evenwatt what-if`: the money of a span at other prices, written or only shown."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from evenwatt.cli.app import ConfigOption, app
from evenwatt.errors import OptionError

if TYPE_CHECKING:
    from evenwatt.service.repricing import Progress, Repricer

__all__ = ["reprice", "what_if"]

FirstOption = Annotated[str | None, typer.Option("--from", metavar="DATE", help="First day, as 2026-10-01.")]
LastOption = Annotated[
    str | None, typer.Option("--to", metavar="DATE", help="Last day, with --from; left out: until now.")
]
MonthOption = Annotated[str | None, typer.Option("--month", metavar="MONTH", help="A month, as 2026-10.")]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="A price for this span instead of the configuration's, such as electricity.price_per_kwh=0.31; "
        "repeatable. The configuration stays as it is.",
    ),
]
HistoryOption = Annotated[
    Path | None, typer.Option("--history", metavar="FILE", help="Another history than the configuration's.")
]


@app.command()
def reprice(
    config: ConfigOption = None,
    first: FirstOption = None,
    last: LastOption = None,
    month: MonthOption = None,
    changes: SetOption = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Write without asking.")] = False,
    history: HistoryOption = None,
) -> None:
    """Work out the money of a span anew after a price was wrong or missing; shows the difference first."""
    if first is None and month is None:
        raise OptionError("--from: missing; name the first day whose money is wrong, or --month")
    if not yes and not sys.stdin.isatty():
        raise OptionError("--yes: missing; nobody can be asked here, and money is not rewritten unasked")
    from evenwatt.sinks.repricing import print_repricing

    span = (None, first, last, month)
    with _repricer(config, history, span, changes or [], may_write=True) as repricer:
        with _progress(repricer, "working out") as progress:
            found = repricer.difference(progress)
        print_repricing(found)
        if found.changes_nothing:
            return
        if not yes and not typer.confirm("Write this? What is written now is kept as an event."):
            print("nothing was written")
            return
        try:
            with _progress(repricer, "writing") as progress:
                repricer.write(progress)
        except KeyboardInterrupt:
            print(
                "interrupted: what is written is right and recorded; the same command does the rest",
                file=sys.stderr,
            )
            raise typer.Exit(130) from None
    print("written; what it was is kept among the events (kind reprice)")


@app.command("what-if")
def what_if(
    config: ConfigOption = None,
    window: Annotated[
        str | None,
        typer.Option(metavar="SPAN", help="24h, 7d, 30d (default), ...; month or year to date; all."),
    ] = None,
    first: FirstOption = None,
    last: LastOption = None,
    month: MonthOption = None,
    changes: SetOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="The whole difference, for programs.")] = False,
    history: HistoryOption = None,
) -> None:
    """Show what a span would have cost at other prices; writes nothing."""
    from evenwatt.sinks.repricing import print_repricing, render_repricing

    span = (window, first, last, month)
    with (
        _repricer(config, history, span, changes or [], may_write=False) as repricer,
        _progress(repricer, "working out") as progress,
    ):
        found = repricer.difference(progress)
    if as_json:
        print(render_repricing(found))
    else:
        print_repricing(found)


@contextmanager
def _repricer(
    config: Path | None,
    history: Path | None,
    span: tuple[str | None, ...],
    changes: list[str],
    *,
    may_write: bool,
) -> Iterator["Repricer"]:
    from evenwatt.config import load, override_of
    from evenwatt.service.report.window import AskedWindow
    from evenwatt.service.repricing import Repricer
    from evenwatt.sinks.history.repricing import repriced_history

    settings = load(config, [override_of("--set", text) for text in changes])
    window, first, last, month = span
    asked = AskedWindow(window=window, first=first, last=last, month=month)
    with repriced_history(history or settings.history.path, may_write=may_write) as opened:
        yield Repricer(settings, opened, asked, changes=changes)


@contextmanager
def _progress(repricer: "Repricer", what: str) -> Iterator["Progress"]:
    """Show how far it is where somebody looks on; nothing where nobody does."""
    if not sys.stderr.isatty():
        yield lambda _seconds: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as shown:
        task = shown.add_task(what, total=repricer.seconds)
        yield lambda seconds: shown.advance(task, seconds)
