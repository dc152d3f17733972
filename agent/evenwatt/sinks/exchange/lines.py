"""The whole of a history as JSON lines: what `evenwatt import` takes back.

The first line says what the file is, then come the rows of each day of UTC and a line that ends the day, then
what is kept beside the days, and a line that ends the file. A value that is not known is left out. The lines
that end something tell a whole file from one that was cut short: a day counts only with its end.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Final

import msgspec
from msgspec import Struct, field

from evenwatt.errors import ExchangeError
from evenwatt.units import SECONDS_PER_DAY

__all__ = ["FORMAT", "Head", "Layout", "Section", "read_head", "read_sections", "write_lines"]

FORMAT: Final = 1
"""Of the lines; one that is not known is refused."""

_LONGEST_LINE = 1 << 20
_SIGNED_END = "_cost"
_SIGNED_PRICE = "price_per_kwh"
_NUMBERS = ("_seconds", "_per_mtok", "_per_kwh", "restarts")
_NO_ROOM = 2**63
_LATEST_UTC_SECONDS = 253_402_300_800
"""The end of the year 9999, the last of which there is a calendar."""

Row = tuple[Any, ...]


class Head(Struct, frozen=True, kw_only=True):
    """What a file is about.

    Attributes:
        readings: `measured` or `simulated`.
        machine: The identity of the machine, where it had one.
        finest: The finest level that was asked for.
    """

    currency: str
    readings: str
    machine: str | None
    from_utc_seconds: int
    to_utc_seconds: int
    finest: str
    version: str


class Section(Struct, frozen=True, kw_only=True):
    """A day of UTC, or with `day` None what is kept beside the days.

    Attributes:
        rows: By (level, table), for a day; by ("", table) else. Each row is its columns in order.
        done_ratio: How much of the file is read with it.
    """

    day: int | None
    rows: Mapping[tuple[str, str], list[Row]] = field(default_factory=dict)
    done_ratio: float = 0.0


class Layout(Struct, frozen=True, kw_only=True):
    """Which tables there are.

    Attributes:
        levels: By name, how many seconds its rows span.
        tables: By name, whose a row is, and its columns.
        flags: Columns that are 0 where nothing is said.
        beside: Tables beside the levels, with all their columns.
        optional: Columns of those that may be left out.
    """

    levels: Mapping[str, int]
    tables: Mapping[str, tuple[Sequence[str], Sequence[str]]]
    flags: frozenset[str]
    beside: Mapping[str, Sequence[str]]
    optional: frozenset[str]


def write_lines(
    file: IO[bytes],
    head: Head,
    days: Iterable[tuple[int, Iterable[tuple[str, str, Iterable[Row]]]]],
    beside: Iterable[tuple[str, Iterable[Row]]],
    layout: Layout,
) -> None:
    """Write a history.

    Args:
        file: To write to.
        head: Of the file.
        days: Each day with level, table and rows.
        beside: What is kept beside the days, by table.
        layout: Of the rows.
    """
    written = 0
    _put(file, {"evenwatt_export": FORMAT, **{name: getattr(head, name) for name in Head.__struct_fields__}})
    for day, parts in days:
        count = 0
        for level, table, rows in parts:
            owner, columns = layout.tables[table]
            count += _put_rows(file, table, (level, *owner, *columns), rows)
        if count:
            _put(file, {"end_of_day": day, "rows": count})
        written += count
    for table, rows in beside:
        written += _put_rows(file, table, layout.beside[table], rows)
    _put(file, {"end_of_file": True, "rows": written})


def _put_rows(file: IO[bytes], table: str, names: Sequence[str], rows: Iterable[Row]) -> int:
    count = 0
    for row in rows:
        known = {name: value for name, value in zip(names, row, strict=True) if value is not None}
        _put(file, {"table": table, **known})
        count += 1
    return count


def _put(file: IO[bytes], line: Mapping[str, Any]) -> None:
    file.write(msgspec.json.encode(line) + b"\n")


def read_head(path: Path, file: IO[bytes]) -> Head:
    """Return what the first line says.

    Raises:
        ExchangeError: It is no export of this kind.
    """
    try:
        line = _object(_Place(path, 1), file.readline(_LONGEST_LINE))
    except ExchangeError as error:
        raise ExchangeError(_what_it_takes(path)) from error
    if line.get("evenwatt_export") is None:
        raise ExchangeError(_what_it_takes(path))
    if line["evenwatt_export"] != FORMAT:
        raise ExchangeError(
            f"{path}: is an export of format {line['evenwatt_export']!r}, and this evenwatt knows {FORMAT}; "
            "import it with the version that wrote it, or a newer one"
        )
    place = _Place(path, 1)
    for name, kinds in _HEAD_KINDS.items():
        if not isinstance(line.get(name), kinds) or isinstance(line.get(name), bool):
            raise place.fault(f"{name} is {line.get(name)!r}", "the line as it was exported")
    return Head(**{name: line[name] for name in _HEAD_KINDS})


def read_sections(path: Path, file: IO[bytes], layout: Layout) -> Iterator[Section]:
    """Yield each day that is whole, and at the end what is kept beside the days.

    Raises:
        ExchangeError: A line is not what an export has, or the file is cut short; days before it were whole.
    """
    size = max(path.stat().st_size, 1)
    place, shapes, read = _Place(path, 1), _shapes(layout), 0
    pending = _Pending(layout, shapes)
    while text := file.readline(_LONGEST_LINE):
        place = place.next()
        line = _object(place, text)
        if "end_of_day" in line:
            yield pending.day(place, line, done_ratio=file.tell() / size)
            read += pending.count
            pending = _Pending(layout, shapes)
        elif "end_of_file" in line:
            pending.check_beside(place, line, read + pending.count)
            yield Section(day=None, rows=pending.rows, done_ratio=1.0)
            return
        else:
            pending.add(place, line)
    raise ExchangeError(
        f"{path}: is cut short after line {place.number}: what should end it is missing. All whole days "
        "before that are imported; export it again, or copy it again, and import the whole file: what is "
        "there already is not counted twice"
    )


class _Place(Struct, frozen=True):
    path: Path
    number: int

    def next(self) -> "_Place":
        return _Place(self.path, self.number + 1)

    def fault(self, found: str, expected: str) -> ExchangeError:
        return ExchangeError(
            f"{self.path}, line {self.number}: {found}, expected {expected}. The file was changed since it "
            "was exported, or damaged: export it again. Whole days before this line are imported"
        )


class _Shape(Struct, frozen=True, kw_only=True):
    """What a line of one table and level has.

    Attributes:
        key: When a row begins, then whose it is.
        names: All that may be in it.
    """

    level: str
    key: tuple[str, ...]
    columns: tuple[str, ...]
    names: frozenset[str]


def _shapes(layout: Layout) -> dict[tuple[str, str], _Shape]:
    return {
        (table, level): _Shape(
            level=level,
            key=(level, *owner),
            columns=tuple(columns),
            names=frozenset((level, *owner, *columns)),
        )
        for table, (owner, columns) in layout.tables.items()
        for level in layout.levels
    }


class _Pending:
    """Lines whose end has not come yet."""

    def __init__(self, layout: Layout, shapes: Mapping[tuple[str, str], _Shape]) -> None:
        self.rows: dict[tuple[str, str], list[Row]] = {}
        self.count = 0
        self._layout = layout
        self._shapes = shapes
        self._moments: set[int] = set()

    def add(self, place: _Place, line: dict[str, Any]) -> None:
        layout = self._layout
        table = line.pop("table", None)
        if table in layout.tables:
            level = next((name for name in layout.levels if name in line), None)
            if level is None:
                raise place.fault("no time", f"one of {', '.join(layout.levels)}")
            row = _dated_row(place, line, self._shapes[table, level], layout.flags)
            if row[0] % layout.levels[level]:
                raise place.fault(f"{level} is {row[0]!r}", f"the beginning of a {level} of UTC")
            self._moments.add(row[0] // SECONDS_PER_DAY * SECONDS_PER_DAY)
            self.rows.setdefault((level, table), []).append(row)
        elif table in layout.beside:
            names = layout.beside[table]
            _check_names(place, line, [name for name in names if name not in layout.optional], names)
            self.rows.setdefault(("", table), []).append(_row_beside(place, line, names))
        else:
            raise place.fault(f"table {table!r}", "one that this evenwatt knows")
        self.count += 1

    def day(self, place: _Place, line: Mapping[str, Any], *, done_ratio: float) -> Section:
        day, count = line["end_of_day"], line.get("rows")
        if self._moments != {day} or count != self.count:
            raise place.fault(
                f"the day {day!r} ends after {self.count} rows", f"{count!r} rows, all of that day"
            )
        return Section(day=day, rows=self.rows, done_ratio=done_ratio)

    def check_beside(self, place: _Place, line: Mapping[str, Any], read: int) -> None:
        if self._moments:
            raise place.fault("a day without its end", "a line with end_of_day before this one")
        if line.get("rows") != read:
            raise place.fault(f"the file ends after {read} rows", f"{line.get('rows')!r} rows")


def _dated_row(place: _Place, line: dict[str, Any], shape: _Shape, flags: frozenset[str]) -> Row:
    key, columns = shape.key, shape.columns
    if not line.keys() <= shape.names or not all(name in line for name in key):
        _check_names(place, line, key, (*key, *columns))
    moment = line[key[0]]
    if type(moment) is not int or not 0 <= moment < _LATEST_UTC_SECONDS:
        raise place.fault(f"{key[0]} is {moment!r}", "whole seconds since 1970")
    for name in key[1:]:
        if type(line[name]) is not str:
            raise place.fault(f"{name} is {line[name]!r}", "text")
    return (*(line[name] for name in key), *_checked(place, columns, map(line.get, columns), flags))


def _row_beside(place: _Place, line: Mapping[str, Any], names: Sequence[str]) -> Row:
    """Return a row of what is kept beside the days: numbers by their unit, and text."""
    for name in names:
        value = line.get(name)
        if value is None:
            continue
        if not name.endswith(_NUMBERS):
            if type(value) is not str:
                raise place.fault(f"{name} is {value!r}", "text")
        elif type(value) is not int and type(value) is not float:
            raise place.fault(f"{name} is {value!r}", "a number")
        elif abs(value) >= _NO_ROOM or (value < 0 and name != _SIGNED_PRICE):
            raise place.fault(f"{name} is {value!r}", "a number that is not negative, of at most 63 bits")
    return tuple(line.get(name) for name in names)


def _checked(
    place: _Place, columns: Sequence[str], found: Iterable[Any], flags: frozenset[str]
) -> Iterator[Any]:
    """Yield the values of a row; a flag that is not there is 0."""
    for name, value in zip(columns, found, strict=True):
        if value is None:
            yield 0 if name in flags else None
            continue
        if type(value) is not int and type(value) is not float:
            raise place.fault(f"{name} is {value!r}", "a number")
        if value < 0 and not name.endswith(_SIGNED_END):
            raise place.fault(f"{name} is {value!r}", "a number that is not negative")
        if abs(value) >= _NO_ROOM:
            raise place.fault(f"{name} is {value!r}", "a number of at most 63 bits")
        yield value


def _check_names(
    place: _Place, line: Mapping[str, Any], required: Sequence[str], known: Sequence[str]
) -> None:
    missing = [name for name in required if name not in line]
    if missing:
        raise place.fault(f"no {missing[0]}", "it")
    unknown = sorted(line.keys() - set(known))
    if unknown:
        raise ExchangeError(
            f"{place.path}, line {place.number}: {unknown[0]!r} is not known to this evenwatt, so a newer "
            "one has written it; import it with that version"
        )


def _object(place: _Place, text: bytes) -> dict[str, Any]:
    if not text.endswith(b"\n"):
        raise ExchangeError(
            f"{place.path}, line {place.number}: has no end; the file is cut short or no export. Whole days "
            "before this line are imported; export or copy it again"
        )
    try:
        line = msgspec.json.decode(text)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise place.fault(f"no JSON ({error})", "a JSON object") from error
    if not isinstance(line, dict):
        raise place.fault(f"{text[:40]!r}", "a JSON object")
    return line


def _what_it_takes(path: Path) -> str:
    return (
        f"{path}: is no export of evenwatt; import takes what `evenwatt export --format jsonl` wrote, or a "
        "history (a copy made with `evenwatt backup`)"
    )


_HEAD_KINDS: Final[Mapping[str, Any]] = {
    "currency": str,
    "readings": str,
    "machine": (str, type(None)),
    "from_utc_seconds": int,
    "to_utc_seconds": int,
    "finest": str,
    "version": str,
}
