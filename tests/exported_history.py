"""A history of three days as retention leaves it, for exports and imports."""

import sqlite3
from contextlib import closing

from config_fixtures import settings_of
from evenwatt.ledger import ClientUse, GpuUse
from evenwatt.model import Event
from evenwatt.sinks.history import History, PriceRow
from evenwatt.sinks.history.schema import TABLES
from sink_fixtures import idle, served, tick

FIRST_DAY = 1_768_521_600
"""2026-01-16 00:00 UTC."""
DAY = 86_400
HOUR = 3_600
OWNER = ("chat", "small")

CONFIG = """
timezone: UTC
currency: EUR
usd_rate: {{rate: 0.5, date: 2026-01-01}}
history: {{path: {history}}}
"""


def write_days(path, *days, machine=None, minutes=(0, 1, 2)):
    """Write hours 0, 8 and 23 of days, counted from the first one: in each a busy and some idle minutes."""
    with closing(History(path, currency="EUR", machine=machine)) as history:
        for day in days:
            for hour in (0, 8, 23):
                begin = FIRST_DAY + day * DAY + hour * HOUR
                rows = {
                    (begin + 60 * minute, *OWNER): idle() if minute else served(estimated=1)
                    for minute in minutes
                }
                busy = (begin, *OWNER, "team-a")
                told = Event(utc_seconds=begin, kind="gap", subject="chat", text="away")
                history.write(tick(rows, clients={busy: ClientUse(output_tokens=1_000)}, events=(told,)))


def write_kept(path):
    """Write three days: the first is kept by days alone, the second by hours, the third by minutes."""
    write_days(path, 0, 1, 2)
    with closing(History(path, currency="EUR")) as history:
        while history.forget_some({"minute": FIRST_DAY + 2 * DAY, "hour": FIRST_DAY + DAY}):
            pass


def settings_for(path):
    """Return settings of a site whose currency is worth two dollars, with this history."""
    return settings_of(CONFIG.format(history=path))


def add_price(path, reference, at):
    """Accept a price."""
    with closing(History(path, currency="EUR")) as history:
        history.settle_prices(
            [
                PriceRow(
                    reference=reference,
                    valid_from_utc_seconds=at,
                    accepted_utc_seconds=at,
                    input_usd_per_mtok=1.0,
                    cached_input_usd_per_mtok=None,
                    output_usd_per_mtok=2.0,
                    source="test",
                )
            ]
        )


def gpus(*rows):
    """Return GPU rows by (minute, uuid, joules)."""
    return {
        (minute, uuid): GpuUse(energy_joules=joules, measured_seconds=60.0) for minute, uuid, joules in rows
    }


def contents(path, *, beside=("event", "calibration", "electricity_price", "price", "source_total")):
    """Return all rows of a history by table, without what tells rows of one table apart by number."""
    found = {}
    with closing(sqlite3.connect(path)) as database:
        names = [
            name
            for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            if name in {*beside, "machine_hour"} or name.rpartition("_")[2] in TABLES
        ]
        for name in names:
            columns = [
                column
                for (column,) in database.execute("SELECT name FROM pragma_table_info(?)", (name,))
                if column != "id"
            ]
            rows = database.execute(f"SELECT {', '.join(columns)} FROM {name}").fetchall()
            found[name] = sorted(map(_rounded, rows), key=repr)
    return found


def _rounded(row):
    """Return a row without what the order of additions leaves in the last digits."""
    return tuple(float(f"{value:.12g}") if isinstance(value, float) else value for value in row)
