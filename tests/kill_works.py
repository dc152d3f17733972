"""Works on a history that are killed at random points; each goes on where it was cut off."""

import os
import time
from contextlib import closing
from functools import reduce
from pathlib import Path
from zoneinfo import ZoneInfo

from sqlite_utils import Database

from config_fixtures import settings_of
from evenwatt import clock
from evenwatt.errors import HistoryError
from evenwatt.ledger import merged_postings
from evenwatt.service.billing import priced
from evenwatt.service.exchange.importing import import_file
from evenwatt.service.report.window import AskedWindow
from evenwatt.service.repricing import Repricer
from evenwatt.sinks.history import History, schema
from evenwatt.sinks.history.migrations import migrations
from evenwatt.sinks.history.repricing import repriced_history
from sink_fixtures import BOOK, HOUR, MINUTE, posting, served, tick

__all__ = [
    "BEGIN",
    "PRICES",
    "SECONDS_OF_TICKS",
    "ZONE",
    "bring_up_to_date",
    "keep_ticks",
    "reprice",
    "take_in",
    "write_ticks",
]

ZONE = ZoneInfo("Asia/Kolkata")
BEGIN = HOUR // 86_400 * 86_400 + 17 * 3_600
SECONDS_OF_TICKS = 0.5
PRICES = ("0.20", "0.55")
_SETTINGS = """
    timezone: Asia/Kolkata
    currency: EUR
    usd_rate: {{rate: 0.9, date: 2027-01-01}}
    electricity: {{price_per_kwh: {}}}
    hardware: {{mode: rented_always_on, rent_per_hour: 3.6}}
    references: []
"""
_KEPT_MINUTES = 90


def write_ticks(path: str, acknowledged: str) -> None:
    """Write ticks of half a minute for half a second, forget old minutes, and say what is committed."""
    until = time.monotonic() + SECONDS_OF_TICKS
    log = os.open(acknowledged, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    with closing(History(Path(path), currency="EUR", zone=ZONE)) as history:
        number = int(history.cursors().get("test", {}).get("ticks", 0))
        while time.monotonic() < until:
            at = BEGIN + number // 2 * MINUTE
            number += 1
            history.write(tick({(at, "chat", "small"): served()}, cursors={"test": {"ticks": number}}))
            os.write(log, b"%d\n" % number)
            minute = (at - _KEPT_MINUTES * MINUTE) // 3_600 * 3_600
            history.forget_some({"minute": minute, "hour": minute // 86_400 * 86_400})


def bring_up_to_date(path: str) -> None:
    """Do what opening a history of an older release does, in this process, so that it is killed in that."""
    in_child, schema.subprocess.run = schema.subprocess.run, _migrate
    try:
        History(Path(path), currency="EUR", zone=ZONE).close()
    finally:
        schema.subprocess.run = in_child


def _migrate(command: list[str], **_: object) -> object:
    migrations.apply(Database(command[-1]))
    return type("Done", (), {"returncode": 0})


def take_in(path: str, source: str) -> None:
    """Import another history."""
    import_file(Path(source), Path(path), zone=ZONE, advance=lambda _: None)


def reprice(path: str, price_per_kwh: str, now: str) -> None:
    """Reprice all of a history at a price of electricity."""
    clock.utc_seconds = lambda: float(now)
    with repriced_history(Path(path), may_write=True) as opened:
        settings = settings_of(_SETTINGS.format(price_per_kwh))
        Repricer(settings, opened, AskedWindow(window="all")).write(lambda _: None)


def keep_ticks(path: str, acknowledged: str) -> None:
    """Write ticks as `write_ticks` does; what cannot be written is kept and written with the next one."""
    until = time.monotonic() + SECONDS_OF_TICKS
    with closing(_opened(Path(path))) as history:
        number = written = int(history.cursors().get("test", {}).get("ticks", 0))
        while time.monotonic() < until or number > written:
            number += 1
            waiting = [
                {(BEGIN + tick_number // 2 * MINUTE, "chat", "small"): served()}
                for tick_number in range(written, number)
            ]
            postings = [posting(rows, cursors={"test": {"ticks": number}}) for rows in waiting]
            try:
                history.write(priced(reduce(merged_postings, postings), BOOK))
            except HistoryError:
                continue
            written = number
        Path(acknowledged).write_text(f"{written}\n", encoding="ascii")


def _opened(path: Path) -> History:
    """Open a history, as a service that is started again does where the disk lets it not."""
    while True:
        try:
            return History(path, currency="EUR", zone=ZONE)
        except HistoryError:
            time.sleep(0.01)
