"""An export as it was asked for: what goes with what, and who writes it."""

import re
from collections.abc import Iterable, Mapping
from datetime import UTC
from pathlib import Path
from typing import Final

from msgspec import Struct

from evenwatt.clock import utc_seconds
from evenwatt.config import Settings
from evenwatt.errors import ExchangeError, OptionError
from evenwatt.service.exchange.charges import Charges
from evenwatt.service.exchange.prices import price_map
from evenwatt.service.exchange.series import exported_families
from evenwatt.service.exchange.span import Span, exported_span
from evenwatt.service.exchange.tables import Advance, export_lines, table_sheet
from evenwatt.sinks.exchange.files import written_to
from evenwatt.sinks.exchange.openmetrics import write_openmetrics
from evenwatt.sinks.exchange.sheets import Sheet, write_csv, write_parquet
from evenwatt.sinks.history import HistoryReader, history_beside, writer_pid
from evenwatt.sinks.history.files import is_database
from evenwatt.sinks.metrics import METRICS
from evenwatt.units import SECONDS_PER_MINUTE

__all__ = ["Export"]

_FINEST: Final[Mapping[str, str]] = {
    "csv": "hour",
    "parquet": "hour",
    "jsonl": "minute",
    "openmetrics": "minute",
    "focus": "day",
    "litellm": "minute",
}
_PARQUET: Final = ".parquet"
_LABEL: Final = re.compile(r"([a-zA-Z_][a-zA-Z0-9_]*)=(.*)", re.DOTALL)
_OWN_LABELS: Final = {label for spec in METRICS.values() for label in spec.labels}
_UNSETTLED_SECONDS: Final = 2 * SECONDS_PER_MINUTE
"""Minutes that a running agent may still add to."""


class Export(Struct, frozen=True, kw_only=True):
    """What a person asked for; None: left out.

    Attributes:
        form: `csv`, `parquet`, `jsonl`, `openmetrics`, `focus` or `litellm`.
        finest: `minute`, `hour` or `day`.
        table: Of a sheet.
        labels: NAME=VALUE, of time series.
        account: Of charges.
    """

    form: str
    first: str | None
    last: str | None
    finest: str | None
    table: str
    labels: tuple[str, ...]
    account: str | None

    def check(self, output: Path | None) -> None:
        """Refuse what cannot hold together, before anything is read.

        Raises:
            OptionError: With the option and what it takes.
        """
        if self.form == "parquet" and output is None:
            raise OptionError(
                "--output: missing; Parquet is written to a file, such as --output usage.parquet"
            )
        if self.form == "focus" and self.finest == "minute":
            raise OptionError("--by: got minute; charges of --format focus are by day or by hour")
        if self.form == "litellm" and self.finest is not None:
            raise OptionError(f"--by: got {self.finest}; --format litellm has one price for the whole time")
        if self.labels and self.form != "openmetrics":
            raise OptionError(f"--label: goes with --format openmetrics; found --format {self.form}")
        if self.account is not None and self.form != "focus":
            raise OptionError(f"--account: goes with --format focus; found --format {self.form}")
        _labels_of(self.labels)

    def write(
        self, settings: Settings, history: Path, output: Path | None, advance: Advance
    ) -> tuple[str, ...]:
        """Write it, and return what is to be told about it.

        Args:
            settings: For the site's zone, and what one USD is worth.
            history: Of the database.
            output: Where to; None: standard output.
            advance: Is told how much is done.

        Raises:
            OptionError: The time means nothing.
            ExchangeError: There is nothing to export, or it cannot be written.
            HistoryError: The history cannot be read.
        """
        if output is not None and output.is_file() and is_database(output):
            raise ExchangeError(f"{output}: is a database, such as a history is; name another file")
        finest = self.finest or _FINEST[self.form]
        # Days are days of UTC: those of a site west of it would begin and end with the wrong ones.
        zone = UTC if finest == "day" else settings.timezone
        with history_beside(history) as reader:
            span = exported_span(reader, self.first, self.last, zone)
            if self.form == "litellm":
                return _write_prices(settings, reader, span, output)
            if self.form == "focus":
                charges = Charges(reader, span, finest=finest, account=self.account, advance=advance)
                _write_sheet(
                    charges.sheet, output, is_parquet=output is not None and output.suffix == _PARQUET
                )
                return _unpriced(charges.unpriced)
            if self.form in {"csv", "parquet"}:
                sheet = table_sheet(reader, self.table, span, finest=finest, advance=advance)
                _write_sheet(sheet, output, is_parquet=self.form == "parquet")
                return ()
            span = _settled(span, history)
            with written_to(output) as file:
                if self.form == "jsonl":
                    export_lines(reader, file, span, finest=finest, advance=advance)
                else:
                    families = exported_families(reader, span, finest=finest, advance=advance)
                    write_openmetrics(file, families, labels=_labels_of(self.labels))
        return ()


def _labels_of(texts: Iterable[str]) -> dict[str, str]:
    found = {}
    for text in texts:
        match = _LABEL.fullmatch(text)
        if match is None:
            raise OptionError(f"--label: got {text!r}, expected NAME=VALUE, such as instance=gpu1:9787")
        if match[1] in _OWN_LABELS:
            raise OptionError(f"--label: {match[1]} is a label of the metrics themselves; leave it out")
        found[match[1]] = match[2]
    return found


def _settled(span: Span, history: Path) -> Span:
    """Return a span without the minutes that a running agent may still add to."""
    if writer_pid(history) is None:
        return span
    until = int(utc_seconds() - _UNSETTLED_SECONDS) // SECONDS_PER_MINUTE * SECONDS_PER_MINUTE
    return Span(span.start, max(min(span.end, until), span.start))


def _write_sheet(sheet: Sheet, output: Path | None, *, is_parquet: bool) -> None:
    if is_parquet and output is not None:
        write_parquet(sheet, output)
        return
    with written_to(output) as file:
        write_csv(sheet, file)


def _write_prices(
    settings: Settings, reader: HistoryReader, span: Span, output: Path | None
) -> tuple[str, ...]:
    text, missing = price_map(settings, reader, span)
    with written_to(output) as file:
        file.write(text.encode())
    if not missing:
        return ()
    return (f"left out, as their cost is not known whole: {', '.join(missing)}; evenwatt report says why",)


def _unpriced(count: int) -> tuple[str, ...]:
    if not count:
        return ()
    what = f"left out: {count} costs of a model and period"
    return (f"{what} for which no price is known, at least for a part of it; evenwatt report says which",)
