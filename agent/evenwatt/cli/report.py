"""`evenwatt report`: a window of the history: verdict, costs, comparisons, and what would change them."""

import gc
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from evenwatt.cli.app import ConfigOption, app
from evenwatt.errors import OptionError, ReportError

if TYPE_CHECKING:
    from evenwatt.snapshot.report.chargeback import Chargeback
    from evenwatt.snapshot.report.values import Report

__all__ = ["report"]


class Format(StrEnum):
    """How a report is rendered."""

    TERMINAL = "terminal"
    MARKDOWN = "markdown"
    HTML = "html"
    JSON = "json"
    CSV = "csv"


class By(StrEnum):
    """What a report is split by, instead of all that it tells of the machine."""

    CLIENT = "client"


_SUFFIXES = {".md": Format.MARKDOWN, ".html": Format.HTML, ".htm": Format.HTML, ".json": Format.JSON}
_BILL_SUFFIXES = {".csv": Format.CSV}
_BILL_FORMATS = (Format.TERMINAL, Format.CSV)


@app.command()
def report(
    config: ConfigOption = None,
    window: Annotated[
        str | None,
        typer.Option(metavar="SPAN", help="24h, 7d, 30d (default), ...; month or year to date; all."),
    ] = None,
    first: Annotated[
        str | None, typer.Option("--from", metavar="DATE", help="First day, as 2026-10-01.")
    ] = None,
    last: Annotated[
        str | None, typer.Option("--to", metavar="DATE", help="Last day, with --from; left out: until now.")
    ] = None,
    month: Annotated[str | None, typer.Option(metavar="MONTH", help="A whole month, as 2026-10.")] = None,
    form: Annotated[
        Format | None,
        typer.Option(
            "--format",
            metavar="FORMAT",
            help="terminal, markdown, html or json; with --by client terminal or csv. Left out: by the "
            "ending of --output, else terminal.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The same as --format json.")] = False,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="FILE", help="Write here: .md, .html or .json; .csv with --by client."
        ),
    ] = None,
    by: Annotated[
        By | None,
        typer.Option(metavar="client", help="Only what each client's tokens cost, to charge it on."),
    ] = None,
    history: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Read this history, not the one of the configuration.")
    ] = None,
) -> None:
    """Report on a window of the history: the verdict first, then all that it stands on."""
    # A report is done in less than a second: looking for garbage would take a tenth of it.
    gc.disable()
    from evenwatt.clock import utc_seconds
    from evenwatt.config import load
    from evenwatt.service.report.window import AskedWindow
    from evenwatt.sinks.history import history_beside

    chosen = _format(form, by, as_json=as_json, output=output)
    settings = load(config)
    asked = AskedWindow(window=window, first=first, last=last, month=month)
    with history_beside(history or settings.history.path) as reader:
        if by is By.CLIENT:
            from evenwatt.service.report.chargeback import chargeback_of

            bills = chargeback_of(settings, reader, asked, now_utc_seconds=utc_seconds())
        else:
            from evenwatt.service.report.gathering import gathered_report

            found = gathered_report(settings, reader, asked, now_utc_seconds=utc_seconds())
    if by is By.CLIENT:
        _tell_bills(bills, chosen, output)
    elif chosen is Format.TERMINAL:
        from evenwatt.sinks.report.terminal import print_report

        print_report(found)
    else:
        _write(_rendered(found, chosen), output)


def _format(form: Format | None, by: By | None, *, as_json: bool, output: Path | None) -> Format:
    if as_json and form not in {None, Format.JSON}:
        raise OptionError(f"--json and --format {form} exclude each other; give one of them")
    suffixes = _SUFFIXES if by is None else _BILL_SUFFIXES
    formats = [each for each in Format if (each in _BILL_FORMATS if by else each is not Format.CSV)]
    if as_json or form is not None:
        chosen = Format.JSON if as_json else form
    elif output is None:
        chosen = Format.TERMINAL
    else:
        chosen = suffixes.get(output.suffix.lower())
    if chosen is not None and chosen not in formats:
        given = "--json" if as_json else f"--format {chosen}"
        asked = "--by client" if by else "a report that is not --by client"
        raise OptionError(f"{given}: {asked} takes {' or '.join(formats)}")
    if chosen is None or (chosen is Format.TERMINAL and output is not None):
        written = [each for each in formats if each is not Format.TERMINAL]
        raise OptionError(
            f"--output: got {output}, expected a name that ends in {', '.join(suffixes)}, or "
            f"--format {' or '.join(written)} beside it"
        )
    return chosen


def _tell_bills(bills: "Chargeback", chosen: Format, output: Path | None) -> None:
    if chosen is Format.CSV:
        from evenwatt.sinks.report.client_sheet import render_chargeback

        _write(render_chargeback(bills), output)
    else:
        from evenwatt.sinks.report.client_table import print_chargeback

        print_chargeback(bills)


def _rendered(found: "Report", chosen: Format) -> str:
    if chosen is Format.JSON:
        from evenwatt.sinks.report.json import render_json

        return render_json(found)
    if chosen is Format.MARKDOWN:
        from evenwatt.sinks.report.markdown import render_markdown

        return render_markdown(found)
    from evenwatt.sinks.report.html import render_html

    return render_html(found)


def _write(text: str, output: Path | None) -> None:
    if output is None:
        sys.stdout.write(text)
        return
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ReportError(
            f"{output}: cannot be written ({error.strerror}); name a file in a folder of yours"
        ) from error
    print(f"written: {output}")
