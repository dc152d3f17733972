"""A span of the history as the report reads it: its sums, its hours, and what each model served when.

Sums take whole days of UTC from the day level, hours beside them, and minutes of the cut hours at both ends.
Where those minutes are not kept any more, the span is cut at whole hours instead, and where hours are not, at
days of UTC, so that spans that meet still share nothing.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeVar

from evenwatt.economics.offsets import OffsetPiece
from evenwatt.ledger import ClientUse
from evenwatt.sinks.history.local_days import noons_from
from evenwatt.sinks.history.machine_hours import MACHINE_VALUES
from evenwatt.sinks.history.pieces import Piece, rows_in
from evenwatt.sinks.history.reader import HistoryReader, RowSource
from evenwatt.sinks.history.schema import LEVEL_SECONDS
from evenwatt.snapshot import Sums
from evenwatt.snapshot.report.hours import CellTokens, HourRow
from evenwatt.snapshot.report.localtime import LocalTime
from evenwatt.units import SECONDS_PER_DAY, SECONDS_PER_HOUR, SECONDS_PER_MINUTE

__all__ = ["HistorySpan", "history_extent", "history_settings"]

Key = TypeVar("Key")


_ENDS: Final = "SELECT (SELECT min({0}) FROM {0}_host), (SELECT max({0}) FROM {0}_host)"
"""Two look-ups in the key; min and max in one query would read all of it."""

_LONGEST_BY_MINUTES: Final = 31 * SECONDS_PER_DAY
"""A longer span takes local hours from the hour level, where they do not fit: its minutes are too many."""

_LEVELS: Final[Mapping[str, tuple[str | None, int]]] = {
    "day": ("hour", SECONDS_PER_DAY),
    "hour": ("minute", SECONDS_PER_HOUR),
    "minute": (None, SECONDS_PER_MINUTE),
}
"""The level that is finer than each, and the seconds of its rows."""


_HOURS: Final = f"""
    SELECT hour, seconds, down_seconds, estimated_seconds, {", ".join(MACHINE_VALUES)}
    FROM hour_host LEFT JOIN machine_hour USING (hour) WHERE hour >= ? AND hour < ? ORDER BY hour
"""  # noqa: S608 -- our own names only
"""`HourRow`s, column by column."""

_MODEL_HOURS: Final = """
    SELECT engine, model, ((hour + ?) / 3600 + 72) % 168, count(*), sum(tokens), sum(1.0 * tokens * tokens)
    FROM (
        SELECT engine, model, hour, coalesce(input_tokens, 0)
            + coalesce(cached_input_tokens, 0) + coalesce(output_tokens, 0) AS tokens
        FROM hour_usage WHERE hour >= ? AND hour < ?
    )
    WHERE tokens > 0 GROUP BY 3, 1, 2
