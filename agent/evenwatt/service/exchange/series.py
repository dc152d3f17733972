"""The counters of /metrics as they stood at the end of each minute, hour or day of a span.

They join what a store has scraped already: a counter stands where it stood then, by what it is now less
what was added since. Two rules keep a store from seeing a counter fall, which it would take for a restart
and count all of it again: what adds up floats is lowered by more than their rounding, and a series that had
a value before the
    span is
left out until it rises, as the value that the store has is right until then.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

from msgspec import Struct

from evenwatt.service.exchange.span import Span
from evenwatt.service.exchange.tables import Advance
from evenwatt.sinks.exchange.openmetrics import Family, Series
from evenwatt.sinks.history import HistoryReader
from evenwatt.sinks.history.extract import pieces_of, values_by_owner
from evenwatt.sinks.history.pieces import FOREVER, Piece, rows_in
from evenwatt.sinks.history.queries import history_settings
from evenwatt.sinks.history.schema import TABLES
from evenwatt.sinks.metrics import METRICS

__all__ = ["exported_families"]

_ROUNDING: Final = 1e-12
"""More, relatively, than what the order of additions makes of a sum of millions of floats."""

_NOTHING: Final = 1e-9
"""What is left of a sum, relatively, when all of it was taken off."""


class _Column(Struct, frozen=True):
    """A column of the history that is a counter of a metric.

    Attributes:
        label: What the metric adds to the labels of the owner.
    """

    metric: str
    table: str
    name: str
    label: tuple[str, str] | None = None


def _columns() -> Iterator[_Column]:
    yield _Column("gpu_energy_joules_total", "gpu", "energy_joules")
    yield _Column("host_energy_joules_total", "meter", "energy_joules")
    for state in ("active", "idle_loaded", "idle_empty"):
        yield _Column("energy_joules_total", "usage", f"{state}_joules", ("state", state))
    for kind in ("input", "cached_input", "output"):
        yield _Column("tokens_total", "usage", f"{kind}_tokens", ("type", kind))
    for outcome in ("completed", "aborted", "failed"):
        yield _Column("requests_total", "usage", f"requests_{outcome}", ("outcome", outcome))
    for component in ("hardware", "energy", "labour", "other"):
        yield _Column("cost_total", "usage", f"{component}_cost", ("component", component))
    for state in ("idle_loaded", "idle_empty"):
        yield _Column("idle_cost_total", "usage", f"{state}_cost", ("state", state))
    for cache, name in (("observed", "observed_cache_cost"), ("none", "no_cache_cost")):
        yield _Column("api_cost_total", "api", name, ("cache", cache))
    yield _Column("seconds_total", "host", "seconds")


_COLUMNS: Final = tuple(_columns())


def exported_families(
    reader: HistoryReader, span: Span, *, finest: str, advance: Advance
) -> Iterator[Family]:
    """Yield all counters whose course the history knows, and what the machine's money and readings are.

    Raises:
        HistoryError: It cannot be read.
    """
    held = history_settings(reader)
    pieces = pieces_of(reader, span.start, span.end, finest=finest)
    money = {"currency": held.get("currency", "")}
    yield _constant("money_info", money, 1, pieces)
    yield _constant("simulated", {}, int(held.get("readings") == "simulated"), pieces)
    labels_of = _labels(reader)
    since = pieces_of(reader, span.start, FOREVER, finest=finest)
    by_metric: dict[str, list[_Column]] = {}
    for column in _COLUMNS:
        by_metric.setdefault(column.metric, []).append(column)
    done = 0
    for metric, columns in by_metric.items():
        spec = METRICS[metric]
        yield Family(
            spec.name,
            spec.help,
            is_counter=True,
            series=(
                series
                for column in columns
                for series in _series(reader, column, pieces, since, labels_of[column.table])
            ),
        )
        done += len(columns)
        advance(done / len(_COLUMNS))


def _series(
    reader: HistoryReader,
    column: _Column,
    pieces: tuple[Piece, ...],
    since: tuple[Piece, ...],
    labels_of: Callable[[tuple[Any, ...]], Mapping[str, str]],
) -> Iterator[Series]:
    totals = _totals(reader, column)
    added = _added(reader, column, since)
    for owner, points in values_by_owner(reader, column.table, column.name, pieces):
        labels = {**labels_of(owner), **dict([column.label] if column.label else [])}
        total = totals.get(owner, 0)
        before = total - added.get(owner, 0)
        is_new = abs(before) <= _NOTHING * abs(total)
        yield Series(labels, _course(before, points, is_new=is_new))


def _course(
    before: float, points: Iterable[tuple[int, float]], *, is_new: bool
) -> Iterator[tuple[int, float]]:
    """Yield what a counter stood at; one that is not new from the first time on at which it has risen."""
    risen: float = 0
    for end, value in points:
        risen += value
        if risen or is_new:
            stood = risen + (0 if is_new else before)
            yield end, stood if isinstance(stood, int) else stood * (1 - _ROUNDING)


def _totals(reader: HistoryReader, column: _Column) -> dict[tuple[Any, ...], float]:
    owner, _ = TABLES[column.table]
    rows = reader.read(f"SELECT {', '.join((*owner, column.name))} FROM total_{column.table}")  # noqa: S608 -- our own names only
    return {tuple(row[:-1]): row[-1] or 0 for row in rows}


def _added(reader: HistoryReader, column: _Column, pieces: tuple[Piece, ...]) -> dict[tuple[Any, ...], float]:
    owner, _ = TABLES[column.table]
    source, bounds = rows_in(pieces, column.table)
    group = f" GROUP BY {', '.join(owner)}" if owner else ""
    rows = reader.read(
        f"SELECT {', '.join((*owner, f'sum({column.name})'))} FROM {source}{group}",  # noqa: S608 -- our own names only
        bounds,
    )
    return {tuple(row[:-1]): row[-1] or 0 for row in rows}


def _labels(reader: HistoryReader) -> dict[str, Callable[[tuple[Any, ...]], dict[str, str]]]:
    """Return by table how its owners are labelled on /metrics."""
    indexes = {
        str(cursor["uuid"]): str(cursor["index"])
        for cursor in reader.cursors().values()
        if "uuid" in cursor and "index" in cursor
    }

    def gpu(owner: tuple[Any, ...]) -> dict[str, str]:
        return {"gpu": indexes.get(owner[0], ""), "uuid": owner[0]}

    def named(names: tuple[str, ...]) -> Callable[[tuple[Any, ...]], dict[str, str]]:
        return lambda owner: dict(zip(names, owner, strict=True))

    return {table: gpu if table == "gpu" else named(owner) for table, (owner, _) in TABLES.items()}


def _constant(metric: str, labels: Mapping[str, str], value: int, pieces: tuple[Piece, ...]) -> Family:
    spec = METRICS[metric]
    points = (
        (moment + piece.row_seconds, value)
        for piece in pieces
        for moment in range(
            -(-piece.start // piece.row_seconds) * piece.row_seconds, piece.end, piece.row_seconds
        )
    )
    return Family(spec.name, spec.help, is_counter=False, series=[Series(labels, points)])
