"""A table as CSV or Parquet, row by row: a cell is empty (null) where a value is not known."""

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from itertools import islice
from pathlib import Path
from typing import IO, Any, Final

from msgspec import Struct

from evenwatt.errors import ExchangeError
from evenwatt.sinks.exchange.files import whole_file
from evenwatt.sinks.words import harmless

__all__ = ["Column", "Kind", "Sheet", "utc_text", "write_csv", "write_parquet"]

ROWS_AT_ONCE = 20_000
"""A row group of Parquet: what is held in memory at most."""


class Kind(Enum):
    """What the cells of a column are."""

    TEXT = "text"
    INTEGER = "integer"
    REAL = "real"
    MOMENT = "moment"
    """Seconds since 1970-01-01 UTC."""


class Column(Struct, frozen=True):
    """A column of a sheet."""

    name: str
    kind: Kind


class Sheet(Struct, frozen=True):
    """A table whose rows are made while they are written.

    Attributes:
        facts: About the whole of it, such as its currency; they go where the format has a place for them.
    """

    columns: Sequence[Column]
    rows: Iterable[Sequence[Any]]
    facts: Sequence[tuple[str, str]] = ()


def utc_text(utc_seconds: float) -> str:
    """Return a moment as ISO 8601 with a Z, as spreadsheets, databases and FOCUS read it."""
    return datetime.fromtimestamp(utc_seconds, tz=UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def write_csv(sheet: Sheet, file: IO[bytes]) -> None:
    """Write a sheet as CSV in UTF-8 with a header line; text that a spreadsheet would run is defused."""
    shown = [_SHOWN[column.kind] for column in sheet.columns]
    text = io.TextIOWrapper(file, encoding="utf-8", newline="", write_through=False)
    try:
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(column.name for column in sheet.columns)
        writer.writerows(
            ["" if value is None else show(value) for show, value in zip(shown, row, strict=True)]
            for row in sheet.rows
        )
        text.flush()
    finally:
        text.detach()


def write_parquet(sheet: Sheet, path: Path) -> None:
    """Write a sheet as Parquet, a group of rows at a time.

    Raises:
        ExchangeError: The library is not installed, or the file cannot be written.
    """
    try:
        import pyarrow as pa  # noqa: PLC0415 -- an extra of 150 MB, needed here alone
        from pyarrow import parquet  # noqa: PLC0415
    except ImportError as error:
        raise ExchangeError(
            "Parquet needs the package pyarrow, which is not installed: pip install 'evenwatt[parquet]', or "
            "export with --format csv or jsonl"
        ) from error
    types = {
        Kind.TEXT: pa.string(),
        Kind.INTEGER: pa.int64(),
        Kind.REAL: pa.float64(),
        Kind.MOMENT: pa.timestamp("s", tz="UTC"),
    }
    schema = pa.schema(
        [(column.name, types[column.kind]) for column in sheet.columns],
        metadata=dict(sheet.facts),
    )
    with whole_file(path) as part, parquet.ParquetWriter(part, schema, compression="zstd") as writer:
        for rows in _groups(sheet.rows):
            cells = [list(column) for column in zip(*rows, strict=True)]
            writer.write_batch(
                pa.record_batch(
                    [pa.array(values, kind) for values, kind in zip(cells, schema.types, strict=True)],
                    schema=schema,
                )
            )


def _groups(rows: Iterable[Sequence[Any]]) -> Iterator[list[Sequence[Any]]]:
    left = iter(rows)
    while group := list(islice(left, ROWS_AT_ONCE)):
        yield group


def _decimal(value: float) -> str:
    """Return all digits of a number, without an exponent: not all readers of CSV know one."""
    text = repr(float(value))
    return format(Decimal(text), "f") if "e" in text else text


_SHOWN: Final[Mapping[Kind, Callable[[Any], str]]] = {
    Kind.TEXT: harmless,
    Kind.INTEGER: str,
    Kind.REAL: _decimal,
    Kind.MOMENT: utc_text,
}