"""
"""1970-01-01 was a Thursday: 72 hours after its week began. Numbers before names: they sort faster."""


def history_extent(reader: HistoryReader) -> tuple[int, int] | None:
    """Return where the first row of a history begins and its last one ends; None where it is empty.

    They are minutes, or the hours or days that are kept instead.

    Raises:
        HistoryError: It cannot be read.
    """
    extent, coarser_seconds = None, 0
    for level, seconds in reversed(LEVEL_SECONDS.items()):
        ((first, last),) = reader.read(_ENDS.format(level))
        if first is None:
            break
        begin, end = (first, last + seconds) if extent is None else extent
        extent = (
            first if first < begin + coarser_seconds else begin,
            last + seconds if last >= end - coarser_seconds else end,
        )
        coarser_seconds = seconds
    return extent


def history_settings(reader: HistoryReader) -> dict[str, str]:
    """Return what was written down about a history when it was begun: `currency`, `readings`, `machine`.

    Raises:
        HistoryError: It cannot be read.
    """
    return dict(reader.read("SELECT name, value FROM setting"))


class HistorySpan:
    """A span of the history; all methods raise `HistoryError` where it cannot be read.

    Attributes:
        start: Where it begins, a whole minute.
        end: Where it ends.
        is_snapped: It was cut at whole hours, or at days of UTC, because what is finer is not kept there.
    """

    def __init__(self, reader: HistoryReader, start: int, end: int) -> None:
        """Take a span from one whole minute to another.

        Raises:
            HistoryError: The history cannot be read.
        """
        self._reader, self._read = reader, reader.read
        self._held = reader.kept()
        self.start, self.end = (self._kept(moment) for moment in (start, end))
        self.is_snapped = (self.start, self.end) != (start, end)

    def sums(self) -> Sums:
        """Return what the span adds up to, without its GPUs one by one and how many requests waited."""
        return self._reader.summed(self._source, has_parts=False)

    def clients(self) -> dict[tuple[str, str, str], ClientUse]:
        """Return what each client had of each model, by (engine, model, client)."""
        return {
            (engine, model, client): ClientUse(**row)
            for (engine, model, client), row in self._reader.grouped("client", *self._source("client"))
        }

    @property
    def hours_from(self) -> int | None:
        """From when on what is told by hours is told, where that is not all of the span; else None."""
        return self._held.hours_from if self.start < self._held.hours_from else None

    def gpus(self) -> tuple[int, float | None]:
        """Return how many GPUs there were, and the joules that they counted; None where none did."""
        source, bounds = self._source("gpu")
        ((count, joules),) = self._read(
            f"SELECT count(DISTINCT uuid), sum(energy_joules) FROM {source}",  # noqa: S608 -- our own names only
            bounds,
        )
        return count, joules

    def event_counts(self) -> Mapping[str, int]:
        """Return how many events of each kind there were."""
        return dict(
            self._read(
                "SELECT kind, count(*) FROM event WHERE utc_seconds >= ? AND utc_seconds < ? GROUP BY kind",
                (self.start, self.end),
            )
        )

    def hours(self, local: LocalTime) -> tuple[list[HourRow], bool]:
        """Return each local hour of the machine, oldest first, and whether some are approximate.

        They are where the local hours do not begin with hours of UTC and minutes are not kept, or too many:
        such an hour of UTC counts whole as the local hour in which it begins.
        """
        found: dict[int, HourRow] = {}
        is_approximate = False
        for piece, part in self._local_parts(local):
            is_approximate |= bool(piece.hour_shift_seconds) and part.level == "hour"
            for row in self._hours_of(part, piece.hour_shift_seconds):
                before = found.get(row.utc_seconds)
                found[row.utc_seconds] = row if before is None else _joined(before, row)
        return [found[start] for start in sorted(found)], is_approximate

    def model_hours(self, local: LocalTime) -> dict[tuple[str, str], dict[int, CellTokens]]:
        """Return what each model served by local hour of the week, but for hours cut by the span's ends."""
        found: dict[tuple[str, str], dict[int, CellTokens]] = {}
        for piece in local.pieces:
            first, last = (
                -(-moment // SECONDS_PER_HOUR) * SECONDS_PER_HOUR
                for moment in (piece.start_utc_seconds, piece.end_utc_seconds)
            )
            rows = self._read(
                _MODEL_HOURS,
                (piece.offset_seconds, first, min(last, self.end // SECONDS_PER_HOUR * SECONDS_PER_HOUR)),
            )
            for engine, model, cell, hours, tokens, squares in rows:
                cells = found.setdefault((engine, model), {})
                before = cells.get(cell, CellTokens(hours=0, tokens=0, squares=0.0))
                cells[cell] = CellTokens(
                    hours=before.hours + hours,
                    tokens=before.tokens + tokens,
                    squares=before.squares + squares,
                )
        return found

    def _kept(self, moment: int) -> int:
        """Return where the span is cut that begins or ends at a moment."""
        if moment < self._held.hours_from:
            return noons_from(moment)
        return moment if moment >= self._held.minutes_from else moment // SECONDS_PER_HOUR * SECONDS_PER_HOUR

    def _parts(self, start: int, end: int, level: str = "hour") -> Iterator[Piece]:
        """Yield the rows of a span: those of a level in its middle, of the finer ones towards its ends."""
        finer, seconds = _LEVELS[level]
        first = -(-start // seconds) * seconds
        last = end // seconds * seconds
        if finer is None or first >= last:
            if start < end:
                yield from [Piece(level, start, end)] if finer is None else self._parts(start, end, finer)
            return
        yield from self._parts(start, first, finer)
        yield Piece(level, first, last)
        yield from self._parts(last, end, finer)

    def _local_parts(self, local: LocalTime) -> Iterator[tuple[OffsetPiece, Piece]]:
        """Yield the rows of the span by pieces of one offset; minutes where local hours need them."""
        if local.has_whole_hours:
            for part in self._parts(self.start, self.end):
                yield local.pieces[0], part
            return
        for piece in local.pieces:
            start, end = piece.start_utc_seconds, piece.end_utc_seconds
            by_minutes = piece.hour_shift_seconds and self.end - self.start <= _LONGEST_BY_MINUTES
            kept = min(max(self._held.minutes_from, start), end) if by_minutes else end
            for part in self._parts(start, kept):
                yield piece, part
            if kept < end:
                yield piece, Piece("minute", kept, end)

    def _hours_of(self, part: Piece, shift: int) -> Iterator[HourRow]:
        if part.level == "hour" and not shift:
            return map(HourRow._make, self._read(_HOURS, (part.start, part.end)))
        return self._summed_hours(part, shift)

    def _summed_hours(self, part: Piece, shift: int) -> Iterator[HourRow]:
        """Yield hours that are added up from rows of a part, because the level has none of them."""
        level = part.level
        hour = f"({level} - {shift}) / 3600 * 3600 + {shift}"
        bounds = (part.start, part.end)
        where = f"WHERE {level} >= ? AND {level} < ? GROUP BY 1 ORDER BY 1"
        hosts = self._read(
            f"SELECT {hour}, sum(seconds), sum(down_seconds), sum(estimated_seconds)"  # noqa: S608 -- our own names only
            f" FROM {level}_host {where}",
            bounds,
        )
        values = ", ".join(MACHINE_VALUES.values())
        used = self._read(f"SELECT {hour}, {values} FROM {level}_usage {where}", bounds)  # noqa: S608 -- our own names only
        by_hour = {start: values for start, *values in used}
        nothing = [None] * len(MACHINE_VALUES)
        for start, *host in hosts:
            yield HourRow(max(start, self.start), *host, *by_hour.get(start, nothing))

    def _source(self, table: str) -> RowSource:
        """Return what to select from, and the bounds of it."""
        parts = list(self._parts(self.start, self.end, "day")) or [Piece("day", self.start, self.start)]
        return rows_in(parts, table)


def _joined(one: HourRow, other: HourRow) -> HourRow:
    """Return two parts of one hour as one."""
    values: Iterator[Any] = (
        theirs if mine is None else mine if theirs is None else mine + theirs
        for mine, theirs in zip(one[1:], other[1:], strict=True)
    )
    return HourRow(one.utc_seconds, *values)
