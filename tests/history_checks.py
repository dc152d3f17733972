"""What has to hold of every history at every moment, asked with SQL of the tests' own."""

import sqlite3
from contextlib import closing
from datetime import date, datetime
from pathlib import Path

__all__ = ["LEVEL_TABLES", "disagreements"]

LEVEL_TABLES = ("usage", "api", "client", "gpu", "engine", "meter", "host")
_HOUR, _DAY = 3_600, 86_400
_NEAR = 1e-9
_LARGER_WINS = ("estimated", "restarted")


def disagreements(path: Path, zone=None) -> list[str]:
    """Return where a history contradicts itself; nothing where it is sound.

    Hours are the sums of their minutes where those are kept, days those of their hours, totals those of all
    days of UTC, and, where a zone is given, days of its calendar those of the rows that lie in them.

    Args:
        path: Of the database, which is only read.
        zone: Of the site.
    """
    found = []
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10)) as database:
        database.execute("BEGIN")
        if database.execute("PRAGMA integrity_check").fetchall() != [("ok",)]:
            found.append("the file is damaged")
        held = dict(database.execute("SELECT name, value FROM setting"))
        minutes_from, hours_from = (int(held.get(f"{level}s_from", 0)) for level in ("minute", "hour"))
        if zone is not None:
            database.create_function(
                "calendar_day",
                1,
                lambda at: (datetime.fromtimestamp(at, zone).date() - date(1970, 1, 1)).days * _DAY,
            )
        found += _machine_hours(database)
        for table in LEVEL_TABLES:
            pairs = [
                ("hour", f"minute / {_HOUR} * {_HOUR}", f"minute_{table} WHERE minute >= {minutes_from}"),
                ("day", f"hour / {_DAY} * {_DAY}", f"hour_{table} WHERE hour >= {hours_from}"),
                ("total", None, f"day_{table}"),
            ]
            if zone is not None and not minutes_from:
                pairs.append(("local_day", "calendar_day(minute)", f"minute_{table}"))
            since = {"hour": minutes_from, "day": hours_from}
            for level, key, source in pairs:
                found += _differences(database, table, level, key, source, since.get(level, 0))
    return found


def _machine_hours(database):
    """Hours of the machine as one are the sums over the rows of its hours."""
    plain = ("input_tokens", "cached_input_tokens", "output_tokens", "hardware_cost", "energy_cost")
    more = ("labour_cost", "other_cost", "unpriced_seconds", "unpriced_joules")
    sums = {
        **{name: f"sum({name})" for name in (*plain, *more)},
        "joules": "total(active_joules) + total(idle_loaded_joules) + total(idle_empty_joules)",
        "idle_cost": "total(idle_loaded_cost) + total(idle_empty_cost)",
    }
    added, kept = (
        {hour: values for hour, *values in database.execute(query)}
        for query in (
            f"SELECT hour, {', '.join(sums.values())} FROM hour_usage GROUP BY hour",
            f"SELECT hour, {', '.join(sums)} FROM machine_hour",
        )
    )
    for hour in sorted(added.keys() | kept.keys()):
        mine, theirs = kept.get(hour), added.get(hour)
        if mine is None or theirs is None or not all(map(_is_same, mine, theirs)):
            yield f"machine_hour {hour}: {mine} beside {theirs}"


def _differences(database, table, level, key, source, since):
    columns = [
        (name, bool(place)) for _, name, _, _, _, place in database.execute(f"PRAGMA table_info(day_{table})")
    ]
    owner = [name for name, is_key in columns if is_key and name != "day"]
    values = [name for name, is_key in columns if not is_key]
    sums = [f"{'max' if name in _LARGER_WINS else 'sum'}({name})" for name in values]
    group = [*(["at"] if key else []), *owner]
    selected = [*([f"{key} AS at"] if key else []), *owner, *sums]
    by = f" GROUP BY {', '.join(group)}" if group else ""
    finer = database.execute(f"SELECT {', '.join(selected)} FROM {source}{by}").fetchall()
    names = [*([level] if key else []), *owner, *values]
    where = f" WHERE {level} >= {since}" if key else ""
    coarser = database.execute(f"SELECT {', '.join(names)} FROM {level}_{table}{where}").fetchall()
    number = len(group)
    expected = {row[:number]: row[number:] for row in finer if any(v is not None for v in row[number:])}
    present = {row[:number]: row[number:] for row in coarser if any(v is not None for v in row[number:])}
    for at in sorted(expected.keys() | present.keys(), key=str):
        mine, theirs = present.get(at), expected.get(at)
        if mine is None or theirs is None:
            yield f"{level}_{table} {at}: {mine} beside {theirs}"
            continue
        for name, one, other in zip(values, mine, theirs, strict=True):
            if not _is_same(one, other):
                yield f"{level}_{table} {at}.{name}: {one} beside {other}"


def _is_same(one, other):
    if one is None or other is None:
        return (one or 0) == (other or 0)
    return abs(one - other) <= _NEAR * max(abs(one), abs(other), 1e-6)
